/**
 * claimForWorker: takes the best work of a lane that a worker can do, in one step: selection, admission, attempt and
 * lease. Lapsed work comes first and starts a new attempt; interrupted work resumes its attempt. Spec 04 sections 3.2
 * to 3.4, spec 05 sections 6 to 9. Metered work is claimed by its meter set, with lease ids that every quota policy of
 * the set has admitted (ruling 19); a claim without a set takes only unmetered work.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation, reject } from '../operation.js';
import { present } from '../core/present.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import { EngineError } from '../errors.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { handleOf } from '../handle.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { meterSet } from '../metering/meters.js';
import { shortIdOf } from '../short-id.js';
import type { View } from '../view.js';
import { cancellationOf } from '../flow/cancellation.js';
import { roomOfClaim, type Room } from '../flow/given.js';
import { owedCancel } from '../flow/owed.js';
import { acquire, acquisitionOf, attemptTimeOf, endOf } from './acquire.js';
import { readExecution, readId, readIds } from './claim-answer.js';
import { claimedExecution, claimIds, type ClaimedExecution, type ClaimIds } from './claimed.js';
import { lastScoreOf, queueScore, type ClaimTerms } from './queue.js';
import { isBeyondReclaim } from './reclaim-cap.js';

/** A claim that took something took at least one. */
type Taken = [ClaimedExecution, ...ClaimedExecution[]];

const args = z.strictObject({
  partition: field.partitionKey,
  laneId: field.laneId,
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  workerCapabilities: field.capabilities.default([]),
  /** Kinds that the worker can run; any when absent (ruling 27). */
  kinds: field.kinds.optional(),
  leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
  /** The handlers start later: `beginAttempt` starts each attempt's timeout (ruling 25), as for what its owner fetches. */
  ahead: z.boolean().default(false),
  /** Whether the answer includes handles. */
  handles: z.boolean().default(false),
  /** Takes nothing less urgent, except lapsed work, which precedes every priority. Absent: takes any. */
  minPriority: field.priority.optional(),
  /** Takes only work of this meter set, with lease ids that its policies have admitted; absent: only unmetered work. */
  meters: meterSet.optional(),
  /** Ids for as many executions as the worker wants; minted by the caller. A lease id is good for one of them. */
  claims: z
    .array(claimIds)
    .min(1)
    .max(LIMITS.maxClaimCount)
    .refine((claims) => claims.length === 1 || new Set(claims.map(({ leaseId }) => leaseId)).size === claims.length, {
      error: 'must name no lease twice',
    }),
});
type ClaimArgs = z.output<typeof args>;

/**
 * Executions that this call ended `cancelled`, because their flow had still to cancel them; absent when there are none. Work
 * behind them may be claimable: a worker with free slots claims again.
 */
const cancelled = z.array(field.executionId).optional();

/**
 * Executions with unreadable records, which this call put in quarantine, or which only its caller cannot read; absent
 * when there are none.
 */
const setAside = z.array(z.string()).optional();

const claimed = z.object({
  kind: z.literal('claimed'),
  executions: z.array(claimedExecution).min(1) as unknown as z.ZodType<Taken>,
  /** Executions that this call ended `failed`, because they reached their reclaim cap. */
  reclaimCapExceeded: z.array(field.executionId),
  cancelled,
  setAside,
  /** Priority of the best work that `minPriority` excluded; absent when there is none. */
  nextPriority: field.priority.optional(),
});
const noWork = z.object({
  kind: z.literal('no_work'),
  reclaimCapExceeded: z.array(field.executionId),
  cancelled,
  setAside,
  nextPriority: field.priority.optional(),
});

const outcome = z.discriminatedUnion('kind', [
  withReader(claimed, readClaimed),
  withReader(noWork, (answer, args) => ({ kind: 'no_work', ...readRest(answer, args as ClaimArgs) })),
]);
type Outcome = z.output<typeof outcome>;

const NONE: ReadonlySet<string> = new Set();
const termsOf = ({ kinds, workerCapabilities: capabilities, meters }: ClaimArgs): ClaimTerms => ({
  meters: meters ?? '',
  kinds: kinds === undefined ? undefined : new Set(kinds),
  capabilities: capabilities.length === 0 ? NONE : new Set(capabilities),
});

