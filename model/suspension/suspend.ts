/**
 * suspendExecution: a worker suspends its attempt until a condition is satisfied. The attempt resumes when the
 * execution is claimed again, with the remaining time of its timeout. If buffered signals of its waitpoint already
 * satisfy the condition, the worker keeps its lease and continues at once. A call that is repeated after a lost reply
 * is recognised by its suspension id or its idempotency key. Spec 06 section 6.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { ownMember } from '../core/own-member.js';
import { accept, operation, reject } from '../operation.js';
import { echoed, withReader, withWireForm, type AnswerReader } from '../core/wire-form.js';
import { attemptTimeRemaining } from '../execution/parking.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isRunnable } from '../execution/situation.js';
import { decodeHandle, encodeHandle, HANDLE_KINDS } from '../handle.js';
import { partitionOfExecution } from '../ids.js';
import { fenceShape, wasLastOwner, WORK_REJECTIONS, workVerdict } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { currentTokenOf, WaitpointToken } from '../signing/token.js';
import type { View } from '../view.js';
import { compileCondition, foldSignals, resumeConditionSchema, type ResumeCondition } from './condition.js';
import { SUSPEND_REASONS, SUSPEND_REQUESTERS, TIMEOUT_BEHAVIORS, type Waiting } from './facts.js';
import { digestOfRequest, keyExpiryOf } from './once.js';
import { resumePolicy, timeoutOf } from './policy.js';
import { bindingsText, foldedText } from './recipes.js';
import { faultOf, faultOfKey, type Binding } from './validation.js';

const binding = z.union([
  z.strictObject({ waitpointId: field.plainUuid, waitpointKey: field.looseLabel }),
  /** A waitpoint of `createPendingWaitpoint`. */
  z.strictObject({ waitpointId: field.plainUuid, usePending: z.literal(true) }),
]);

const waitpoints = withWireForm(z.array(binding).max(LIMITS.maxWaitpoints), {
  texts: ['waitpoints'],
  encode: (value) => [bindingsText(value as Binding[])],
});

const resumeCondition = withWireForm(resumeConditionSchema, {
  texts: ['condition'],
  encode: (value) => [compileCondition(value as ResumeCondition)],
});

const args = z
  .strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    /** Minted by the caller for this suspension: one that was used before is refused. */
    suspensionId: field.plainUuid,
    /** New waitpoints with ids minted by the caller, the primary one first; or one existing unused waitpoint. */
    waitpoints,
    resumeCondition,
    reasonCode: field.wordOf(SUSPEND_REASONS).default('waiting_for_signal'),
    requestedBy: field.wordOf(SUSPEND_REQUESTERS).default('worker'),
    /**
     * When the suspension times out, ms since the epoch. Default: as the policy of the execution says
     * (`suspensionPolicy`), or never. A time in the past takes effect at the next pass over due work.
     */
    timeoutAt: field.timestampMs.optional(),
    timeoutBehavior: field.wordOf(TIMEOUT_BEHAVIORS).optional(),
    resumePolicy,
    /** The caller's label of the continuation: stored and shown, never interpreted. */
    continuationMetadataPointer: field.looseLabel.default(''),
    /** Number of kept signals that the worker has read. The suspension is refused while there are more. */
    seenSignals: field.count.optional(),
    /**
     * Also resume once so many children have ended, those that ended before included, or when one ends without
     * completing. Requires `seenChildren`. Refused where fewer children exist.
     */
    awaitedChildren: field.count.default(0),
    /** Number of ended children that the worker has seen. The suspension is refused when there are more. */
    seenChildren: field.count.optional(),
    /** A repeated request with the same key gets the same answer; no key when empty. */
    idempotencyKey: field.looseLabel.default(''),
    /** Most waitpoints of the execution over its life: a further one is refused. */
    maxWaitpointsPerExecution: field.maxWaitpoints,
    /** Return the tokens of the waitpoints, signed with the current key. */
    tokens: z.boolean().default(false),
    /** The owner's handle, if the caller uses one; the outcome has its suspended form. */
    handle: z.string().optional(),
    handleKind: z.enum(HANDLE_KINDS).optional(),
  })
  .superRefine((request, context) => {
    if (request.handleKind === 'suspended') {
      const message = 'is of work that is suspended';
      context.addIssue({ code: 'custom', path: ['handle'], message, params: { code: 'already_suspended' } });
      return;
    }
    const { awaitedChildren, seenChildren = Infinity } = request;
    if (awaitedChildren > 0 && awaitedChildren <= seenChildren) {
      const message = 'must be more than seenChildren, which is to be given';
      context.addIssue({ code: 'custom', path: ['awaitedChildren'], message });
      return;
    }
    const fault = faultOf(request);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault, params: { reason: fault } });
  });
