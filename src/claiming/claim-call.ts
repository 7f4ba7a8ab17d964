/** One claim as commands, and what its answers mean. */
import type { Command } from '../../model/machine.js';
import { claimForWorker, type ClaimedExecution } from '../../model/schedule/claim.js';
import type { CommandResult } from '../backend.js';
import type { LeaseIds } from './lease-ids.js';
import type { LaneAnswer, PlannedClaim } from './plan.js';

/** What every claim of a worker says. */
export interface Claimant {
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly workerCapabilities: string[];
  readonly leaseTtlMs: number;
  /** The kinds of work that it runs; any when absent. */
  readonly kinds?: string[];
  /** The time of its attempts begins when it says so. */
  readonly ahead?: boolean;
}

/** A claimed execution; backends that tell priorities tell how urgent what is left can be at most. */
export type Claimed = ClaimedExecution & { readonly priority?: number };

/** What a lane's part of a claim brought. */
export interface Brought extends LaneAnswer {
  readonly executions: readonly Claimed[];
  /** Executions that the claim ended because their workers were lost too often. */
  readonly reclaimCapExceeded: readonly string[];
}

/** Whether claims can say what kinds of work they are for, and that attempts begin later. */
export const CLAIMS_NAME_KINDS = 'kinds' in claimForWorker.args.shape;
export const CLAIMS_KNOW_AHEAD = 'ahead' in claimForWorker.args.shape;
/** Kinds that a claim can name. */
export const MAX_KINDS = 256;

export function commandsOf(
  { partition, lanes }: PlannedClaim,
  ids: readonly LeaseIds[][],
  claimant: Claimant,
): Command[] {
  return lanes.map(
    ({ place }, index): Command => ({
      name: 'claimForWorker',
      args: { ...claimant, partition, laneId: place.laneId, claims: ids[index] as LeaseIds[] },
    }),
  );
}

/** Nothing for an answer that says nothing of the lane's work. */
export function broughtBy(result: CommandResult): Brought | undefined {
  if (!result.ok) return undefined;
  const { outcome } = result;
  if (outcome.kind !== 'claimed' && outcome.kind !== 'no_work') return undefined;
  const { reclaimCapExceeded } = outcome;
  const executions: readonly Claimed[] = outcome.kind === 'claimed' ? outcome.executions : [];
  return {
    executions,
    reclaimCapExceeded,
    got: executions.length,
    lastPriority: executions.at(-1)?.priority,
    endedOthers: reclaimCapExceeded.length > 0,
  };
}
