/**
 * A nightly report of this repository: a graph of tasks with retries and a branch that fails. What depends on the failure
 * is skipped; everything else is done.
 *
 *     npx tsx examples/nightly.ts [folder]                     in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/nightly.ts
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { app, backoff, memory, NonRetryableError, type App, type TaskContext } from '../src/index.js';
import { valkey } from '../src/valkey/index.js';

interface Count {
  readonly file: string;
  readonly lines: number;
}

/** The flow, and how often a count was tried. */
export function nightlyOf(a: App) {
  const seen = { tries: 0 };
  const list = a.task('list', async ({ input }: TaskContext<{ folder: string }>) =>
    (await readdir(input.folder)).filter((name) => name.endsWith('.md')).sort(),
  );
  // The first try of every file fails: a disk that wakes up.
  const count = a.task(
    'count',
    { retry: { failures: 2, backoff: backoff.fixed(20) } },
    async ({ input, attempt }: TaskContext<{ folder: string; file: string }>): Promise<Count> => {
      seen.tries++;
      if (attempt === 1) throw new Error('the disk is asleep');
      const text = await readFile(join(input.folder, input.file), 'utf8');
      return { file: input.file, lines: text.split('\n').length };
    },
  );
  const mail = a.task('mail', (_: TaskContext<{ report: string }>): string => {
    throw new NonRetryableError('there is no mail server here');
  });
  const archive = a.task('archive', ({ input }: TaskContext<{ receipt: string }>) => input.receipt);
  const report = a.task('report', ({ input }: TaskContext<{ counts: Count[]; pages: string[] }>) => {
    const lines = input.counts.reduce((sum, { lines }) => sum + lines, 0);
    return `${input.counts.length} of ${input.pages.length} pages, ${lines} lines`;
  });
  const nightly = a.flow('nightly', (f, input: { folder: string; files: string[] }) => {
    const pages = f.run(list, { folder: input.folder });
    const counts = input.files.map((file) => f.run(count, { folder: input.folder, file }));
    const written = f.run(report, { counts, pages });
    f.run(archive, { receipt: f.run(mail, { report: written }) });
    return written;
  });
  return { nightly, seen };
}

async function main(): Promise<void> {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../docs', import.meta.url));
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const { nightly, seen } = nightlyOf(a);
  await a.worker();
  const files = (await readdir(folder)).filter((name) => name.endsWith('.md'));
  const run = nightly.run({ folder, files });
  console.log(await run.result(), `in ${seen.tries} tries`);
  for await (const { task, state } of run.children) console.log(task.padEnd(8), state);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
