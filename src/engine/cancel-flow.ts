/**
 * cancelFlow: cancels a flow and optionally waits until every cancelled member has ended. It is a composition: the
 * header is one command, after which no member that is to be cancelled can begin; the timer loops of the deployment do
 * the rest, even if this process ends. Spec 08 section 9, ruling 43.
 */
import type { PublicState } from '../../model/execution/situation.js';
import type { CancellationPolicy } from '../../model/flow/facts.js';
import { LIMITS } from '../../model/limits.js';
import type { AnswerOf, OutcomeOf } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';
import { checkClock, checkNumber, checkOptionNames, needBackend } from '../backend/settings.js';
import { sleep, spread, systemClock, type Clock } from './clock.js';
import { withRetries } from './retry.js';

export interface CancelFlowOptions {
  /** The flow. */
  readonly flowId: string;
  /** The reason, for the log and for cancelled members. Default empty. */
  readonly reason?: string | undefined;
  /**
   * `cancel_all`: every member that has not ended. `cancel_pending`: members that are neither running nor suspended,
   * and those that come back without having finished. `flow_only`: none; the flow accepts no further members. Default
   * `cancel_all`.
   */
  readonly cancellationPolicy?: CancellationPolicy | undefined;
  /** Whether to wait until all cancelled members have ended, or for how long, ms; 300 000 at most. Default: not at all. */
  readonly wait?: boolean | number | undefined;
  /** Ends the wait, not the cancellation: the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** The clock of retries and waits. Default that of the system. */
  readonly clock?: Clock | undefined;
}

export interface CancelFlowOutcome {
  /** `cancelled`: all members to cancel had ended when this call returned. `cancellation_scheduled`: the rest will. */
  readonly kind: 'cancelled' | 'cancellation_scheduled';
  /** The policy that applies: of the first cancellation. */
  readonly cancellationPolicy: CancellationPolicy;
  /** Number of members of the flow, ended ones included. */
  readonly memberCount: number;
  /** An earlier call cancelled the flow, or it had ended: its state stays as it is. */
  readonly alreadyTerminal: boolean;
}

/** How long a call is retried while the store is unreachable, ms. */
const PATIENCE_MS = 10_000;
/** Longest wait without a limit from the caller, ms (spec 08 section 9.3). */
const MAX_WAIT_MS = 300_000;
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 500;

const NOT_BEGUN: readonly PublicState[] = ['waiting', 'delayed', 'rate_limited', 'waiting_children'];
const BEGUN: readonly PublicState[] = ['active', 'suspended'];

/**
 * Cancels a flow. Repeating it is safe.
 * @throws EngineError `flow_not_found`, `invalid_input`, what calls throw, and the reason of the signal
 * @example await cancelFlow(backend, { flowId, reason: 'not wanted any more', wait: 30_000 });
 */
export async function cancelFlow(backend: Backend, options: CancelFlowOptions): Promise<CancelFlowOutcome> {
  const where = 'cancelFlow()';
  needBackend(where, backend);
  checkOptionNames(where, options, ['flowId', 'reason', 'cancellationPolicy', 'wait', 'signal', 'clock']);
  if (typeof options.wait !== 'boolean')
    checkNumber(where, 'wait', options.wait, { min: 0, max: LIMITS.maxDurationMs });
  checkClock(where, options.clock);
  const { flowId, reason, cancellationPolicy = 'cancel_all', wait = false, signal, clock = systemClock } = options;
  let calls = 0;
  const header = await withRetries(clock, PATIENCE_MS, () => {
    calls += 1;
    return backend.cancelFlowHeader({ flowId, reason, cancellationPolicy });
  });
  // A repetition after a lost answer finds the flow as this call has left it.
  const isOwn = calls > 1 && header.kind === 'already_terminal' && isCancelledBy(header, options);
  const alreadyTerminal = header.kind === 'already_terminal' && !isOwn;
  const policy = (alreadyTerminal ? header.storedCancellationPolicy : undefined) ?? cancellationPolicy;
  const outcomeOf = (kind: CancelFlowOutcome['kind']): CancelFlowOutcome => ({
    kind,
    cancellationPolicy: policy,
    memberCount: header.memberCount,
    alreadyTerminal,
  });
  const isOver = async (): Promise<boolean> =>
    pendingMembersOf(policy, await withRetries(clock, PATIENCE_MS, () => backend.describeFlow({ flowId }))) === 0;
  if (wait === false) return outcomeOf((await isOver()) ? 'cancelled' : 'cancellation_scheduled');
  const endsAt = clock.now() + (wait === true ? MAX_WAIT_MS : Math.min(wait, MAX_WAIT_MS));
  for (let look = FIRST_LOOK_MS; ; look = Math.min(2 * look, LAST_LOOK_MS)) {
    if (await isOver()) return outcomeOf('cancelled');
    const left = endsAt - clock.now();
    if (left <= 0) return outcomeOf('cancellation_scheduled');
    signal?.throwIfAborted();
    await sleep(clock, Math.min(spread(clock, look, 0.2), left), signal);
    signal?.throwIfAborted();
  }
}

/** Whether a flow was cancelled with these options. One that has ended otherwise has no policy. */
const isCancelledBy = (
  stored: Extract<OutcomeOf<'cancelFlowHeader'>, { kind: 'already_terminal' }>,
  { reason = '', cancellationPolicy = 'cancel_all' }: CancelFlowOptions,
): boolean => stored.storedCancellationPolicy === cancellationPolicy && stored.storedCancelReason === reason;

/** States of members that the policy ends. */
export const statesToEnd = (policy: CancellationPolicy): readonly PublicState[] =>
  policy === 'flow_only' ? [] : policy === 'cancel_all' ? [...NOT_BEGUN, ...BEGUN] : NOT_BEGUN;

/** Number of members that the policy has yet to end. A flow that is gone has none. */
export const pendingMembersOf = (policy: CancellationPolicy, flow: AnswerOf<'describeFlow'>): number =>
  statesToEnd(policy).reduce((sum, state) => sum + (flow?.members[state] ?? 0), 0);
