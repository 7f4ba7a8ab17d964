import { styleText } from 'node:util';

import {
  clip,
  formatBytes,
  formatCount,
  formatDuration,
  formatShare,
  tableLines,
  wrap,
  type Column,
} from './format.js';
import type { Language } from './languages.js';
import type { PackageAudit, PackageRef } from './schema.js';

const TOP = 10;
const MOST_LICENCES = 25;
const MOST_LISTED = 40;
const REASON_COLUMNS = 40;
const MOST_REASON_CHARACTERS = 160;

/** A package whose audit ended without a result. */
export interface AuditFailure extends PackageRef {
  /** {@link AuditErrorCode}, or what the runner itself gives (such as a timeout). */
  readonly code: string;
  readonly reason: string;
  /** Attempts made; 1 when it failed for good at once. */
  readonly attempts: number;
}

/** All that a report is made of. */
export interface AuditSummary {
  readonly audits: readonly PackageAudit[];
  readonly failures: readonly AuditFailure[];
  /** Paths of the packages that an earlier start of the same run had done; they say nothing about the speed of this one. */
  readonly doneBefore?: ReadonlySet<string>;
  /** From the first package started to the last one ended, in milliseconds. */
  readonly durationMs: number;
}

/** How a report is rendered. */
export interface ReportOptions {
  /** Default: whether standard output is a terminal and `NO_COLOR` is unset or empty. */
  readonly color?: boolean;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

/**
 * Renders the result of auditing all packages as plain aligned text for a terminal of 100 columns.
 * Colour only adds to it: with the escape codes removed the text is the same.
 *
 * @returns the report, ending in a newline
 */
export function renderReport(summary: AuditSummary, options: ReportOptions = {}): string {
  // The stream is judged here, once; styleText would look at it again on newer Node versions.
  const color = options.color ?? (process.stdout.isTTY && !process.env.NO_COLOR);
  const paint: Paint = color ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
  const sections = [
    totals(summary, paint),
    languages(summary, paint),
    licences(summary, paint),
    contradictions(summary, paint),
    largest(summary, paint),
    slowest(summary, paint),
    retried(summary, paint),
    failures(summary, paint),
  ];
  const lines = sections.filter((section) => section.length > 0);
  return `${lines.map((section) => section.join('\n')).join('\n\n')}\n`;
}

function table(
  paint: Paint,
  title: string,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style = 'bold',
): string[] {
  const [head = '', ...body] = tableLines(columns, rows);
  return [paint(style, title), paint('dim', head), ...body];
}

function totals({ audits, failures, durationMs, doneBefore = new Set() }: AuditSummary, paint: Paint): string[] {
  const packages = audits.length + failures.length;
  const files = sum(audits, (audit) => audit.files);
  const bytes = sum(audits, (audit) => audit.bytes);
  const lines = sum(audits, (audit) => audit.lines);
  const seconds = Math.max(durationMs, 1) / 1000;
  const failed = failures.length === 0 ? 'none failed' : `${formatCount(failures.length)} failed`;
  const isNew = ({ path }: PackageRef): boolean => !doneBefore.has(path);
  const fresh = audits.filter(isNew);
  const freshPackages = fresh.length + failures.filter(isNew).length;
  const earlier = packages - freshPackages;
  const rows = [
    ['Packages', formatCount(packages), earlier === 0 ? failed : `${failed}, ${formatCount(earlier)} done before`],
    ['Files', formatCount(files), ''],
    ['Bytes', formatBytes(bytes), ''],
    ['Code lines', formatCount(lines), ''],
    ['Duration', formatDuration(durationMs), ''],
    [
      'Throughput',
      `${(freshPackages / seconds).toFixed(1)} packages/s`,
      `${formatCount(sum(fresh, (audit) => audit.files) / seconds)} files/s, ${formatBytes(sum(fresh, (audit) => audit.bytes) / seconds)}/s`,
    ],
  ];
  // The titles' line is dropped: these rows explain themselves.
  const [, ...body] = tableLines([{ title: '' }, { title: '' }, { title: '' }], rows);
  return [paint('bold', 'Package audit'), ...body];
}

function languages({ audits }: AuditSummary, paint: Paint): string[] {
  const totals = new Map<Language, { packages: number; files: number; lines: number }>();
  for (const { language, files, lines } of audits.flatMap((audit) => audit.languages)) {
    const total = totals.get(language) ?? { packages: 0, files: 0, lines: 0 };
    total.packages += 1;
    total.files += files;
    total.lines += lines;
    totals.set(language, total);
  }
  if (totals.size === 0) return [];
  const all = sum(audits, (audit) => audit.lines);
  return table(
    paint,
    'Languages (code lines, without blank and comment lines)',
    [
      { title: 'language' },
      { title: 'packages', align: 'right' },
      { title: 'files', align: 'right' },
      { title: 'lines', align: 'right' },
      { title: 'share', align: 'right' },
    ],
    [...totals]
      .sort(([, a], [, b]) => b.lines - a.lines)
      .map(([language, total]) => [
        language,
        formatCount(total.packages),
        formatCount(total.files),
        formatCount(total.lines),
        formatShare(total.lines, all),
      ]),
  );
}

function licences({ audits }: AuditSummary, paint: Paint): string[] {
  const groups = new Map<string, PackageAudit[]>();
  for (const audit of audits) {
    const group = groups.get(audit.licence.spdx);
    if (group === undefined) groups.set(audit.licence.spdx, [audit]);
    else group.push(audit);
  }
  if (groups.size === 0) return [];
  const sorted = [...groups].sort(([idA, a], [idB, b]) => b.length - a.length || (idA < idB ? -1 : 1));
  return [
    ...table(
      paint,
      'Licences',
      [
        { title: 'spdx', max: 40 },
        { title: 'packages', align: 'right' },
        { title: 'with text', align: 'right' },
        { title: 'spdx only', align: 'right' },
        { title: 'such as', max: 30 },
      ],
      sorted.slice(0, MOST_LICENCES).map(([spdx, group]) => {
        const texts = group.filter((audit) => audit.licence.kind === 'text').length;
        return [
          spdx,
          formatCount(group.length),
          formatCount(texts),
          formatCount(group.length - texts),
          group[0]?.name ?? '',
        ];
      }),
    ),
    ...more(sorted.length - MOST_LICENCES, 'licences'),
  ];
}

function contradictions({ audits }: AuditSummary, paint: Paint): string[] {
  const rows = audits.filter(({ licence: { spdx, textSpdx } }) => {
    return textSpdx !== undefined && !idsOf(spdx).includes(textSpdx);
  });
  if (rows.length === 0) return [];
  return [
    ...table(
      paint,
      'Licence text reads differently from the manifest',
      [
        { title: 'package', max: 40 },
        { title: 'manifest', max: 26 },
        { title: 'text', max: 14 },
        { title: 'file', max: 20 },
      ],
      rows
        .slice(0, MOST_LISTED)
        .map((audit) => [label(audit), audit.licence.spdx, audit.licence.textSpdx ?? '', audit.licence.file ?? '']),
      'yellow',
    ),
    ...more(rows.length - MOST_LISTED, 'packages'),
  ];
}

/** The single ids in an SPDX expression such as `(MIT OR Apache-2.0)`. */
function idsOf(expression: string): string[] {
  return expression.split(/[\s()]+/).filter((word) => word !== '');
}

function largest({ audits }: AuditSummary, paint: Paint): string[] {
  return top(paint, 'Largest packages', audits, (audit) => audit.bytes);
}

function slowest({ audits }: AuditSummary, paint: Paint): string[] {
  return top(paint, 'Slowest packages', audits, (audit) => audit.durationMs);
}

function top(
  paint: Paint,
  title: string,
  audits: readonly PackageAudit[],
  by: (audit: PackageAudit) => number,
): string[] {
  if (audits.length === 0) return [];
  return table(
    paint,
    title,
    [
      { title: 'package', max: 50 },
      { title: 'size', align: 'right' },
      { title: 'files', align: 'right' },
      { title: 'lines', align: 'right' },
      { title: 'time', align: 'right' },
    ],
    [...audits]
      .sort((a, b) => by(b) - by(a))
      .slice(0, TOP)
      .map((audit) => [
        label(audit),
        formatBytes(audit.bytes),
        formatCount(audit.files),
        formatCount(audit.lines),
        formatDuration(audit.durationMs),
      ]),
  );
}

function retried({ audits, failures }: AuditSummary, paint: Paint): string[] {
  const rows = [
    ...audits.map((audit) => ({ ref: audit, attempts: audit.attempt, outcome: 'succeeded' })),
    ...failures.map((each) => ({
      ref: each,
      attempts: each.attempts,
      outcome: `failed: ${each.code}`,
    })),
  ].filter((row) => row.attempts > 1);
  if (rows.length === 0) return [];
  rows.sort((a, b) => b.attempts - a.attempts);
  return [
    ...table(
      paint,
      'Retried packages',
      [
        { title: 'package', max: 54 },
        { title: 'attempts', align: 'right' },
        { title: 'outcome', max: 30 },
      ],
      rows.slice(0, MOST_LISTED).map((row) => [label(row.ref), formatCount(row.attempts), row.outcome]),
    ),
    ...more(rows.length - MOST_LISTED, 'packages'),
  ];
}

function failures({ failures }: AuditSummary, paint: Paint): string[] {
  if (failures.length === 0) return [];
  const sorted = [...failures].sort((a, b) => {
    if (a.code !== b.code) return a.code < b.code ? -1 : 1;
    return a.path < b.path ? -1 : 1;
  });
  return [
    ...table(
      paint,
      'Failures',
      [{ title: 'package', max: 34 }, { title: 'code', max: 20 }, { title: 'reason' }],
      sorted.slice(0, MOST_LISTED).flatMap((each) => {
        const reason = clip(each.reason, MOST_REASON_CHARACTERS);
        const [first = '', ...rest] = wrap(reason, REASON_COLUMNS);
        return [[label(each), each.code, first], ...rest.map((part) => ['', '', part])];
      }),
      'red',
    ),
    ...more(sorted.length - MOST_LISTED, 'failures'),
  ];
}

function label({ name, version }: PackageRef): string {
  return version === undefined ? name : `${name}@${version}`;
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`  and ${formatCount(count)} more ${what}`] : [];
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
