/** Width every line of the report keeps to, in terminal columns. */
export const REPORT_WIDTH = 100;

/** One column of a table. */
export interface Column {
  readonly title: string;
  /** Default `left`. */
  readonly align?: 'left' | 'right';
  /** Widest it may get; longer text is cut with an ellipsis. Default: the report's width. */
  readonly max?: number;
}

const number = new Intl.NumberFormat('en-US');
const INDENT = '  ';
const GAP = '  ';

/** A whole number with thousands separated: `1,234,567`. */
export function formatCount(value: number): string {
  return number.format(Math.round(value));
}

/** Bytes in binary units with one decimal: `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1024 ** power;
  return `${power === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power] ?? 'B'}`;
}

/** A duration: `45 ms`, `3.21 s` or `2 min 05 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** A share of a total: `12.3%`; `-` when there is no total. */
export function formatShare(part: number, total: number): string {
  return total === 0 ? '-' : `${((100 * part) / total).toFixed(1)}%`;
}

/**
 * One line of printable text, cut to `max` columns. Control characters become spaces: names and
 * messages come from the audited packages, and must not be able to steer the terminal.
 */
export function clip(text: string, max: number): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  const characters = [...line];
  if (characters.length <= max) return line;
  return `${characters.slice(0, Math.max(0, max - 1)).join('')}…`;
}

/**
 * Text broken at spaces into lines of at most `width` columns; a longer word is cut.
 *
 * @returns at least one line
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (lengthOf(joined) <= width) line = joined;
    else {
      if (line !== '') lines.push(line);
      line = clip(word, width);
    }
  }
  return [...lines, line];
}

/**
 * Aligned plain text lines for a table, the column titles first, none wider than the report.
 * A row with fewer cells than columns is filled with empty ones.
 */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => columns.map((column, at) => clip(row[at] ?? '', column.max ?? REPORT_WIDTH)));
  const all = [columns.map((column) => column.title), ...cells];
  const widths = columns.map((_, at) => Math.max(...all.map((row) => lengthOf(row[at] ?? ''))));
  return all.map((row) => {
    const padded = row.map((cell, at) => {
      const fill = ' '.repeat(Math.max(0, (widths[at] ?? 0) - lengthOf(cell)));
      return columns[at]?.align === 'right' ? fill + cell : cell + fill;
    });
    return cutLine(INDENT + padded.join(GAP).trimEnd());
  });
}

function cutLine(line: string): string {
  const characters = [...line];
  if (characters.length <= REPORT_WIDTH) return line;
  return `${characters.slice(0, REPORT_WIDTH - 1).join('')}…`;
}

function lengthOf(text: string): number {
  return [...text].length;
}
