/** Flows: results that become inputs, races, failures. */
import { expect } from 'vitest';
import type { App, FlowRunActions, TaskContext } from '../../../src/index.js';
import { deferred, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

async function statesOf(run: FlowRunActions<unknown>): Promise<string[]> {
  const rows: string[] = [];
  for await (const { task, state, message } of run.children) rows.push(`${task} ${state} ${message}`.trim());
  return rows.sort();
}

/** A handler that ends only when it is told to, and says why. */
function patient(a: App) {
  const [begun, told] = [deferred(), deferred<string>()];
  const task = a.task('patient', async ({ signal }: TaskContext<unknown>) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    told.resolve((signal.reason as { code: string }).code);
    return 'late';
  });
  return { task, begun: begun.promise, told: told.promise };
}

export const FLOWS: readonly Scenario[] = [
  {
    name: 'results become inputs, as JSON and as bytes, and the flow gives what it was declared to',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const text = a.task('text', ({ input }: TaskContext<string>) => input.toUpperCase());
      const bytes = a.task('bytes', () => Uint8Array.of(0, 255));
      const sum = a.task('sum', ({ input }: TaskContext<Uint8Array>) => {
        expect(Object.getPrototypeOf(input)).toBe(Uint8Array.prototype);
        return input.reduce((total, byte) => total + byte);
      });
      const join = a.task('join', ({ input }: TaskContext<{ all: string[]; sum: number }>) => {
        return `${input.all.join()} ${input.sum}`;
      });
      const flow = a.flow('f', (f, input: { words: string[] }) => {
        const words = input.words.map((word) => f.run(text, word));
        return { joined: f.run(join, { all: words, sum: f.run(sum, f.run(bytes)) }), first: words[0] };
      });
      await a.worker({ slots: 3 });
      const run = await flow.run({ words: ['a', 'b'] }, { id: 'own', tags: { 'a.b': 'c' } });
      const result = await within(run.result());
      expect(await flow.run({ words: ['a', 'b'] }, { id: 'own' })).toMatchObject({ id: run.id, deduplicated: true });
      const known = b.flow('f', (f, _: { words: string[] }) => f.run(text as never)).get({ id: 'own' });
      return {
        result,
        info: await known.info(),
        state: await known.state(),
        states: await statesOf(known),
        conflict: await refusalOf(() => flow.run({ words: [] as string[] }, { id: 'own' })),
        cancelled: await known.cancel(),
      };
    },
  },
  {
    name: 'a race is over with its winners: the others are cancelled at once, or may finish',
    run: async ({ open }) => {
      const a = await open();
      const { task: loser, begun, told } = patient(a);
      const winner = a.task('winner', ({ input }: TaskContext<number>) => input);
      const last = a.task('last', ({ input }: TaskContext<unknown>) => input as never);
      const [finishing, go] = [deferred(), deferred()];
      const finishes = a.task('finishes', async () => {
        finishing.resolve();
        await go.promise;
        return 'finished';
      });
      const race = a.flow('race', (f) => f.run(last, f.any<unknown>([f.run(loser), f.run(winner, 1)])));
      const mild = a.flow('mild', (f) =>
        f.run(
          last,
          f.quorum<unknown>(2, [f.run(finishes), f.run(winner, 1), f.run(winner, 2)], { onSatisfied: 'let_run' }),
        ),
      );
      await a.lane('winner').pause();
      await a.worker({ slots: 6 });
      const run = await race.run();
      await within(begun);
      await a.lane('winner').resume();
      expect(await within(run.result())).toBe(1);
      expect(await within(told)).toBe('cancelled');
      await within(until(async () => (await run.state()) === 'completed'));
      await a.lane('winner').pause();
      const second = await mild.run();
      await within(finishing.promise);
      await a.lane('winner').resume();
      expect(await within(second.result())).toEqual([1, 2]);
      const before = await statesOf(second);
      go.resolve();
      await within(until(async () => (await second.state()) === 'completed'));
      return { race: await statesOf(run), before, after: await statesOf(second) };
    },
  },
  {
    name: 'what needs a member that failed is skipped, the flow fails, and says which',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const ends: unknown[] = [];
      await b.on('flowFailed', ({ at: _, ...end }) => void ends.push(end));
      const fails = a.task('fails', (): string => {
        throw new Error('no');
      });
      const next = a.task('next', ({ input }: TaskContext<string>) => input);
      const flow = a.flow('f', (f) => f.run(next, f.run(next, f.run(fails))));
      const silent = a.flow('silent', (f) => void f.run(next, f.run(fails)));
      await a.worker({ slots: 2 });
      const [run, other] = [await flow.run(), await silent.run()];
      const errors = [await within(refusalOf(() => run.result())), await within(refusalOf(() => other.result()))];
      await within(until(() => ends.length === 2));
      const { sentence, failed, state } = await run.explain();
      return { errors, states: await statesOf(run), sentence, failed, state, ends: ends.length };
    },
  },
  {
    name: 'a cancelled flow reaches its running member at once',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const { task, begun, told } = patient(a);
      const last = a.task('last', ({ input }: TaskContext<unknown>) => input as never);
      const flow = a.flow('f', (f) => f.run(last, f.run(task)));
      await a.worker();
      const run = await flow.run();
      await within(begun);
      const waiting = refusalOf(() => run.result());
      const known = b.flow('f', (f) => void f.run(last as never)).get(run.id);
      expect(await known.cancel({ reason: 'changed mind', wait: '5s' })).toBe(true);
      expect(await within(told)).toBe('cancelled');
      const { state, cancelReason } = await known.info();
      return {
        state,
        cancelReason,
        states: await statesOf(known),
        error: await within(waiting),
        again: await known.cancel(),
      };
    },
  },
  {
    name: 'a flow has a deadline, a delay and a priority for its members, and is listed with what is known of it',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task('task', ({ sleep }: TaskContext<unknown>) => sleep('1h'));
      const flow = a.flow('f', (f) => {
        f.run(task, f.run(task, 0));
      });
      const delayed = await flow.run(undefined, { id: 'later', delay: '1h', deadline: '2h', priority: 5 });
      const over = await flow.run(undefined, { id: 'over', deadline: new Date(Date.now() - 60_000) });
      const worker = await a.worker();
      const failed = await refusalOf(() => within(over.result()));
      const listed: unknown[] = [];
      for await (const { ownId, state, members } of a.flows({ flow })) listed.push([ownId, state, members]);
      const first: unknown[] = [];
      for await (const { id } of delayed.children) {
        const { priority, execution } = await a.get(id).info();
        first.push([priority, typeof execution.delayUntil, typeof execution.executionDeadlineAt]);
      }
      return { listed: listed.sort(), first, failed, started: worker.stats().completed };
    },
  },
];