export const claimForWorker = operation({
  name: 'claimForWorker',
  args,
  outcome,
  rejects: ['admission_void'],
  partition: (args) => args.partition,
  wire: {
    shared: [
      { worker: ['workerId', 'workerInstanceId'] },
      'laneId',
      'workerCapabilities',
      'kinds',
      'leaseTtlMs',
      'ahead',
      'minPriority',
      'meters',
    ],
    each: ['claims'],
  },
  memory: 'frees',
  cascadesLater: true,
  order: 'last',
  units: ({ claims }) => claims.length,
  takes: ({ laneId, claims, meters }) => (meters === undefined ? { laneId, count: claims.length } : undefined),
  issue({ handles, laneId, workerInstanceId, leaseTtlMs }, outcome, backend) {
    if (!handles || outcome.kind !== 'claimed') return outcome;
    const issuer = { backend, laneId, workerInstanceId, leaseTtlMs };
    const executions = outcome.executions.map((claimed) => ({ ...claimed, handle: handleOf(claimed, issuer) }));
    return { ...outcome, executions: executions as Taken };
  },
  joins: {
    list: 'claims',
    maxLength: LIMITS.maxClaimCount,
    // One void admission refuses a whole claim of metered work.
    accepts: ({ meters }) => meters === undefined,
    share,
  },
  decide(view, args, { now, settings }) {
    if (args.meters !== undefined && namesUsedAdmission(view, args.claims)) return reject('admission_void');
    const claimable = view.schedule.claimable(args.laneId, termsOf(args), args.claims.length);
    const candidates = urgentOf(claimable, args.minPriority, now);
    const executions: ClaimedExecution[] = [];
    const reclaimCapExceeded: string[] = [];
    const cancelled: string[] = [];
    let room: Room | undefined;
    const events = candidates.map((execution): Event => {
      const owed = owedCancel(view, execution);
      if (owed !== undefined) {
        cancelled.push(execution.executionId);
        return cancellationOf(execution, owed, now, settings.retentionMs);
      }
      if (isBeyondReclaim(execution)) {
        reclaimCapExceeded.push(execution.executionId);
        return endOf(execution, now, settings.retentionMs);
      }
      const remainingMs = attemptTimeOf(execution);
      room ??= execution.flow === undefined && execution.currentLeaseEpoch === 0 ? undefined : roomOfClaim();
      const claimed = acquire(view, execution, args, { position: executions.length, now, remainingMs }, room);
      executions.push(claimed);
      return acquisitionOf(claimed, args, now, args.meters === undefined ? undefined : execution.meters);
    });
    const nextPriority = claimable[candidates.length]?.priority;
    return acceptAll(
      claimOutcome(executions, { reclaimCapExceeded, cancelled: someOf(cancelled), setAside: undefined, nextPriority }),
      events,
    );
  },
});

/** Whether one of these admissions was used before or voided. An admission is good for one claim. */
function namesUsedAdmission(view: View, claims: readonly ClaimIds[]): boolean {
  return claims.some(({ leaseId }) => view.metering.admission(shortIdOf(leaseId)) !== undefined);
}

/** Of work in score order, the part that is at least this urgent. */
function urgentOf(
  executions: readonly ReadonlyExecution[],
  minPriority: number | undefined,
  now: number,
): readonly ReadonlyExecution[] {
  if (minPriority === undefined) return executions;
  const bound = lastScoreOf(minPriority, now);
  return executions.filter((execution) => queueScore(execution) <= bound);
}

/** Splits the answer to joined claims: each execution goes to the claim that brought its lease id. */
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
    const { reclaimCapExceeded, cancelled, setAside, nextPriority } = joined;
    // Other executions are reported to one of the claims.
    const others =
      index === 0
        ? { reclaimCapExceeded, cancelled, setAside }
        : { reclaimCapExceeded: [], cancelled: undefined, setAside: undefined };
    return claimOutcome(executions, { ...others, nextPriority });
  });
}

/** The parts of an answer beside the executions. */
interface Rest {
  readonly reclaimCapExceeded: string[];
  readonly cancelled: string[] | undefined;
  readonly setAside: string[] | undefined;
  readonly nextPriority: number | undefined;
}

const claimOutcome = (executions: ClaimedExecution[], rest: Rest): Outcome =>
  executions.length === 0
    ? { kind: 'no_work', ...rest }
    : { kind: 'claimed', executions: executions as Taken, ...rest };

const someOf = (ids: string[]): string[] | undefined => (ids.length === 0 ? undefined : ids);

/** The end of an answer: ended and unreadable executions, and the priority that a bounded claim left behind. */
function readRest(answer: AnswerReader, { minPriority }: ClaimArgs): Rest {
  const reclaimCapExceeded = readIds(answer);
  const cancelled = someOf(readIds(answer));
  const setAside = someOf(readIds(answer));
  return {
    reclaimCapExceeded,
    cancelled,
    setAside,
    nextPriority: minPriority === undefined ? undefined : answer.optionalNumber(),
  };
}

function readClaimed(answer: AnswerReader, args: ClaimArgs): Outcome {
  const { claims } = args;
  const leaseExpiresAt = answer.number();
  const count = answer.number();
  const executions: ClaimedExecution[] = [];
  const damaged: string[] = [];
  for (let index = 0; index < count; index++) {
    const executionId = readId(answer);
    try {
      executions.push(readExecution(answer, executionId, leaseExpiresAt, present(claims[index])));
    } catch (error) {
      // The library has checked what it needs itself. The others of the claim have an owner; this one lapses.
      if (!(error instanceof EngineError) || error.code !== 'corruption') throw error;
      damaged.push(executionId);
    }
  }
  const rest = readRest(answer, args);
  if (damaged.length === 0) return { kind: 'claimed', executions: executions as Taken, ...rest };
  return claimOutcome(executions, { ...rest, setAside: [...damaged, ...(rest.setAside ?? [])] });
}
