/** Converts a claim to commands, and their answers to results. */
import { present } from '../../model/core/present.js';
import type { Command, OutcomeOf } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { CommandResult } from '../backend/backend.js';
import type { LeaseIds } from './lease-ids.js';
import type { LaneAnswer, PlannedClaim } from './plan.js';

/** The arguments that all claims of a worker share. */
export interface Claimant {
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly workerCapabilities: string[];
  readonly leaseTtlMs: number;
  /** The kinds of work that it runs; undefined for any. */
  readonly kinds?: string[];
  /** Whether attempt timeouts start with `beginAttempt`. */
  readonly ahead?: boolean;
}

/** The result of a lane's part of a claim. */
export interface Brought extends LaneAnswer {
  readonly executions: readonly ClaimedExecution[];
  /** Executions that the claim failed because they lost their workers too often. */
  readonly reclaimCapExceeded: readonly string[];
  /** Executions with unreadable records, now in quarantine. */
  readonly setAside: readonly string[];
}

export function commandsOf(
  { partition, lanes }: PlannedClaim,
  ids: readonly LeaseIds[][],
  claimant: Claimant,
): Command[] {
  return lanes.map(
    ({ place, minPriority }, index): Command => ({
      name: 'claimForWorker',
      args: {
        ...claimant,
        partition,
        laneId: place.laneId,
        minPriority: minPriority > 0 ? minPriority : undefined,
        claims: present(ids[index]),
      },
    }),
  );
}

/** Whether a claim used up part of its count on executions that it did not bring, so that there may be more work. */
export function hasUsedUp({ reclaimCapExceeded, cancelled, setAside }: OutcomeOf<'claimForWorker'>): boolean {
  return reclaimCapExceeded.length > 0 || cancelled !== undefined || setAside !== undefined;
}

/** The result of one lane; undefined after a fault, when the lane's work is unknown. */
export function broughtBy(result: CommandResult): Brought | undefined {
  if (!result.ok) return undefined;
  const { outcome } = result;
  if (!('reclaimCapExceeded' in outcome)) return undefined;
  const { reclaimCapExceeded, setAside = [] } = outcome;
  const executions: readonly ClaimedExecution[] = 'executions' in outcome ? outcome.executions : [];
  return {
    executions,
    reclaimCapExceeded,
    setAside,
    got: executions.length,
    lastPriority: executions.at(-1)?.priority,
    nextPriority: outcome.nextPriority,
    mayHaveMore: hasUsedUp(outcome),
  };
}
