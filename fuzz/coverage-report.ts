/** The coverage of a campaign for people: a grid for a terminal, and a page for the documentation. */
import { summaryOf, type CampaignResult } from './campaign.js';
import type { Coverage } from './coverage.js';

/** `.` for 0, otherwise the count in at most four characters. */
const compact = (count: number): string =>
  count === 0 ? '.' : count < 10_000 ? String(count) : `${Math.floor(count / 1_000)}k`;

/** The grid as fixed-width text. */
export function coverageGrid(coverage: Coverage): string {
  return coverage
    .tables(compact)
    .map(({ name, columns, rows }) => {
      const width = Math.max(name.length, ...rows.map(({ answer }) => answer.length + 2));
      const head =
        name.padEnd(width) + columns.map((column) => column.replace('T', '').slice(0, 9).padStart(10)).join('');
      return [
        head,
        ...rows.map(
          ({ answer, cells }) => `  ${answer}`.padEnd(width) + cells.map((cell) => cell.padStart(10)).join(''),
        ),
      ].join('\n');
    })
    .join('\n\n');
}

/** The page `docs/coverage.md`. */
export function coveragePage(result: CampaignResult, seed: number): string {
  const { coverage } = result;
  const { declared, cells } = coverage.size();
  const missing = coverage.missing();
  const untried = coverage.untried();
  return [
    '# What the fuzzer reaches',
    '',
    'Every operation, the state class of the execution before it, and what it answered, counted over one campaign in which the',
    'specification, the memory backend and a Valkey server agreed after every step. Written by',
    '`npm run fuzz -- --seconds 180 --write`.',
    '',
    'Classes: none (no such execution), RW ready, RI ready to resume, DW delayed or in backoff, DI parked until a time, BW blocked,',
    'BI blocked before it could be resumed, BO held, WD waiting for its dependencies, WC waiting for its children, SW suspended,',
    'AL owned, AX lapsed and not yet noticed, AE lapsed, AR revoked, and the five ways to end. Under `-` stand calls that name no',
    'execution; for a claim the other columns count what it took. An answer with `!` is a refusal; `kind field=word` counts one word of an',
    'outcome. An empty cell was not met.',
    '',
    `Seed ${seed}: ${summaryOf(result)}. ${declared} declared answers, ${missing.length} of them not reached; ${cells} cells.`,
    ...(missing.length === 0 ? [] : ['', 'Not reached:', '', ...missing.map((line) => `- ${line}`)]),
    ...(untried.length === 0 ? [] : ['', `Never tried: ${untried.join(', ')}.`]),
    ...coverage
      .tables((count) => (count === 0 ? '' : String(count)))
      .flatMap(({ name, columns, rows }) => [
        '',
        `## ${name}`,
        '',
        `| answer | ${columns.join(' | ')} |`,
        `|---|${columns.map(() => '---:').join('|')}|`,
        ...rows.map(({ answer, cells: counts }) => `| \`${answer}\` | ${counts.join(' | ')} |`),
      ]),
    '',
  ].join('\n');
}
