/**
 * The code of the README and of pages of docs/ is executed as it stands, each block as a program of its own. A block that
 * begins with the name of a file (`// tasks.ts`) is that file: others of its page can import it.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer, type AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { present } from '../model/core/present.js';
import { programsOf, type Programs } from './support/programs.js';
import { sharedValkey } from './support/valkey/index.js';
import { VISIT } from './support/visit.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a page shows as the output of a block, with any numbers. */
function printedOn(page: string): RegExp {
  const shown = /\n\n```\n([\s\S]*?)\n```\n/.exec(readFileSync(join(root, page), 'utf8'))?.[1] as string;
  return new RegExp(`^${shown.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ *\d+/g, ' *\\d+')}$`);
}

/** Of a program that does not end by itself: it is executed as a part of another one. */
const ENDLESS = undefined;

/** What each block of each page prints, in their order. */
const PAGES: Readonly<Record<string, readonly (RegExp | typeof ENDLESS)[]>> = {
  'README.md': [
    /^Hello, World!$/,
    /^\{ card: 'visa', paid: true \}$/,
    /^ann: one printed, two printed$/,
    /^o1 paid as \S+, owner 1$/,
    /^3$/,
    /^3 completed$/,
  ],
  'docs/budgets.md': [
    /^350\n100\nbudget_exceeded\nBudget "tokens" has no room for 551: of 1000 tokens, 450 are used and 0 reserved\n\{ tokens: 450 \} \[ 'tokens' \]\n\{ tokens: 450 \}$/,
    /^\{ cents: 500 \}$/,
    /^\{ tokens: 1000 \}\nwaiting\nacme \d{4}-\d\d-\d\d \{ tokens: 2000 \}\ntrue$/,
  ],
  'docs/deploying.md': [/^welcome ann\nann charged$/],
  'docs/embedded.md': [/^Hello, World!$/],
  'docs/flows.md': [
    /^words: 3\ncount completed\ncount completed\nsum completed$/,
    /^answer 0, answer 1, answer 2$/,
    /^nobody is there\n60\nprice \w+\nprice \w+\nprice \w+\nprice \w+$/,
    /^too late$/,
  ],
  'docs/lists.md': [
    /^3 \{ completed: 1, failed: 2 \} \{ completed: 1, failed: 2 \}$/,
    /^mail waiting welcome ann 7 \{ to: 'ann' \}$/,
    /^week 1 waiting \{ waiting: 2 \}$/,
    /^would replay 3 \{ bank_down: 3 \}\nreplayed 3 failed 0 true\n\[ 1, 2, 3 \]$/,
    /^0 indexes mended$/,
  ],
  'docs/operating.md': [
    /^waiting paused_by_operator - held by ann: checking the amount\nRunFailedError\no1 paid 1$/,
    /^paused by ann because the provider is down\n\{ waiting: 1 \}\nsent to bob\nlane_draining$/,
    /^renderers \[ 'render' \] 2 \S+\nhas in hand: render\ngiven to others: 1\nscene 7 rendered$/,
  ],
  'docs/not-running.md': [
    /^worker - It waits for a worker of lane film with gpu that runs render: none is registered\. Start such a worker\.\nbob holds it: checking the scene\. Release the hold\.\n\[\s*\{\s*kind: 'call',\s*call: 'releaseHold',\s*of: '.*',\s*task: 'render'\s*\},\s*\{ kind: 'call', call: 'resumeLane', of: 'film' \},\s*\{\s*kind: 'call',\s*call: 'claimForWorker',\s*of: '.*',\s*task: 'render'\s*\}\s*\]\nThe lane film is paused by ann\.\nrendered It ended completed\.$/,
  ],
  'docs/quotas.md': [/^true acme 10 \{ limit: 100, windowMs: 60000 \}$/],
  'docs/recurring.md': [/^true true$/],
  'docs/scheduling.md': [/^light, light\n0 more: what is blocked is scanned no longer$/, /^0$/],
  'docs/service.md': [/^$/, /^$/, ENDLESS, ENDLESS, /1 orders are done\n.*0 orders are done\n.*pass 2\n/s],
  'docs/steps.md': [
    /^charged ann once\n\[ 'charge', 'mail', 'mail' \]$/,
    /^undone, then failed: card$/,
    /^charged o1 true\nrefunded o1\n\{ state: 'refunded', why: \[ 'the carrier is down' \] \}$/,
    /^reserved room 7\nfreed room 7\nwithdrawn$/,
    /^hotel for ann\nno hotel for ann$/,
  ],
  'docs/streaming.md': [
    /^1 Forty\n1 -\n1 two\nscore \{ confidence: 0.9 \}\n\{ state: 'done', tokens: 3 \}$/,
    /^text attempt 1\nattempt\s*\nwent on: attempt 2$/,
    /^id: 0\/…-0\nevent: text\ndata: \{"attempt":1,"at":0,"type":"text","bestEffort":false,"text":"one "\}\n\[ '"text":"two "', '"text":"three"' \]$/,
  ],
  'docs/subscribing.md': [
    // Listeners and iterators hear of it side by side.
    /^(completed charge o1 eu\n)?execution_created\n(completed charge o1 eu\n)?execution_claimed\n(completed charge o1 eu\n)?execution_completed(\ncompleted charge o1 eu)?$/,
    /^pages monday$/,
    /^success mail\nsuccess\nsuccess$/,
    /^order success\nsuccess$/,
    /^\[ 'waiting', 'waiting' \]\n\[ 'success', 'success' \]$/,
  ],
  'docs/testing.md': [printedOn('docs/testing.md'), /^41$/],
  'docs/waiting.md': [
    /^reminded Ann twice 2$/,
    /^kept\n\{ commit: '4b9df81', approved: true, by: \[ 'ann', 'bea' \] \}$/,
    /^paid 500$/,
  ],
  'docs/wrapping.md': [
    /^00-4bf92f35-01 pay o1\n00-4bf92f35-01 charge suspended\n(00-4bf92f35-01 charge completed\no1 paid|o1 paid\n00-4bf92f35-01 charge completed)$/,
  ],
};

