/** How long a flow is kept: all its members together, until the last of them may go (ruling 24). */
import type { ReadonlyExecution } from '../execution/facts.js';
import { KEEP_FOR_GOOD } from '../limits.js';
import { purgeTimeOf } from '../schedule/retention.js';
import type { Flow, ReadonlyFlow } from './facts.js';

/** What a member that joins says about its retention; `retentionMs` is undefined if it has none of its own. */
export interface Keeping {
  readonly retentionMs: number | undefined;
  readonly keptUntil: number | undefined;
}

export const keepingOf = ({
  policy,
  idempotencyExpiresAt,
}: Pick<ReadonlyExecution, 'policy' | 'idempotencyExpiresAt'>): Keeping => ({
  retentionMs: policy?.streamPolicy?.retentionTtlMs,
  keptUntil: idempotencyExpiresAt,
});

/** A member joins, before it is counted. */
export function keepWith(flow: Flow, { retentionMs, keptUntil = 0 }: Keeping): void {
  flow.keptUntil = Math.max(flow.keptUntil, keptUntil);
  if (flow.nodeCount === 0) flow.hasOwnRetention = true;
  if (retentionMs === undefined) flow.hasOwnRetention = false;
  else if (retentionMs === KEEP_FOR_GOOD) flow.hasMemberForGood = true;
  else flow.longestRetentionMs = Math.max(flow.longestRetentionMs, retentionMs);
}

/** When the members of a flow that finishes now are purged; undefined if they are kept for good. */
export function purgeTimeOfFlow(flow: ReadonlyFlow, now: number, defaultRetentionMs: number): number | undefined {
  const { hasOwnRetention, hasMemberForGood, longestRetentionMs, keptUntil } = flow;
  if (hasMemberForGood) return undefined;
  if (hasOwnRetention) return purgeTimeOf(longestRetentionMs, keptUntil, now);
  if (defaultRetentionMs === KEEP_FOR_GOOD) return undefined;
  return purgeTimeOf(Math.max(longestRetentionMs, defaultRetentionMs), keptUntil, now);
}
