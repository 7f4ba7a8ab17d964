import { machineText, type Machine } from './machine.js';
import type { Row } from './rows.js';
import { formatSpread } from './statistics.js';
import { boundText, type Verdict } from './verdict.js';

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
      ['goal', 'what', 'measured on', 'to reach', 'measured', 'verdict'],
      measured.map(({ goal, subject, values, text }) => [
        goal.id,
        goal.title,
        subject,
        boundText(goal.bound) + (goal.against === undefined ? '' : ' ×'),
        formatSpread(values) + (goal.against === undefined ? '' : ' ×'),
        text,
      ]),
    ),
    '',
  ];
}

function groupLines(group: string, rows: readonly Row[]): string[] {
  const members = rows.filter((row) => row.group === group);
  const reference = members[0];
  return [
    `### ${group}`,
    '',
    ...table(
      ['system', members[0]?.unit ?? '', 'runs', `ratio to ${reference?.name ?? 'the first'}`],
      members.map((row) => [
        row.name,
        formatSpread(row.values),
        String(row.values.length),
        row === reference || reference === undefined ? '1' : ratioText(row, reference),
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
