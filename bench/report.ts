import { machineText, type Machine } from './machine.js';
import { names, storedExecutions } from './names.js';
import type { Row } from './rows.js';
import { formatSpread } from './statistics.js';
import { boundText, type Verdict } from './verdict.js';

/** The rows with which a group is compared: the first of these that the group has. */
const references: readonly string[] = [names.bullmqIovalkey, names.serverAlone, names.emptyStore, storedExecutions.few];

/** Everything that one call of the benchmark found out. */
export interface Report {
  readonly machine: Machine;
  readonly runs: number;
  /** Factor on every size: 1 in the full form. */
  readonly scale: number;
  readonly startedAt: string;
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
}

/** The report as tables in Markdown. */
export function toMarkdown(report: Report): string {
  return [
    `Machine: ${machineText(report.machine)}.`,
    '',
    `${report.runs} runs per figure, systems in alternation; median [min–max]. ${report.startedAt}.` +
      (report.scale === 1 ? '' : ` Quick form, sizes × ${report.scale}: no figure to quote.`),
    '',
    ...goalLines(report.verdicts),
    ...groupsOf(report.rows).flatMap((group) => groupLines(group, report.rows)),
  ].join('\n');
}

function goalLines(verdicts: readonly Verdict[]): string[] {
  const measured = verdicts.filter(({ values }) => values.length > 0);
  if (measured.length === 0) return ['No goal could be judged from the scenarios that ran.', ''];
  return [
    '### Goals',
    '',
    ...table(
      ['scenario', 'what', 'measured on', 'goal', 'measured', 'verdict', 'fresh'],
      measured.map(({ goal, subject, values, fresh, text }) => [
        goal.scenario,
        goal.title,
        subject,
        boundText(goal.bound) + (goal.against === undefined || goal.bound === undefined ? '' : ' ×'),
        formatSpread(values) + (goal.against === undefined ? '' : ' ×'),
        text,
        fresh.length === 0 ? '' : formatSpread(fresh),
      ]),
    ),
    '',
  ];
}

function groupLines(group: string, rows: readonly Row[]): string[] {
  const members = rows.filter((row) => row.group === group);
  const unit = members[0]?.unit ?? '';
  const reference = references.flatMap((name) => members.filter((row) => row.name.startsWith(name)))[0];
  const ratioHead = reference === undefined ? [] : [`ratio to ${reference.name}`];
  const withFresh = members.some(({ fresh }) => fresh !== undefined);
  return [
    `### ${group}`,
    '',
    ...table(
      ['system', withFresh ? `${unit}, warm` : unit, ...ratioHead, ...(withFresh ? [`${unit}, fresh`] : [])],
      members.map((row) => [
        row.name,
        formatSpread(row.values),
        ...(reference === undefined ? [] : [row === reference ? '1' : ratioText(row, reference)]),
        ...(withFresh ? [formatSpread(row.fresh ?? [])] : []),
      ]),
    ),
    '',
  ];
}

/** The ratios within each run; their median is not the ratio of the medians. */
function ratioText(row: Row, reference: Row): string {
  const ratios = row.values.flatMap((value, run) => {
    const other = reference.values[run];
    return other === undefined || other === 0 ? [] : [value / other];
  });
  return ratios.length === 0 ? '' : formatSpread(ratios);
}

function groupsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.map(({ group }) => group))];
}

/** A Markdown table whose columns are padded, so that it reads well in a terminal too. */
function table(head: readonly string[], body: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...body.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(Math.max(3, width))).join(' | ')} |`, ...body.map(line)];
}
