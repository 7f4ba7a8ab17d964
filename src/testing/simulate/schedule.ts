/** Which faults a simulated run meets, and at which call of a worker. */
import { keysOf } from '../../../model/core/tables.js';
import { refuse } from '../../shared/checks.js';

/** The kinds of faults that a user chooses from, and what each can be. */
const FAULTS = {
  crash: ['crash_before', 'crash_after'],
  pause: ['pause_before', 'pause_after'],
  answer_lost: ['answer_lost'],
  call_failed: ['call_failed'],
  slow: ['slow'],
} as const;

/**
 * - `crash`: the process of a worker dies, before a call leaves, or behind it: the call is carried out, and the process
 *   never hears of it. Another one starts after a second.
 * - `pause`: the process stands still for three leases, and goes on as if nothing had been. Meanwhile another one starts.
 * - `answer_lost`: a call is carried out, and its answer is lost; the worker makes it again.
 * - `call_failed`: a call fails before it leaves.
 * - `slow`: a call takes four seconds.
 */
export type SimulatedFault = keyof typeof FAULTS;
export const ALL_FAULTS: readonly SimulatedFault[] = keysOf(FAULTS);

export type FaultKind = (typeof FAULTS)[SimulatedFault][number];
/** A fault at the n-th call that workers make, from 1: `crash_before@5`. */
export type PlacedFault = `${FaultKind}@${number}`;

/** Most faults of one run. */
const MOST_FAULTS = 3;
/** The share of the runs with one fault each. */
const ALONE = 2 / 3;

/** The faults by the numbers of their calls. @throws InvalidDefinitionError for what is no fault at a call */
export function faultsAt(schedule: readonly PlacedFault[]): ReadonlyMap<number, FaultKind> {
  const known: readonly string[] = Object.values(FAULTS).flat();
  return new Map(
    schedule.map((placed) => {
      const [, kind = '', at] = /^(\w+)@([1-9]\d*)$/.exec(String(placed)) ?? [];
      if (!known.includes(kind)) throw refuse('simulate', 'schedule', 'as it was printed', placed);
      return [Number(at), kind as FaultKind];
    }),
  );
}

/**
 * The faults of each of so many runs. First each fault alone at each of the calls, in random order, as far as two
 * thirds of the runs go; then several in one run, also at calls that only a run with faults makes.
 */
export function* schedules(
  faults: readonly SimulatedFault[],
  calls: number,
  runs: number,
  random: () => number,
): Generator<readonly PlacedFault[]> {
  const upTo = (count: number): number => Math.floor(random() * count);
  const kinds = faults.flatMap((fault): readonly FaultKind[] => FAULTS[fault]);
  const alone = kinds.flatMap((kind) => Array.from({ length: calls }, (_, at): PlacedFault => `${kind}@${at + 1}`));
  for (let run = 0; run < runs; run++) {
    if (run < Math.max(1, runs * ALONE) && alone.length > 0) yield alone.splice(upTo(alone.length), 1);
    else {
      const several = Array.from({ length: 2 + upTo(MOST_FAULTS - 1) }, () => {
        const at = 1 + upTo(2 * calls + 1);
        return [at, kinds[upTo(kinds.length)]] as const;
      });
      yield [...new Map(several)].sort(([a], [b]) => a - b).map(([at, kind]) => `${kind}@${at}` as PlacedFault);
    }
  }
}
