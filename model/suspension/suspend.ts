/**
 * suspendExecution: a worker lets go of its attempt until a condition is satisfied. The attempt goes on when the execution
 * is claimed again; the rest of its time is kept. Where signals that were kept for its waitpoint satisfy the condition
 * already, the worker keeps its lease and goes on at once. A call that is repeated after a lost reply is known by its
 * suspension id, or by the name that its caller gave it. Spec 06 section 6.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../core/operation.js';
import { echoed, withReader, withWireForm, type AnswerReader } from '../core/wire-form.js';
import { attemptTimeRemaining } from '../execution/parking.js';
import type { ReadonlyExecution } from '../execution/facts.js';
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
  /** One that \`createPendingWaitpoint\` made. */
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
  .object({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    /** Minted by the caller. */
    suspensionId: field.plainUuid,
    /** New waitpoints, ids minted by the caller, the first is the primary one; or one that was made before. */
    waitpoints,
    resumeCondition,
    reasonCode: field.wordOf(SUSPEND_REASONS).default('waiting_for_signal'),
    requestedBy: field.wordOf(SUSPEND_REQUESTERS).default('worker'),
    /**
     * When waiting is over, ms since the epoch; when the execution's policy says (`suspensionPolicy`), or never, when absent. One in
     * the past is over at the next pass.
     */
    timeoutAt: field.timestampMs.optional(),
    timeoutBehavior: field.wordOf(TIMEOUT_BEHAVIORS).optional(),
    resumePolicy,
    /** The caller's word for where it goes on: kept, shown, and not read. */
    continuationMetadataPointer: field.looseLabel.default(''),
    /** Kept signals that the worker has looked at. When there are more, it is refused: look at them first. */
    seenSignals: field.count.optional(),
    /** The caller's own name for it, none when empty: the same request again is answered like the first one. */
    idempotencyKey: field.looseLabel.default(''),
    /** Waitpoints of the execution, over its life, from which on a further one is refused. */
    maxWaitpointsPerExecution: field.maxWaitpoints,
    /** Answers the tokens of the waitpoints, under the key that is current. */
    tokens: z.boolean().default(false),
    /** Of the owner, where the caller passed one: it is answered in its suspended form. */
    handle: z.string().optional(),
    handleKind: z.enum(HANDLE_KINDS).optional(),
  })
  .superRefine((request, context) => {
    if (request.handleKind === 'suspended') {
      const message = 'is of work that is suspended';
      context.addIssue({ code: 'custom', path: ['handle'], message, params: { code: 'already_suspended' } });
      return;
    }
    const fault = faultOf(request);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault, params: { reason: fault } });
  });
type Args = z.output<typeof args>;

const answered = {
  executionId: echoed(field.executionId),
  suspensionId: field.plainUuid,
  /** In the order in which they were given; tokens when they were asked for. */
  waitpoints: z.array(
    z.object({ waitpointId: z.string(), waitpointKey: z.string(), token: z.instanceof(WaitpointToken).optional() }),
  ),
  /** For `observeSignals` once the attempt goes on; where the caller passed a handle and let go. */
  handle: z.string().optional(),
  /** A repeated request whose suspension is over. */
  superseded: z.boolean(),
};

const suspended = z.object({ kind: z.literal('suspended'), publicState: z.literal('suspended'), ...answered });
/** Signals that were kept satisfied the condition: the caller owns the execution as before. \`observeSignals\` gives them. */
const satisfied = z.object({ kind: z.literal('already_satisfied'), ...answered });
type Outcome = z.output<typeof suspended> | z.output<typeof satisfied>;

type Kind = Outcome['kind'];

/** What a suspension answers. */
function outcomeOf(
  kind: Kind,
  executionId: string,
  facts: Pick<Outcome, 'suspensionId' | 'waitpoints' | 'superseded'>,
) {
  const outcome: Outcome =
    kind === 'suspended' ? { kind, publicState: 'suspended', executionId, ...facts } : { kind, executionId, ...facts };
  return outcome;
}

/** An answer says what the caller does not know: nothing more of a new suspension of new waitpoints without tokens. */
const reads = (kind: Kind) => (answer: AnswerReader, request: Args) => {
  const suspensionId = answer.text();
  if (suspensionId === '') {
    const waitpoints = (request.waitpoints as readonly Binding[] as readonly Told[]).map(
      ({ waitpointId, waitpointKey }) => ({ waitpointId, waitpointKey }),
    );
    return outcomeOf(kind, request.executionId, { suspensionId: request.suspensionId, waitpoints, superseded: false });
  }
  const superseded = answer.text() !== '';
  const texts = answer.texts();
  const waitpoints: Outcome['waitpoints'] = [];
  for (let i = 0; i + 2 < texts.length; i += 3) {
    const [waitpointId, waitpointKey, token] = texts.slice(i, i + 3) as [string, string, string];
    waitpoints.push({ waitpointId, waitpointKey, ...(token !== '' && { token: new WaitpointToken(token) }) });
  }
  return outcomeOf(kind, request.executionId, { suspensionId, waitpoints, superseded });
};

