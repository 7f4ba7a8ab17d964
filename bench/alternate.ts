/** One system in one form, measured once per run. */
export interface Contestant<Result> {
  readonly name: string;
  /** One measurement on an empty store. `scale` is 1, or less for the warm-up. */
  measure(scale: number): Promise<Result>;
}

/** Share of the real size that the discarded warm-up has. */
const WARM_UP_SCALE = 0.5;

/**
 * Measures contestants in alternation: A B C, A B C, ... Whatever drifts on the machine drifts for
 * all of them, so ratios within a run mean more than any absolute number. One smaller round
 * before the first is thrown away: it pays for compiling the code paths.
 *
 * @returns for each contestant the results in run order.
 */
export async function alternate<Result>(
  contestants: readonly Contestant<Result>[],
  runs: number,
): Promise<{ readonly name: string; readonly results: readonly Result[] }[]> {
  const entries = contestants.map((contestant) => ({ contestant, results: [] as Result[] }));
  for (const { contestant } of entries) await contestant.measure(WARM_UP_SCALE);
  for (let run = 0; run < runs; run += 1) {
    for (const { contestant, results } of entries) results.push(await contestant.measure(1));
  }
  return entries.map(({ contestant, results }) => ({ name: contestant.name, results }));
}
