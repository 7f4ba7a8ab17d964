/**
 * claimForWorker: takes the best work of a lane that a worker can do, in one step: selection, admission, attempt
 * and lease. Lapsed work comes first and starts a new attempt; interrupted work goes on with its attempt.
 * Spec 04 sections 3.2 to 3.4, spec 05 sections 6 to 9.
 *
 * Budget and quota admission belong in the loop, before `acquire`.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { facetCodec, type FacetCodec } from '../core/codec.js';
import { acceptAll, operation } from '../core/operation.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import type { Event } from '../events.js';
import { executionFacts, namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import { handleOf } from '../handle.js';
import { executionIdIn } from '../ids.js';
import { DEFAULTS, LIMITS, PRIORITY_STEP } from '../limits.js';
import type { View } from '../view.js';
import { isBeyondReclaim, MAX_RECLAIMS_EXCEEDED } from './reclaim-cap.js';
import { purgeAtOf } from './retention.js';
import { queueScore, type Offer } from './queue.js';

/** How a claim took an execution, and the letter under which that travels. */
export const CLAIM_KINDS = {
  /** A first attempt, a retry, or the first after a replay. */
  fresh: 'f',
  /** A new attempt after a lost owner. */
  reclaimed: 'c',
  /** The same attempt goes on. */
  resumed: 's',
} as const;

/** What is told of a claim of which the caller knows the rest: the first one of an execution without anything special. */
export const PLAIN_CLAIM = 'p';

/** What every such claim is. */
const PLAIN = {
  leaseEpoch: 1,
  attemptIndex: 0,
  claimKind: 'fresh',
  attemptType: 'initial',
  attemptTimeoutAt: undefined,
  attemptTimeoutRemainingMs: undefined,
  executionDeadlineAt: undefined,
} as const;

/** One execution in the hands of its new owner. */
export const claimedExecution = z.object({
  executionId: field.executionId,
  leaseId: field.uuid,
  leaseEpoch: field.leaseEpoch,
  attemptIndex: field.attemptIndex,
  attemptId: field.uuid,
  claimKind: field.wordOf(CLAIM_KINDS),
  leaseExpiresAt: field.timestampMs,
  executionKind: field.executionKind,
  /** How urgent it is: nothing that waited for the same lane and could be claimed with it is more so. */
  priority: field.priority,
  inputPayload: field.bytes,
  payloadEncoding: field.encoding.optional(),
  /** Absent when an attempt is resumed. */
  attemptType: field.wordOf(ATTEMPT_TYPES).optional(),
  /** Absent when the attempt has no timeout, or was claimed ahead: its time runs from `beginAttempt` on. */
  attemptTimeoutAt: field.timestampMs.optional(),
  /**
   * Of a claim that was made ahead: the time of the attempt, ms, which runs from `beginAttempt` on. Absent when the
   * attempt has no timeout, and so need not be begun.
   */
  attemptTimeoutRemainingMs: field.durationMs.optional(),
  executionDeadlineAt: field.timestampMs.optional(),
  tags: field.tags,
  /** Stands for the execution and its fence in every owner operation; there when the claim asked for handles. */
  handle: z.string().optional(),
});
export type ClaimedExecution = z.output<typeof claimedExecution>;
/** A claim that took something took one at least. */
type Taken = [ClaimedExecution, ...ClaimedExecution[]];

const args = z.object({
  partition: field.partitionKey,
  laneId: field.laneId,
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  workerCapabilities: field.capabilities.default([]),
  /** Kinds that the worker can run; any when absent (ruling 27). */
  kinds: field.kinds.optional(),
  leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
  /** The handlers begin later: `beginAttempt` starts the time of each attempt (ruling 25). */
  ahead: z.boolean().default(false),
  /** Whether what is claimed comes with handles. */
  handles: z.boolean().default(false),
  /** Takes nothing less urgent, but for lapsed work, which comes before every priority. Absent: takes any. */
  minPriority: field.priority.optional(),
  /** Ids for as many executions as the worker wants at most; minted by the caller. */
  claims: z
    .array(z.object({ leaseId: field.uuid, attemptId: field.uuid }))
    .min(1)
    .max(LIMITS.maxClaimCount),
});
type ClaimArgs = z.output<typeof args>;

