/** One measured quantity of one contestant; `values` has one entry per run, in run order. */
export interface Row {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  /** In a warm process, where that makes a difference. */
  readonly values: readonly number[];
  /** The same of a process that has just started. */
  readonly fresh?: readonly number[];
}

/** A quantity of every run, and where its row stands. */
export interface Column<Metric extends string> {
  readonly metric: Metric;
  readonly group: string;
  readonly unit: string;
}

/** One row per metric from the metrics that each run of one contestant gave. */
export function rowsFrom<Metric extends string>(
  runs: readonly Readonly<Record<Metric, number>>[],
  name: string,
  columns: readonly Column<Metric>[],
): Row[] {
  return columns.map(({ metric, group, unit }) => ({
    group,
    name,
    unit,
    values: runs.map((run) => run[metric]),
  }));
}

/** The same where each run has several rounds: the first is that of a fresh process, the last that of a warm one. */
export function rowsFromRounds<Metric extends string>(
  runs: readonly (readonly Readonly<Record<Metric, number>>[])[],
  name: string,
  columns: readonly Column<Metric>[],
): Row[] {
  const warm = runs.flatMap((rounds) => rounds.slice(-1));
  const fresh = runs.flatMap((rounds) => rounds.slice(0, 1));
  return columns.map(({ metric, group, unit }) => ({
    group,
    name,
    unit,
    values: warm.map((round) => round[metric]),
    fresh: fresh.map((round) => round[metric]),
  }));
}
