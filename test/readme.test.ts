/** The code of the README and of pages is executed as it stands; only the package's name becomes its source. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { sharedValkey } from './support/valkey/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the project, so that its dependencies are found.
const folder = mkdtempSync(join(root, 'node_modules', '.readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What each block of each page prints, in their order. */
const PAGES: Readonly<Record<string, readonly RegExp[]>> = {
  'README.md': [
    /^Hello, World!$/,
    /^\{ card: 'visa', paid: true \}$/,
    /^Hello, World!$/,
    /^o1 paid as \S+, owner 1$/,
    /^o1 paid\no1 eu \{ order: 'o1' \} completed$/,
    /^3$/,
    /^3 completed$/,
    /^completed\nacquired 1\nreleased 1$/,
  ],
  'docs/embedded.md': [/^Hello, World!$/],
  'docs/operating.md': [
    /^waiting paused_by_operator - held by ann: checking the amount\nRunFailedError\no1 paid 1$/,
    /^paused by ann because the provider is down\n\{ waiting: 1 \}\nsent to bob\nlane_draining$/,
    /^renderers \[ 'render' \] 2 \S+\nhas in hand: render\ngiven to others: 1\nscene 7 rendered$/,
    /^2 3600000 \[ 'customer.id' \]$/,
  ],
  'docs/streaming.md': [
    /^1 Forty\n1 -\n1 two\nscore \{ confidence: 0.9 \}\n\{ state: 'done', tokens: 3 \}$/,
    /^text attempt 1\nattempt\s*\nwent on: attempt 2$/,
    /^id: 0\/…-0\nevent: text\ndata: \{"attempt":1,"at":0,"type":"text","bestEffort":false,"text":"one "\}\n\[ '"text":"two "', '"text":"three"' \]$/,
    /^durable Once upon \nsummary \{"plan":\{"draft":"done"\},"words":2\}\n\{"plan":\{"draft":"done"\},"words":2\}$/,
  ],
  'docs/subscribing.md': [
    // Listeners and iterators hear of it side by side.
    /^(completed charge charge\n)?execution_created\n(completed charge charge\n)?execution_claimed\n(completed charge charge\n)?execution_completed(\ncompleted charge charge)?$/,
    /^success mail\nsuccess\nsuccess$/,
    /^order success\nsuccess$/,
  ],
};

const blocksOf = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string);

const ENTRIES: Record<string, string> = {
  '': 'index',
  '/memory': 'memory/index',
  '/embedded': 'embedded/index',
  '/valkey': 'valkey/index',
  '/testing': 'testing/index',
  '/engine': 'engine/index',
};

describe.each(Object.entries(PAGES))('the code of %s', (page, expected) => {
  const blocks = blocksOf(page);

  it('has the blocks that are expected here', () => expect(blocks).toHaveLength(expected.length));

  it.each(blocks.map((code, index) => ({ index, code })))('runs: block $index', async ({ index, code }) => {
    const home = mkdtempSync(join(folder, 'block-'));
    const file = join(home, 'block.mts');
    writeFileSync(
      file,
      code.replace(
        /from 'flowfabric(\/\w+)?'/g,
        (_all, entry: string | undefined) => `from '${join(root, 'src', `${ENTRIES[entry ?? '']}.ts`)}'`,
      ),
    );
    const { url } = await sharedValkey();
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file], {
      cwd: home,
      env: { ...process.env, VALKEY_URL: url },
      timeout: 30_000,
    });
    expect(stdout.trim()).toMatch(expected[index] as RegExp);
  });
});

describe('the words of the project', () => {
  it('are the same in the README and where the engine interface begins', () => {
    const table = readFileSync(join(root, 'README.md'), 'utf8').split('\n## Words\n')[1] as string;
    const rows = (table.split('\n## ')[0] as string).split('\n').filter((line) => line.startsWith('| '));
    const inReadme = rows.slice(1).map((row) => row.slice(2, -2).replace(' | ', ': ').replace(/[*`]/g, ''));
    const top = readFileSync(join(root, 'src/backend.ts'), 'utf8').split(' */')[0] as string;
    const inCode = [...top.matchAll(/^ \* - (.*(?:\n \* {3}.*)*)/gm)].map((match) =>
      (match[1] as string).replace(/\n \* {3}/g, ' '),
    );
    expect(inReadme.length).toBeGreaterThan(20);
    expect(inCode).toEqual(inReadme);
  });
});