const claimed = z.object({
  kind: z.literal('claimed'),
  executions: z.array(claimedExecution).min(1) as unknown as z.ZodType<Taken>,
  /** Executions that this call ended `failed` because their leases lapsed too often. */
  reclaimCapExceeded: z.array(field.executionId),
  /** Priority of the best work that `minPriority` kept this claim from; absent when there is none. */
  nextPriority: field.priority.optional(),
});
const noWork = z.object({
  kind: z.literal('no_work'),
  reclaimCapExceeded: z.array(field.executionId),
  nextPriority: field.priority.optional(),
});

const outcome = z.discriminatedUnion('kind', [
  withReader(claimed, readClaimed),
  withReader(noWork, (answer, args) => ({ kind: 'no_work', ...readRest(answer, args as ClaimArgs) })),
]);
type Outcome = z.output<typeof outcome>;

const NO_PAYLOAD = new Uint8Array(0);

const NONE: ReadonlySet<string> = new Set();
const offerOf = (kinds: readonly string[] | undefined, capabilities: readonly string[]): Offer => ({
  kinds: kinds === undefined ? undefined : new Set(kinds),
  capabilities: capabilities.length === 0 ? NONE : new Set(capabilities),
});

export const claimForWorker = operation({
  name: 'claimForWorker',
  args,
  outcome,
  rejects: [],
  partition: (args) => args.partition,
  keys: ({ laneId }) => [['queues', laneId], ['timers']],
  wire: {
    shared: [
      { worker: ['workerId', 'workerInstanceId'] },
      'laneId',
      'workerCapabilities',
      'kinds',
      'leaseTtlMs',
      'ahead',
      'minPriority',
    ],
    each: ['claims'],
  },
  memory: 'frees',
  order: 'last',
  takes: ({ laneId, claims }) => ({ laneId, count: claims.length }),
  issue({ handles, laneId, workerInstanceId, leaseTtlMs }, outcome, backend) {
    if (!handles || outcome.kind !== 'claimed') return outcome;
    const issuer = { backend, laneId, workerInstanceId, leaseTtlMs };
    const executions = outcome.executions.map((claimed) => ({ ...claimed, handle: handleOf(claimed, issuer) }));
    return { ...outcome, executions: executions as Taken };
  },
  joins: { list: 'claims', maxLength: LIMITS.maxClaimCount, share },
  decide(view, args, { now, settings }) {
    const offer = offerOf(args.kinds, args.workerCapabilities);
    const claimable = view.schedule.claimable(args.laneId, offer, args.claims.length);
    const candidates = urgentOf(claimable, args.minPriority, now);
    const ended = candidates.filter((execution) => isBeyondReclaim(execution));
    // Arrays of the size they need: one that grows reserves sixteen places, and most claims are of one execution.
    const executions = new Array<ClaimedExecution>(candidates.length - ended.length);
    const events = new Array<Event>(candidates.length);
    let taken = 0;
    for (const [position, execution] of candidates.entries()) {
      if (isBeyondReclaim(execution)) {
        events[position] = endOf(execution, now, settings.retentionMs);
      } else {
        const remainingMs = attemptTimeOf(execution);
        const claimed = acquire(view, execution, args, { position: taken, now, remainingMs });
        executions[taken++] = claimed;
        events[position] = acquisitionOf(claimed, args, now);
      }
    }
    const reclaimCapExceeded = ended.map(({ executionId }) => executionId);
    const nextPriority = claimable[candidates.length]?.priority;
    return taken === 0
      ? acceptAll({ kind: 'no_work', reclaimCapExceeded, nextPriority }, events)
      : acceptAll({ kind: 'claimed', executions: executions as Taken, reclaimCapExceeded, nextPriority }, events);
  },
});

/** Of work in the order of its scores, what is as urgent as that. */
function urgentOf(
  executions: readonly ReadonlyExecution[],
  minPriority: number | undefined,
  now: number,
): readonly ReadonlyExecution[] {
  if (minPriority === undefined) return executions;
  const bound = now - minPriority * PRIORITY_STEP;
  return executions.filter((execution) => queueScore(execution) <= bound);
}