const blocksOf = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string);

/** The program of a block: a file of its page if it begins with a name. */
const nameOf = (page: string, index: number): string => {
  const [, named] = /^\/\/ ([\w.]+)\.ts\n/.exec(blocksOf(page)[index] as string) ?? [];
  return page.replaceAll('/', '-') + (named === undefined ? `-${index}` : `/${named}`);
};

/** Every block of every page, also of those that are not run. */
const ALL_PAGES = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

it('every block compiles as it stands, against the types of the sources', async () => {
  // Inside the project, so that its dependencies are found.
  const folder = mkdtempSync(join(root, 'node_modules', '.blocks-'));
  try {
    for (const page of ALL_PAGES)
      blocksOf(page).forEach((code, index) => {
        const file = join(folder, `${nameOf(page, index)}.ts`);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, code);
      });
    const paths = { flowfabric: ['../../src/index.ts'], 'flowfabric/*': ['../../src/*/index.ts'] };
    const compilerOptions = {
      noEmit: true,
      noUnusedLocals: false,
      noUnusedParameters: false,
      skipLibCheck: true,
      paths,
    };
    const config = { extends: '../../tsconfig.json', compilerOptions, include: ['**/*.ts'], exclude: [] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const compiled = promisify(execFile)(process.execPath, [compiler, '-p', folder]);
    await compiled.catch(({ stdout }: { stdout: string }) => expect(stdout).toBe(''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Both processes of the service in one, with a customer: in memory, and with the line that puts it on a server. */
function wholeService(): Readonly<Record<string, string>> {
  const page = 'docs/service.md';
  const files = Object.fromEntries(blocksOf(page).map((code, index) => [nameOf(page, index), code]));
  const text = readFileSync(join(root, page), 'utf8');
  const line = present(/^# (export const shop = .*)$/m.exec(text)?.[1]).replace('shop:', `shop-${randomUUID()}:`);
  const onServer = Object.entries(files).map(([name, code]) => [
    name.replace('/', '-valkey/'),
    code.replace(/^export const shop = .*$/m, line).replace('memory }', 'valkey }'),
  ]);
  return {
    'docs-service.md/visit': VISIT,
    ...Object.fromEntries(onServer),
    'docs-service.md-valkey/visit': VISIT,
  };
}

let programs: Programs;
beforeAll(async () => {
  const named = Object.keys(PAGES).flatMap((page) =>
    blocksOf(page).map((code, index) => [nameOf(page, index), code] as const),
  );
  programs = await programsOf({ ...Object.fromEntries(named), ...wholeService() });
});
afterAll(() => programs?.remove());

it('every page with code is executed here', () => {
  const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
  const withCode = pages.filter((page) => page.endsWith('.md') && blocksOf(page).length > 0);
  expect(Object.keys(PAGES).sort()).toEqual(withCode.sort());
});

describe.each(Object.entries(PAGES))('the code of %s', (page, expected) => {
  it('has the blocks that are expected here', () => expect(blocksOf(page)).toHaveLength(expected.length));

  const ending = expected.flatMap((prints, index) => (prints === ENDLESS ? [] : [{ prints, index }]));
  it.each(ending)('runs: block $index', async ({ prints, index }) => {
    const { url } = await sharedValkey();
    expect(await programs.run(nameOf(page, index), { VALKEY_URL: url })).toMatch(prints);
  });
});

it('the scheduler of docs/scheduling.md is the same without a server', async () => {
  const printed = await programs.run(nameOf('docs/scheduling.md', 0), { VALKEY_URL: undefined });
  expect(printed).toMatch(PAGES['docs/scheduling.md']?.[0] as RegExp);
});

/** A port that was free a moment ago. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

it.each(['docs-service.md', 'docs-service.md-valkey'])(
  'the whole service serves, and ends on SIGTERM: %s',
  async (name) => {
    const { url } = await sharedValkey();
    const printed = await programs.run(`${name}/visit`, { VALKEY_URL: url, PORT: `${await freePort()}` });
    expect(printed.split('\n').filter((line) => /^\d/.test(line))).toEqual([
      '404 {"error":"RunNotFoundError: The run of task \\"order\\" with id \\"7\\" does not exist"}',
      '400 {"error":"InvalidInputError: Input of task \\"order\\": cents: Too small: expected number to be >0"}',
      '202 {"number":"7"}',
      '200 {"state":"suspended","progress":{"state":"in review"}}',
      '200',
      '200 event: summary,event: summary,event: summary,event: end',
      '200 {"state":"completed","progress":{"state":"paid"}}',
      '409',
    ]);
  },
);

/** Pages that only the repository has. */
const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: readonly string[] };
const OF_THE_REPOSITORY = files.filter((file) => file.startsWith('!docs/')).map((file) => file.slice(1));

it('the table of the README leads to every page that is shipped, and names the others', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const table = (readme.split('\n## Which page\n')[1] as string).split('\n## ')[0] as string;
  const linked = [...table.matchAll(/\]\((docs\/[\w-]+\.md)\)/g)].map((match) => match[1] as string);
  const named = OF_THE_REPOSITORY.filter((page) => table.includes(`\`${page}\``));
  expect([...linked, ...named].sort()).toEqual(ALL_PAGES.slice(1).sort());
});

describe('the words of the project', () => {
  const rowsOf = (page: string): string[] => {
    const table = readFileSync(join(root, page), 'utf8').split('\n## Words\n')[1] as string;
    return (table.split('\n## ')[0] as string)
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(1);
  };

  it('are the same in docs/architecture.md and where the engine interface begins', () => {
    const onPage = rowsOf('docs/architecture.md').map((row) =>
      row.slice(2, -2).replace(' | ', ': ').replace(/[*`]/g, ''),
    );
    const top = readFileSync(join(root, 'src/backend/backend.ts'), 'utf8').split(' */')[0] as string;
    const inCode = [...top.matchAll(/^ \* - (.*(?:\n \* {3}.*)*)/gm)].map((match) =>
      (match[1] as string).replace(/\n \* {3}/g, ' '),
    );
    expect(onPage.length).toBeGreaterThan(20);
    expect(inCode).toEqual(onPage);
  });

  it('that users meet are explained in the README as they are there', () => {
    const all = rowsOf('docs/architecture.md');
    const inReadme = rowsOf('README.md');
    expect(inReadme.length).toBeGreaterThan(10);
    expect(all.filter((row) => inReadme.includes(row))).toEqual(inReadme);
  });
});
