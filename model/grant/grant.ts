/**
 * A grant is a short-lived, one-use permission for one worker to take one execution by its id. Outside schedulers
 * decide which worker gets what, and issue grants; workers claim with them. Granted work is in no queue (ruling 34), so
 * no other claim sees it or pays for it. A grant ends with its use, its time, a hold, or any change of the situation.
 * What it is good for (a fresh attempt, a resumption, a reclaim) therefore follows from the situation and is not
 * stored. Source: spec 05 sections 1, 6 and 8.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { present } from '../core/present.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import type { ErrorDetail } from '../errors.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isGranted } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { uuidOf } from '../short-id.js';
import { CLAIM_KIND_OF } from '../schedule/claim-answer.js';
import type { ClaimedExecution } from '../schedule/claimed.js';

/** Arguments that both operations to issue a grant take. */
export const issueArgs = z.strictObject({
  executionId: field.executionId,
  /** Minted by the caller. A repeated call with it, after a lost reply, returns the same grant. */
  grantId: field.uuid,
  /** The expected lane; another one is refused as `invalid_input`. */
  laneId: field.laneId.optional(),
  /** The worker that may use it. */
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  /** Whether a fresh attempt or a resumption is reserved for that instance; a reclaim is open to all instances. */
  strict: z.boolean().default(false),
  workerCapabilities: field.capabilities.default([]),
  /** Kinds that the worker can run; absent: any (ruling 27). */
  kinds: field.kinds.optional(),
  /** Lifetime of the grant, ms. */
  grantTtlMs: field.integer(1, LIMITS.maxGrantTtlMs).default(DEFAULTS.grantTtlMs),
  /** The scheduler's reason, recorded in the log. */
  capabilityHash: field.reason.optional(),
  routeSnapshotJson: field.reason.optional(),
  admissionSummary: field.reason.optional(),
});
export type IssueArgs = z.output<typeof issueArgs>;

/** Wire form: the grants of one call share the worker. */
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

/** The grant as the worker gets it. Plain data that can travel as JSON. */
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
    claimKind: present(CLAIM_KIND_OF.get(answer.text())),
    laneId: answer.text(),
    expiresAt: answer.number(),
  };
}

/** The outcome that carries a grant. */
export function grantedOf<const Kind extends ClaimedExecution['claimKind']>(
  { executionId, laneId }: ReadonlyExecution,
  { grantId, grantExpiresAt }: Pick<ReadonlyExecution, 'grantId' | 'grantExpiresAt'>,
  claimKind: Kind,
): Granted & { readonly claimKind: Kind } {
  return {
    kind: 'granted',
    executionId,
    partition: partitionOfExecution(executionId),
    grantId: present(grantId),
    claimKind,
    laneId,
    expiresAt: present(grantExpiresAt),
  };
}

/** Whether the execution has a grant that is still usable; its last millisecond included. */
export function hasLiveGrant(execution: ReadonlyExecution, now: number): boolean {
  return isGranted(execution) && present(execution.grantExpiresAt) >= now;
}

/** Why a worker cannot run an execution, as the detail of a refusal; undefined when it can. */
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