/** Waitpoints as they are answered. */
function told(view: View, waiting: Waiting | undefined, bindings: readonly Told[], tokens: boolean, now: number) {
  return bindings.map(({ waitpointId, waitpointKey }) => {
    const createdAt = waiting?.waitpoints[waitpointId]?.createdAt ?? now;
    const token = tokens ? currentTokenOf(view, { waitpointId, waitpointKey, createdAt }) : undefined;
    return { waitpointId, waitpointKey, ...(token !== undefined && { token }) };
  });
}

interface Told {
  readonly waitpointId: string;
  readonly waitpointKey: string;
}

const keysIn = (waiting: Waiting | undefined, ids: readonly string[]): Told[] =>
  ids.map((waitpointId) => ({ waitpointId, waitpointKey: waiting?.waitpoints[waitpointId]?.waitpointKey ?? '' }));

/** What this very call was answered before, if it was. */
function earlier({ situation, waiting }: ReadonlyExecution, { suspensionId }: Args): Kind | undefined {
  const suspension = waiting?.suspension;
  if (suspension?.suspensionId !== suspensionId) return undefined;
  if (situation === 'suspended') return 'suspended';
  // Who resumed it has another epoch: this owner never let go.
  return situation === 'running' ? 'already_satisfied' : undefined;
}

/** The waitpoints of a request with their keys, or why they cannot be used. */
function bindingsOf(waiting: Waiting | undefined, args: Args, now: number) {
  const { waitpoints, resumeCondition, maxWaitpointsPerExecution } = args;
  const [primary] = waitpoints as readonly Binding[] as readonly [Binding];
  const known = (id: string) => waiting?.waitpoints[id];
  if (primary.usePending === undefined) {
    const fresh = waitpoints as readonly Binding[] as readonly Told[];
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

/** What signals that were kept for the waitpoint mean for the condition. */
function folded(waiting: Waiting | undefined, condition: string, [primary]: readonly Told[]) {
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
    ],
  },
  memory: 'adds',
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
    const known = args.idempotencyKey === '' ? undefined : waiting?.suspendKeys[args.idempotencyKey];
    if (known !== undefined && known.keyExpiresAt > now) {
      if (known.digest !== digest) return reject('idempotency_conflict');
      const superseded = waiting?.suspension?.suspensionId !== known.suspensionId || isOver(execution, known.isSkipped);
      const waitpoints = told(view, waiting, keysIn(waiting, known.waitpointIds), tokens, now);
      const facts = { suspensionId: known.suspensionId, waitpoints, superseded };
      return accept(outcomeOf(known.isSkipped ? 'already_satisfied' : 'suspended', executionId, facts));
    }
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const repeated = wasLastOwner(execution, args.fence) ? earlier(execution, args) : undefined;
    if (repeated !== undefined) {
      const ids = waiting?.suspension?.waitpointIds ?? [];
      const waitpoints = told(view, waiting, keysIn(waiting, ids), tokens, now);
      return accept(outcomeOf(repeated, executionId, { suspensionId, waitpoints, superseded: false }));
    }
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    if (execution.keptSignalCount > (args.seenSignals ?? Infinity)) return reject('signals_arrived');
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
      waitpoints: bindingsText(bindings),
      condition,
      progress: progress.join('\n'),
      folded: foldedText(effects),
      suspendKey: args.idempotencyKey,
      suspendDigest: args.idempotencyKey === '' ? '' : digest,
      suspendKeyExpiresAt: args.idempotencyKey === '' ? undefined : keyExpiryOf(timeout.timeoutAt, now),
    };
    const waitpoints = told(view, waiting, bindings, tokens, now);
    const outcome = outcomeOf(isSatisfied ? 'already_satisfied' : 'suspended', executionId, {
      ...{ suspensionId, waitpoints, superseded: false },
    });
    if (isSatisfied) return accept(outcome, { type: 'suspension_skipped', ...facts });
    const attemptTimeoutRemainingMs = attemptTimeRemaining(execution, now);
    return accept(outcome, { type: 'execution_suspended', ...facts, attemptTimeoutRemainingMs });
  },
});

/** Whether what a suspension answered is no longer so. */
const isOver = ({ situation, waiting }: ReadonlyExecution, isSkipped: boolean): boolean =>
  isSkipped ? situation !== 'running' : waiting?.suspension?.closing !== undefined;
