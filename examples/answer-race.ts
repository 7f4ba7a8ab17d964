/**
 * A race: twenty models are asked the same question, the first three answers are enough, and the others are told to stop.
 * The models here are twenty ways to find the sentence of a text that answers a question; each takes its time. Each
 * reserves tokens before it thinks, and pays for the words of its answer. A model that is told to stop pays nothing.
 *
 *     npx tsx examples/answer-race.ts ['question' [file]]      in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/answer-race.ts
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { app, memory, type App, type TaskContext } from '../src/index.js';
import { valkey } from '../src/valkey/index.js';

const MODELS = 20;
const ENOUGH = 3;
/** The longest answer that a model may give. */
const TOKENS_PER_ANSWER = 200;

interface Question {
  readonly question: string;
  readonly text: string;
}
interface Answer {
  readonly model: number;
  readonly sentence: string;
  readonly tokens: number;
}

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z]{3,}/g) ?? [];
const sentencesOf = (text: string): string[] =>
  text
    .replace(/\s+/g, ' ')
    .split(/(?<=[.:;])\s/)
    .filter((sentence) => wordsOf(sentence).length > 4);

/** The sentence that has most words of the question; models differ in how much they dislike long sentences. */
function bestSentence({ question, text }: Question, model: number): string {
  const asked = new Set(wordsOf(question));
  const score = (sentence: string): number => {
    const words = wordsOf(sentence);
    return new Set(words.filter((word) => asked.has(word))).size - words.length * (0.02 + model / 400);
  };
  return sentencesOf(text).reduce((best, sentence) => (score(sentence) > score(best) ? sentence : best), '');
}

/** The flow, its budget, and how many models were asked and were told to stop. */
export function raceOf(a: App) {
  const seen = { asked: 0, stopped: 0 };
  const tokens = a.budget('tokens', { limits: { tokens: { hard: MODELS * TOKENS_PER_ANSWER } } });
  const ask = a.task(
    'ask',
    { budget: tokens },
    async ({ input, signal, budget }: TaskContext<Question & { model: number }>): Promise<Answer> => {
      // Returned at the end of the handler, unless it is settled.
      await using held = await budget(tokens).reserve({ tokens: TOKENS_PER_ANSWER });
      seen.asked++;
      try {
        // The greater models think longer.
        await delay(50 + input.model * 250, undefined, { signal });
      } catch (error) {
        seen.stopped++;
        throw error;
      }
      const sentence = bestSentence(input, input.model);
      const used = { tokens: wordsOf(sentence).length };
      await held.settle(used);
      return { model: input.model, sentence, ...used };
    },
  );
  const judge = a.task('judge', ({ input }: TaskContext<{ answers: Answer[] }>) => {
    const votes = new Map<string, number>();
    for (const { sentence } of input.answers) votes.set(sentence, (votes.get(sentence) ?? 0) + 1);
    const [[sentence, count] = ['', 0]] = [...votes].sort(([, one], [, other]) => other - one);
    return {
      ...{ sentence, votes: count, of: input.answers.length },
      models: input.answers.map(({ model }) => model),
      tokens: input.answers.reduce((sum, { tokens }) => sum + tokens, 0),
    };
  });
  const race = a.flow('answer-race', (f, input: Question) => {
    const answers = Array.from({ length: MODELS }, (_, model) => f.run(ask, { ...input, model }));
    return f.run(judge, { answers: f.quorum(ENOUGH, answers) });
  });
  return { race, tokens, seen };
}

async function main(): Promise<void> {
  const question = process.argv[2] ?? 'May I distribute copies of the work in source or object form?';
  const file = process.argv[3] ?? fileURLToPath(new URL('../LICENSE', import.meta.url));
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const { race, tokens, seen } = raceOf(a);
  await a.worker({ slots: MODELS + 1 });
  const started = Date.now();
  const run = race.run({ question, text: await readFile(file, 'utf8') });
  const { sentence, votes, of, models } = await run.result();
  console.log(
    `${sentence}\n\n${votes} of ${of} votes, of models ${models.join(', ')}, after ${Date.now() - started} ms.`,
  );
  for (let left = 100; (await run.state()) === 'running' && left > 0; left--) await delay(20);
  console.log(`${seen.asked} were asked, ${seen.stopped} told to stop: ${JSON.stringify((await run.info()).members)}`);
  const { usage, reserved } = await tokens.status();
  console.log(`${usage['tokens']} tokens are paid for, ${reserved['tokens'] ?? 0} are still reserved.`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
