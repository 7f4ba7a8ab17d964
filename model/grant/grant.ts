/**
 * A grant: a short, one-use permission for one worker to take one execution by its id. Outside schedulers decide who
 * gets what and issue grants; workers claim from them. Granted work stands in no queue (ruling 34): no other claim finds
 * it, and none pays for it. A grant ends with its use, with its time, with a hold, and with every change of the
 * situation; so what it is good for (a fresh attempt, a resumption, a reclaim) follows from the situation and needs no
 * fact of its own. Source: spec 05 sections 1, 6 and 8.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import type { ErrorDetail } from '../errors.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isGranted } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { uuidOf } from '../short-id.js';
import { CLAIM_KIND_OF } from '../schedule/claim-answer.js';
import type { ClaimedExecution } from '../schedule/claimed.js';

/** What both ways to issue a grant take. */
export const issueArgs = z.object({
  executionId: field.executionId,
  /** Names the grant; minted by the caller. The same one again, after a lost reply, is the same grant. */
  grantId: field.uuid,
  /** Refused as `invalid_input` when it is not the lane of the execution. */
  laneId: field.laneId.optional(),
  /** The worker that may use it. */
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  /** Whether only that instance may use it, for a fresh attempt or a resumption; a reclaim is open to all instances. */
  strict: z.boolean().default(false),
  workerCapabilities: field.capabilities.default([]),
  /** Kinds that the worker can run; any when absent (ruling 27). */
  kinds: field.kinds.optional(),
  /** For how long it may be used, ms. */
  grantTtlMs: field.integer(1, LIMITS.maxGrantTtlMs).default(DEFAULTS.grantTtlMs),
  /** Noted in the log beside the grant: by what the scheduler decided. */
  capabilityHash: field.reason.optional(),
  routeSnapshotJson: field.reason.optional(),
  admissionSummary: field.reason.optional(),
});
export type IssueArgs = z.output<typeof issueArgs>;

/** How the arguments travel: the worker is shared by all that one call grants it. */
export const ISSUE_WIRE = {
  shared: [
    { worker: ['workerId', 'workerInstanceId', 'strict'] },
    'laneId',
    'workerCapabilities',
    'kinds',
    'grantTtlMs',
  ],
  each: ['executionId', 'grantId', 'capabilityHash', 'routeSnapshotJson', 'admissionSummary'],
} as const;

/** The grant as it is handed to the worker. Plain data: it can travel as JSON. */
const grantedFor = <const Kind extends string>(kinds: readonly Kind[]) =>
  withReader(
    z.object({
      kind: z.literal('granted'),
      executionId: field.executionId,
      partition: field.partitionKey,
      grantId: field.uuid,
      /** Which claim uses it: `claimExecution`, `claimResumedExecution` or `reclaimExecution`. */
      claimKind: z.enum(kinds),
      laneId: field.laneId,
      /** The last millisecond in which it can be used, by the clock of the store. */
      expiresAt: field.timestampMs,
    }),
    readGranted,
  );
export const grantedToClaim = grantedFor(['fresh', 'resumed']);
export const grantedToReclaim = grantedFor(['reclaimed']);
type Granted = z.output<ReturnType<typeof grantedFor<ClaimedExecution['claimKind']>>>;

/** A grant, as `issueClaimGrant` and `issueReclaimGrant` answer it. */
export type Grant = Omit<Granted, 'kind'>;

function readGranted(answer: AnswerReader, { executionId }: IssueArgs): Granted {
  return {
    kind: 'granted',
    executionId,
    partition: answer.partition,
    grantId: uuidOf(answer.text()),
    claimKind: CLAIM_KIND_OF.get(answer.text()) as Granted['claimKind'],
    laneId: answer.text(),
    expiresAt: answer.number(),
  };
}

/** The answer that hands a grant to its worker. */
export function grantedOf<const Kind extends ClaimedExecution['claimKind']>(
  { executionId, laneId }: ReadonlyExecution,
  { grantId, grantExpiresAt }: Pick<ReadonlyExecution, 'grantId' | 'grantExpiresAt'>,
  claimKind: Kind,
): Granted & { readonly claimKind: Kind } {
  return {
    kind: 'granted',
    executionId,
    partition: partitionOfExecution(executionId),
    grantId: grantId as string,
    claimKind,
    laneId,
    expiresAt: grantExpiresAt as number,
  };
}

/** Whether the execution has a grant that can still be used: it is good up to and including its last millisecond. */
export function hasLiveGrant(execution: ReadonlyExecution, now: number): boolean {
  return isGranted(execution) && (execution.grantExpiresAt as number) >= now;
}

/** What a worker lacks for an execution, as the detail of a refusal; nothing when it can run it. */
export function mismatchOf(
  execution: ReadonlyExecution,
  { kinds, workerCapabilities }: IssueArgs,
): ErrorDetail | undefined {
  const { executionKind, requiredCapabilities } = execution;
  const offered = new Set(workerCapabilities);
  const missing = requiredCapabilities.filter((token) => !offered.has(token)).join(',');
  if (kinds !== undefined && !kinds.includes(executionKind)) return { missing, executionKind };
  return missing === '' ? undefined : { missing };
}