/** Gives claims that were made as one their own: what a claim takes carries the lease id that was brought for it. */
function share(joined: Outcome, lists: readonly (readonly unknown[])[]): Outcome[] {
  const all = joined.kind === 'claimed' ? joined.executions : [];
  let next = 0;
  return lists.map((claims, index) => {
    const executions: ClaimedExecution[] = [];
    for (const { leaseId } of claims as readonly { leaseId: string }[]) {
      const execution = all[next];
      if (execution === undefined || execution.leaseId !== leaseId) continue;
      executions.push(execution);
      next++;
    }
    // What the claim ended is told once.
    const reclaimCapExceeded = index === 0 ? joined.reclaimCapExceeded : [];
    const { nextPriority } = joined;
    return executions.length === 0
      ? { kind: 'no_work', reclaimCapExceeded, nextPriority }
      : { kind: 'claimed', executions: executions as Taken, reclaimCapExceeded, nextPriority };
  });
}

/** Ends an execution that was lost too often. */
export function endOf(execution: ReadonlyExecution, now: number, retentionMs: number): Event {
  return {
    type: 'execution_failed',
    executionId: execution.executionId,
    at: now,
    ...namingOf(execution),
    failureReason: MAX_RECLAIMS_EXCEEDED,
    failureDetail: undefined,
    failureCategory: MAX_RECLAIMS_EXCEEDED,
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
}

/** How a claim takes the execution now. */
function claimKindOf(execution: ReadonlyExecution): ClaimedExecution['claimKind'] {
  return isReclaimable(execution.situation) ? 'reclaimed' : isResumed(execution) ? 'resumed' : 'fresh';
}

const isResumed = (execution: ReadonlyExecution): boolean =>
  !isReclaimable(execution.situation) && execution.nextAttempt === 'resume';

const PENDING_TYPES = { first: 'initial', retry: 'retry', replay: 'replay', resume: undefined } as const;

/** What kind of attempt a claim begins; nothing when the interrupted one goes on. */
function attemptTypeOf({ situation, nextAttempt }: ReadonlyExecution): ClaimedExecution['attemptType'] {
  return isReclaimable(situation) ? 'reclaim' : PENDING_TYPES[nextAttempt];
}

/** The time that the attempt has, ms; nothing when it has no timeout. */
export function attemptTimeOf(execution: ReadonlyExecution): number | undefined {
  if (isResumed(execution)) return execution.attemptTimeoutRemainingMs;
  return execution.policy?.timeoutPolicy?.attemptTimeoutMs;
}

/** What a claim says of its new owner. */
type Owner = Pick<ClaimArgs, 'workerId' | 'workerInstanceId' | 'leaseTtlMs' | 'ahead' | 'claims'>;

/** What an owner gets of the execution that it takes. */
export function acquire(
  view: View,
  execution: ReadonlyExecution,
  args: Owner,
  { position, now, remainingMs }: { position: number; now: number; remainingMs: number | undefined },
): ClaimedExecution {
  const ids = args.claims[position] as ClaimArgs['claims'][number];
  const resumed = isResumed(execution);
  return {
    executionId: execution.executionId,
    leaseId: ids.leaseId,
    leaseEpoch: execution.currentLeaseEpoch + 1,
    attemptIndex: resumed ? execution.totalAttemptCount - 1 : execution.totalAttemptCount,
    attemptId: resumed ? (execution.currentAttemptId ?? ids.attemptId) : ids.attemptId,
    claimKind: claimKindOf(execution),
    attemptType: attemptTypeOf(execution),
    leaseExpiresAt: now + args.leaseTtlMs,
    attemptTimeoutAt: remainingMs === undefined || args.ahead ? undefined : now + remainingMs,
    attemptTimeoutRemainingMs: args.ahead ? remainingMs : undefined,
    executionDeadlineAt: execution.executionDeadlineAt,
    executionKind: execution.executionKind,
    priority: execution.priority,
    payloadEncoding: execution.payloadEncoding,
    tags: execution.tags,
    inputPayload:
      execution.payloadBytes === 0 ? NO_PAYLOAD : (view.executions.input(execution.executionId) ?? NO_PAYLOAD),
  };
}

/** The event by which an owner takes an execution. */
export function acquisitionOf(
  claimed: ClaimedExecution,
  args: Pick<Owner, 'workerId' | 'workerInstanceId'>,
  now: number,
): Event {
  // One literal for both types: this is made for every claim. A resumed attempt has no type.
  return {
    type: claimed.attemptType === undefined ? 'execution_resumed' : 'execution_claimed',
    executionId: claimed.executionId,
    at: now,
    attemptType: claimed.attemptType,
    attemptId: claimed.attemptId,
    attemptIndex: claimed.attemptIndex,
    leaseId: claimed.leaseId,
    leaseEpoch: claimed.leaseEpoch,
    leaseExpiresAt: claimed.leaseExpiresAt,
    workerId: args.workerId,
    workerInstanceId: args.workerInstanceId,
    attemptTimeoutAt: claimed.attemptTimeoutAt,
    attemptTimeoutRemainingMs: claimed.attemptTimeoutRemainingMs,
  } as Event;
}

const NAMING = facetCodec(executionFacts.naming);
const GIVEN = facetCodec(executionFacts.given);
const BOUNDS = facetCodec(executionFacts.bounds);
const FENCE = facetCodec(executionFacts.fence);

const wordsOf = (letters: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(letters).map(([word, letter]) => [letter, word]));
/** Kinds of claims by their letters. */
export const CLAIM_KIND_OF = wordsOf(CLAIM_KINDS);
const TYPE_OF = wordsOf(ATTEMPT_TYPES);

/** Ids that an answer ends with, after how many they are. */
function readIds(answer: AnswerReader): string[] {
  return Array.from({ length: answer.number() }, () => executionIdIn(answer.partition, answer.text()));
}

/** The facets of an execution, as they are stored, and what the claim made of them. `ids` are those of the next claim. */
export function readExecution(
  answer: AnswerReader,
  leaseExpiresAt: number,
  ids: ClaimArgs['claims'][number],
): ClaimedExecution {
  const executionId = executionIdIn(answer.partition, answer.text());
  const how = answer.text();
  const { executionKind } = decoded(NAMING, answer.text());
  const { priority, payloadEncoding } = decoded(GIVEN, answer.text());
  const common = {
    executionId,
    leaseExpiresAt,
    executionKind,
    priority,
    payloadEncoding,
    inputPayload: answer.bytes() as Uint8Array,
  };
  if (how === PLAIN_CLAIM) return { ...common, ...PLAIN, leaseId: ids.leaseId, attemptId: ids.attemptId, tags: {} };
  const fence = decoded(FENCE, answer.text());
  const attemptIndex = answer.number();
  const attemptTimeoutAt = answer.optionalNumber();
  const attemptTimeoutRemainingMs = answer.optionalNumber();
  const { executionDeadlineAt } = decoded(BOUNDS, answer.text());
  const tags = answer.text();
  const claimKind = CLAIM_KIND_OF.get(how.slice(0, 1)) as ClaimedExecution['claimKind'];
  const attemptType = (TYPE_OF.get(how.slice(1)) ?? 'initial') as ClaimedExecution['attemptType'];
  return {
    ...common,
    leaseId: fence.currentLeaseId as string,
    leaseEpoch: fence.currentLeaseEpoch,
    attemptIndex,
    attemptId: fence.currentAttemptId as string,
    claimKind,
    attemptType: claimKind === 'resumed' ? undefined : attemptType,
    attemptTimeoutAt,
    attemptTimeoutRemainingMs,
    executionDeadlineAt,
    tags: tags === '' ? {} : (JSON.parse(tags) as Record<string, string>),
  };
}

function decoded(codec: FacetCodec, text: string): ReadonlyExecution {
  const facts: Record<string, unknown> = {};
  codec.decode(text, facts);
  return facts as unknown as ReadonlyExecution;
}

/** What an answer ends with: what the claim ended, and what a bounded one was kept from. */
function readRest(
  answer: AnswerReader,
  { minPriority }: ClaimArgs,
): { reclaimCapExceeded: string[]; nextPriority: number | undefined } {
  const reclaimCapExceeded = readIds(answer);
  return { reclaimCapExceeded, nextPriority: minPriority === undefined ? undefined : answer.optionalNumber() };
}

function readClaimed(answer: AnswerReader, args: ClaimArgs): Outcome {
  const { claims } = args;
  const leaseExpiresAt = answer.number();
  const executions = Array.from({ length: answer.number() }, (_, index) =>
    readExecution(answer, leaseExpiresAt, claims[index] as ClaimArgs['claims'][number]),
  );
  return { kind: 'claimed', executions: executions as Taken, ...readRest(answer, args) };
}