type Args = z.output<typeof args>;

const answered = {
  executionId: echoed(field.executionId),
  suspensionId: field.plainUuid,
  /** In the order of the request; with tokens if requested. */
  waitpoints: z.array(
    z.object({
      waitpointId: z.string(),
      waitpointKey: z.string(),
      waitpointToken: z.instanceof(WaitpointToken).optional(),
    }),
  ),
  /** For `observeSignals` once the attempt resumes; if the caller passed a handle and was suspended. */
  handle: z.string().optional(),
  /** The request is a repetition, and its suspension is over. */
  superseded: z.boolean(),
};

const suspended = z.object({ kind: z.literal('suspended'), publicState: z.literal('suspended'), ...answered });
/** Buffered signals satisfied the condition: the caller still owns the execution. `observeSignals` returns them. */
const satisfied = z.object({ kind: z.literal('already_satisfied'), ...answered });
type Outcome = z.output<typeof suspended> | z.output<typeof satisfied>;

type Kind = Outcome['kind'];

/** The outcome of a suspension. */
function outcomeOf(
  kind: Kind,
  executionId: string,
  facts: Pick<Outcome, 'suspensionId' | 'waitpoints' | 'superseded'>,
) {
  const outcome: Outcome =
    kind === 'suspended' ? { kind, publicState: 'suspended', executionId, ...facts } : { kind, executionId, ...facts };
  return outcome;
}

/** An answer omits what the caller knows, which is all of a new suspension of new waitpoints without tokens. */
const reads = (kind: Kind) => (answer: AnswerReader, request: Args) => {
  const suspensionId = answer.text();
  if (suspensionId === '') {
    const waitpoints = (request.waitpoints as readonly Binding[] as readonly NamedWaitpoint[]).map(
      ({ waitpointId, waitpointKey }) => ({ waitpointId, waitpointKey }),
    );
    return outcomeOf(kind, request.executionId, { suspensionId: request.suspensionId, waitpoints, superseded: false });
  }
  const superseded = answer.text() !== '';
  const texts = answer.texts();
  const waitpoints: Outcome['waitpoints'] = [];
  for (let i = 0; i + 2 < texts.length; i += 3) {
    const [waitpointId, waitpointKey, token] = texts.slice(i, i + 3) as [string, string, string];
    waitpoints.push({ waitpointId, waitpointKey, ...(token !== '' && { waitpointToken: new WaitpointToken(token) }) });
  }
  return outcomeOf(kind, request.executionId, { suspensionId, waitpoints, superseded });
};

/** The waitpoints of the outcome. */
function waitpointsOf(
  view: View,
  waiting: Waiting | undefined,
  bindings: readonly NamedWaitpoint[],
  tokens: boolean,
  now: number,
) {
  return bindings.map(({ waitpointId, waitpointKey }) => {
    const createdAt = waiting?.waitpoints[waitpointId]?.createdAt ?? now;
    const waitpointToken = tokens ? currentTokenOf(view, { waitpointId, waitpointKey, createdAt }) : undefined;
    return { waitpointId, waitpointKey, ...(waitpointToken !== undefined && { waitpointToken }) };
  });
}

interface NamedWaitpoint {
  readonly waitpointId: string;
  readonly waitpointKey: string;
}

const keysIn = (waiting: Waiting | undefined, ids: readonly string[]): NamedWaitpoint[] =>
  ids.map((waitpointId) => ({ waitpointId, waitpointKey: waiting?.waitpoints[waitpointId]?.waitpointKey ?? '' }));

