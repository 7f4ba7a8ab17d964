import type { Bound, Goal, RowChoice } from './goals.js';
import type { Row } from './rows.js';
import { formatNumber, median } from './statistics.js';

/** What became of one goal for one of its subjects. */
export interface Verdict {
  readonly goal: Goal;
  /** Name of the judged row. */
  readonly subject: string;
  /** The judged value of every run; empty when a row was not measured. */
  readonly values: readonly number[];
  /** The same of fresh processes, where that was measured; not judged. */
  readonly fresh: readonly number[];
  /** `met`, by how much it was missed, or `not measured`. */
  readonly text: string;
}

/** Judges every goal, once for each row that it names. */
export function judge(goals: readonly Goal[], rows: readonly Row[]): Verdict[] {
  return goals.flatMap((goal) => goal.subject.names.map((subject) => judgeOne(goal, subject, rows)));
}

function judgeOne(goal: Goal, subject: string, rows: readonly Row[]): Verdict {
  const values = judgedValues(goal, subject, rows, ({ values: warm }) => warm);
  const fresh = judgedValues(goal, subject, rows, ({ fresh: cold }) => cold ?? []);
  const text = values.length === 0 ? 'not measured' : verdictText(goal.bound, median(values));
  return { goal, subject, values, fresh, text };
}

/** Which values of a row are looked at. */
type ValuesOf = (row: Row) => readonly number[];

function judgedValues(goal: Goal, subject: string, rows: readonly Row[], valuesOf: ValuesOf): readonly number[] {
  const own = rows.find((row) => row.group === goal.subject.group && row.name === subject);
  if (own === undefined) return [];
  if (goal.against === undefined) return valuesOf(own);
  const others = bestPerRun(goal.against, own.unit, rows, valuesOf);
  return valuesOf(own).flatMap((value, run) => {
    const other = others[run];
    return other === undefined ? [] : [value / other];
  });
}

/** In each run the best of the rows: the largest rate, else the smallest value. */
function bestPerRun(choice: RowChoice, unit: string, rows: readonly Row[], valuesOf: ValuesOf): readonly number[] {
  const chosen = rows.filter((row) => row.group === choice.group && choice.names.includes(row.name));
  const best = unit.endsWith('/s') ? Math.max : Math.min;
  const [first, ...rest] = chosen.map(valuesOf);
  if (first === undefined) return [];
  return first.map((value, run) => best(value, ...rest.map((values) => values[run] ?? value)));
}

function verdictText(bound: Bound | undefined, value: number): string {
  if (bound === undefined) return 'reported';
  const limit = 'atLeast' in bound ? bound.atLeast : bound.atMost;
  const met = 'atLeast' in bound ? value >= limit : value <= limit;
  return met ? 'met' : `missed by ${formatNumber((Math.abs(value - limit) / limit) * 100)} %`;
}

/** `≥ 0.80`, `≤ 24`, or a dash. */
export function boundText(bound: Bound | undefined): string {
  if (bound === undefined) return '–';
  return 'atLeast' in bound ? `≥ ${formatNumber(bound.atLeast)}` : `≤ ${formatNumber(bound.atMost)}`;
}
