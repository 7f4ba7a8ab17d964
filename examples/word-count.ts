/**
 * Counts the words of many files: a handler looks which there are, has a run of its own count each, and adds up. It holds no
 * slot while they count.
 *
 *     npx tsx examples/word-count.ts [folder]                  in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/word-count.ts
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { app, child, memory, type App, type TaskContext } from '../src/index.js';
import { valkey } from '../src/valkey/index.js';

export function wordCountOf(a: App) {
  const count = a.task('count words', async ({ input }: TaskContext<{ file: string }>) => {
    const text = await readFile(input.file, 'utf8');
    return text.split(/\s+/).filter((word) => word !== '').length;
  });
  return a.task('count all words', async ({ input, step, children }: TaskContext<{ folder: string }>) => {
    // In a step: every run of this handler is to ask for the same children.
    const names = await step('list', async () => (await readdir(input.folder)).filter((name) => name.endsWith('.md')));
    const counts = await children.all(names.map((name) => child(count, { file: join(input.folder, name) })));
    return { files: names.length, words: counts.reduce((sum, words) => sum + words, 0) };
  });
}

async function main(): Promise<void> {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../docs', import.meta.url));
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const countAll = wordCountOf(a);
  await a.worker({ slots: 4 });
  const run = countAll.run({ folder });
  console.log(await run.result());
  for await (const { task, state } of run.children) console.log(task, state);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