/** The kind of the earlier answer, if this call is a repetition. */
function earlier(
  { situation, nextAttempt, waiting, currentLeaseEpoch }: ReadonlyExecution,
  { suspensionId }: Args,
): Kind | undefined {
  const suspension = waiting?.suspension;
  if (suspension?.suspensionId !== suspensionId) return undefined;
  if (situation === 'suspended') return 'suspended';
  const isParked = isRunnable(situation) && nextAttempt === 'resume';
  if (situation !== 'running' && !isParked) return undefined;
  // A satisfied suspension left the owner at work.
  if (suspension.closing?.keptEpoch === currentLeaseEpoch) return 'already_satisfied';
  return isParked ? 'suspended' : undefined;
}

/** Whether the id is that of the last suspension, or of a signal, as an earlier suspension that timed out has left. */
const isTaken = (waiting: Waiting | undefined, suspensionId: string): boolean =>
  waiting?.suspension?.suspensionId === suspensionId || waiting?.signals[suspensionId] !== undefined;

/** The waitpoints of a request with their keys, or why they cannot be used. */
function bindingsOf(waiting: Waiting | undefined, args: Args, now: number) {
  const { waitpoints, resumeCondition, maxWaitpointsPerExecution } = args;
  const [primary] = waitpoints as readonly Binding[] as readonly [Binding];
  const known = (id: string) => waiting?.waitpoints[id];
  if (primary.usePending === undefined) {
    const fresh = waitpoints as readonly Binding[] as readonly NamedWaitpoint[];
    const taken = fresh.find(({ waitpointId }) => known(waitpointId) !== undefined);
    if (taken !== undefined) return reject('waitpoint_already_exists', { waitpointId: taken.waitpointId });
    if ((waiting?.waitpointCount ?? 0) + fresh.length > maxWaitpointsPerExecution)
      return reject('waitpoint_limit_exceeded', { limit: 'execution' });
    return fresh;
  }
  const pending = known(primary.waitpointId);
  if (pending === undefined) return reject('waitpoint_not_found');
  if (pending.waitpointState !== 'pending') return reject('waitpoint_not_pending');
  if ((pending.expiresAt ?? Infinity) <= now) return reject('pending_waitpoint_expired');
  const fault = faultOfKey(compileCondition(resumeCondition), pending.waitpointKey);
  if (fault !== undefined) return reject('invalid_input', { field: 'resumeCondition', reason: fault });
  return [{ waitpointId: primary.waitpointId, waitpointKey: pending.waitpointKey }];
}

/** Evaluates the buffered signals of the waitpoint for the condition. */
function folded(waiting: Waiting | undefined, condition: string, [primary]: readonly NamedWaitpoint[]) {
  const { waitpointId = '', waitpointKey = '' } = primary ?? {};
  const kept = Object.entries(waiting?.signals ?? {})
    .filter(([, signal]) => signal.waitpointId === waitpointId)
    .sort(([, { place: a }], [, { place: b }]) => a - b)
    .map(([signalId, signal]) => ({ signalId, waitpointKey, ...signal }));
  return foldSignals(condition, kept);
}

