/** One measured quantity of one contestant; `values` has one entry per run, in run order. */
export interface Row {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** Collects the rows of a scenario. */
export type RowList = Row[];

/** One row per metric from the metrics that each run of one contestant gave. */
export function rowsFrom<Metric extends string>(
  runs: readonly Readonly<Record<Metric, number>>[],
  name: string,
  columns: readonly { readonly metric: Metric; readonly group: string; readonly unit: string }[],
): Row[] {
  return columns.map(({ metric, group, unit }) => ({
    group,
    name,
    unit,
    values: runs.map((run) => run[metric]),
  }));
}
