/**
 * A stream of tokens, as a language model gives them: here they are the words of a text file of this repository. Two
 * readers follow it live. One of them loses its connection on the way and goes on by its cursor; both have every word
 * once. A rolling summary says how far it is, for those that come late or look only now and then.
 *
 *     npx tsx examples/token-stream.ts [file]           in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/token-stream.ts
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { app, memory, valkey, type App, type PendingRun, type TaskContext } from '../src/index.js';

/** A text in tokens: words with the white space behind them. */
const tokensOf = (text: string): string[] => text.match(/\S+\s*|\s+/g) ?? [];

/** Words between two patches of the summary. */
const SUMMARY_EVERY = 100;

/** The task that speaks: it answers how many tokens there were. */
export function speaker(a: App) {
  return a.task('speak', async ({ input, stream, signal }: TaskContext<{ text: string }>) => {
    const tokens = tokensOf(input.text);
    let words = 0;
    for (const token of tokens) {
      signal.throwIfAborted();
      await stream.text(token, { type: 'token' });
      words++;
      if (words % SUMMARY_EVERY === 0) await stream.summary({ words, of: tokens.length, last: token.trim() });
    }
    await stream.summary({ words, of: tokens.length, last: null, state: 'done' });
    return { tokens: words };
  });
}

/** Follows a run to its end, and answers its text. */
export async function listen(run: PendingRun<unknown>): Promise<string> {
  let text = '';
  for await (const piece of run.stream().text()) text += piece;
  return text;
}

/** The same, by a reader that is gone after some tokens, and comes back where it was: in another process, say. */
export async function listenInTwoSittings(run: PendingRun<unknown>, leavesAfter: number): Promise<string> {
  let text = '';
  let cursor = 'start';
  let heard = 0;
  for await (const frame of run.stream()) {
    cursor = frame.cursor;
    if (frame.kind !== 'text') continue;
    text += frame.text;
    if (++heard === leavesAfter) break;
  }
  for await (const piece of run.stream({ from: cursor }).text()) text += piece;
  return text;
}

async function main(): Promise<void> {
  const file = process.argv[2] ?? fileURLToPath(new URL('../LICENSE', import.meta.url));
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const speak = speaker(a);
  await a.worker();
  const run = speak.run({ text: await readFile(file, 'utf8') });
  const [live, resumed] = await Promise.all([listen(run), listenInTwoSittings(run, 25)]);
  const summary = await run.summary();
  console.log(live);
  console.log(`${(await run.result()).tokens} tokens; both readers heard the same: ${live === resumed}`);
  console.log('summary', summary?.version, summary?.document);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