export const suspendExecution = operation({
  name: 'suspendExecution',
  args,
  outcome: z.discriminatedUnion('kind', [
    withReader(suspended, reads('suspended')),
    withReader(satisfied, reads('already_satisfied')),
  ]),
  rejects: [
    'execution_not_found',
    ...WORK_REJECTIONS,
    'signals_arrived',
    'children_ended',
    'idempotency_conflict',
    'waitpoint_already_exists',
    'waitpoint_limit_exceeded',
    'waitpoint_not_found',
    'waitpoint_not_pending',
    'pending_waitpoint_expired',
    'invalid_input',
    'hmac_secret_not_initialized',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: [
      'executionId',
      'fence',
      'attemptIndex',
      'suspensionId',
      'waitpoints',
      'resumeCondition',
      'reasonCode',
      'requestedBy',
      'timeoutAt',
      'timeoutBehavior',
      'resumePolicy',
      'continuationMetadataPointer',
      'idempotencyKey',
      'tokens',
      'maxWaitpointsPerExecution',
      'seenSignals',
      'awaitedChildren',
      'seenChildren',
    ],
  },
  memory: 'adds',
  units: ({ waitpoints: { length } }) => Math.max(1, length),
  issue({ handle }, outcome, backend) {
    if (handle === undefined || outcome.kind !== 'suspended') return outcome;
    return { ...outcome, handle: encodeHandle({ ...decodeHandle(handle, backend), kind: 'suspended' }) };
  },
  decide(view, args, { now }) {
    const { executionId, suspensionId, tokens } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const { waiting } = execution;
    const condition = compileCondition(args.resumeCondition);
    const digest = digestOfRequest(args, condition);
    const known = args.idempotencyKey === '' ? undefined : ownMember(waiting?.suspendKeys, args.idempotencyKey);
    if (known !== undefined && known.keyExpiresAt > now) {
      if (known.digest !== digest) return reject('idempotency_conflict');
      const superseded = waiting?.suspension?.suspensionId !== known.suspensionId || isOver(execution, known.isSkipped);
      const waitpoints = waitpointsOf(view, waiting, keysIn(waiting, known.waitpointIds), tokens, now);
      const facts = { suspensionId: known.suspensionId, waitpoints, superseded };
      return accept(outcomeOf(known.isSkipped ? 'already_satisfied' : 'suspended', executionId, facts));
    }
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const repeated = wasLastOwner(execution, args.fence) ? earlier(execution, args) : undefined;
    if (repeated !== undefined) {
      const ids = waiting?.suspension?.waitpointIds ?? [];
      const waitpoints = waitpointsOf(view, waiting, keysIn(waiting, ids), tokens, now);
      const superseded = isRunnable(execution.situation);
      return accept(outcomeOf(repeated, executionId, { suspensionId, waitpoints, superseded }));
    }
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    if (execution.keptSignalCount > (args.seenSignals ?? Infinity)) return reject('signals_arrived');
    if (execution.endedChildren > (args.seenChildren ?? Infinity)) return reject('children_ended');
    if (args.awaitedChildren > execution.endedChildren + execution.openChildren)
      return reject('invalid_input', { field: 'awaitedChildren', openChildren: String(execution.openChildren) });
    if (isTaken(waiting, suspensionId)) return reject('idempotency_conflict', { suspensionId });
    const bindings = bindingsOf(waiting, args, now);
    if ('ok' in bindings) return bindings;
    if (tokens && view.signing.current() === undefined) return reject('hmac_secret_not_initialized');
    const { effects, progress, isSatisfied } = folded(waiting, condition, bindings);
    const timeout = timeoutOf(execution, args, now);
    const facts = {
      executionId,
      at: now,
      suspensionId,
      attemptIndex: execution.totalAttemptCount - 1,
      reasonCode: args.reasonCode,
      suspendedBy: args.requestedBy,
      ...timeout,
      resumeDelayMs: args.resumePolicy.resumeDelayMs,
      keepsSignals: !args.resumePolicy.consumeMatchedSignals,
      retainsBuffer: args.resumePolicy.retainSignalBufferUntilClosed,
      continuationPointer: args.continuationMetadataPointer,
      awaitedChildren: args.awaitedChildren,
      waitpoints: bindingsText(bindings),
      condition,
      progress: progress.join('\n'),
      folded: foldedText(effects),
      suspendKey: args.idempotencyKey,
      suspendDigest: args.idempotencyKey === '' ? '' : digest,
      suspendKeyExpiresAt: args.idempotencyKey === '' ? undefined : keyExpiryOf(timeout.timeoutAt, now),
    };
    const waitpoints = waitpointsOf(view, waiting, bindings, tokens, now);
    const outcome = outcomeOf(isSatisfied ? 'already_satisfied' : 'suspended', executionId, {
      ...{ suspensionId, waitpoints, superseded: false },
    });
    if (isSatisfied) return accept(outcome, { type: 'suspension_skipped', ...facts });
    const attemptTimeoutRemainingMs = attemptTimeRemaining(execution, now);
    return accept(outcome, { type: 'execution_suspended', ...facts, attemptTimeoutRemainingMs });
  },
});

/** Whether an earlier answer is out of date. */
const isOver = ({ situation, waiting }: ReadonlyExecution, isSkipped: boolean): boolean =>
  isSkipped ? situation !== 'running' : waiting?.suspension?.closing !== undefined;
