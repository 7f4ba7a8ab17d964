/**
 * How long a terminal execution is kept (ruling 24): its retention, at least a minute, and at least as long as its
 * idempotency key is valid. Purges are due in slots, so this index costs one list entry per execution.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { KEEP_FOR_GOOD, LIMITS, MIN_RETENTION_MS, PURGE_UNITS, RETENTION_SLOT_MS } from '../limits.js';

type Kept = Pick<ReadonlyExecution, 'policy' | 'idempotencyExpiresAt'>;

/** When an execution that ends now is purged: the end of a slot; undefined when it is kept for good. */
export function purgeAtOf(execution: Kept, now: number, defaultRetentionMs: number): number | undefined {
  const retentionMs = execution.policy?.streamPolicy?.retentionTtlMs ?? defaultRetentionMs;
  return retentionMs === KEEP_FOR_GOOD ? undefined : purgeTimeOf(retentionMs, execution.idempotencyExpiresAt ?? 0, now);
}

/** The end of the slot in which something that ends now is purged, if it must be kept until then. */
export function purgeTimeOf(retentionMs: number, keptUntil: number, now: number): number {
  const until = Math.max(now + Math.max(retentionMs, MIN_RETENTION_MS), keptUntil);
  return Math.min(Math.ceil(until / RETENTION_SLOT_MS) * RETENTION_SLOT_MS, LIMITS.maxInteger);
}

/** Units of work that the purge of an execution costs. */
const unitsOfPurge = ({ stepBytes, lastStreamIndex = -1 }: ReadonlyExecution): number =>
  PURGE_UNITS + Math.floor(stepBytes / LIMITS.maxClaimedInputBytes) + lastStreamIndex + 1;

/** The first executions that one pass purges with its units of work: at least one. */
export function ofPurge(executions: readonly ReadonlyExecution[], units: number): readonly ReadonlyExecution[] {
  let left = units;
  const end = executions.findIndex((execution, index) => {
    left -= unitsOfPurge(execution);
    return left < 0 && index > 0;
  });
  return end === -1 ? executions : executions.slice(0, end);
}
