/** The code of pages of docs/ is executed as it stands; only the package's name becomes its source. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the project, so that its dependencies are found.
const folder = mkdtempSync(join(root, 'node_modules', '.docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What each block of a page prints, in their order. */
const PAGES: Readonly<Record<string, readonly RegExp[]>> = {
  budgets: [
    /^350\n100\nbudget_exceeded\ntokens: 450 used and 0 held of 1000\n\{ tokens: 450 \} \[ 'tokens' \]\n\{ tokens: 450 \}$/,
    /^\{ tokens: 1000 \}\nwaiting\nacme \d{4}-\d\d-\d\d \{ tokens: 2000 \}\ntrue$/,
  ],
  flows: [/^words: 3\ncount completed\ncount completed\nsum completed$/, /^answer 0, answer 1, answer 2$/],
  lists: [
    /^3 \{ completed: 1, failed: 2 \} \{ completed: 1, failed: 2 \}$/,
    /^mail waiting \{ to: 'ann' \}$/,
    /^would replay 3 \{ bank_down: 3 \}\nreplayed 3 failed 0 true\n\[ 1, 2, 3 \]$/,
    /^0 indexes mended$/,
  ],
  quotas: [/^true acme 10 \{ limit: 100, windowMs: 60000 \}$/],
  steps: [/^charged ann once\n\[ 'charge', 'mail', 'mail' \]$/, /^undone, then failed: card$/],
  waiting: [
    /^reminded Ann twice 2$/,
    /^kept\n\{ commit: '4b9df81', approved: true, by: \[ 'ann', 'bea' \] \}$/,
    /^paid 500$/,
  ],
};

const blocksOf = (page: string): string[] =>
  [...readFileSync(join(root, 'docs', `${page}.md`), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    (match) => match[1] as string,
  );

describe.each(Object.entries(PAGES))('the code of docs/%s.md', (page, expected) => {
  const blocks = blocksOf(page);

  test('has the blocks that are expected here', () => expect(blocks).toHaveLength(expected.length));

  test.each(expected.map((prints, index) => ({ prints, index })))('runs: block $index', async ({ prints, index }) => {
    const file = join(folder, `${page}-${index}.mts`);
    const source = `from '${join(root, 'src', 'index.ts')}'`;
    writeFileSync(file, (blocks[index] as string).replaceAll("from 'flowfabric'", source));
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', file], { cwd: root, timeout: 30_000 });
    expect((await run).stdout.trim()).toMatch(prints);
  });
});
