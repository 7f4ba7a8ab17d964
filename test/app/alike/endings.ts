/** How runs end, and what their callers get of it. */
import { expect } from 'vitest';
import { z } from 'zod';
import {
  backoff,
  NonRetryableError,
  RunFailedError,
  type App,
  type PendingRun,
  type Run,
  type TaskContext,
} from '../../../src/index.js';
import { rejectionOf, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

class CardError extends Error {
  override readonly name = 'CardError';
}

/** What is left of an app that was closed: everything that can be asked of it, of its runs and of its flows. */
async function callsOfClosedApp(a: App): Promise<Readonly<Record<string, () => PromiseLike<unknown>>>> {
  const task = a.task('t', () => 1);
  const flow = a.flow('f', (f) => {
    f.run(task);
  });
  const budget = a.budget('b', { limits: { n: { hard: 1 } } });
  const [run, graph, found] = [await task.run(), await flow.run(), await a.get((await task.run()).id)];
  const pending = task.get(run.id);
  await budget.status();
  await a.close();
  const callsOf = (kept: Run<unknown> | PendingRun<unknown>): Record<string, () => PromiseLike<unknown>> => ({
    result: () => kept.result(),
    'result within a time': () => kept.result({ timeout: '1s' }),
    cancel: () => kept.cancel(),
    state: () => kept.state(),
    info: () => kept.info(),
    events: () => kept.events().next(),
    stream: () => first(kept.stream()),
    explain: () => kept.explain(),
    usage: () => kept.usage(),
    summary: () => kept.summary(),
    children: () => first(kept.children),
    signals: () => first(kept.signals()),
    signal: () => kept.signal('s'),
    approve: () => kept.approve('s', { by: 'ann' }),
    reject: () => kept.reject('s', { by: 'ann' }),
    hold: () => kept.hold(),
    release: () => kept.release(),
    setPriority: () => kept.setPriority(1),
    replay: () => kept.replay(),
    setTags: () => kept.setTags({ 'a.b': 'c' }),
  });
  const named = (of: string, calls: Record<string, () => PromiseLike<unknown>>) =>
    Object.fromEntries(Object.entries(calls).map(([name, call]) => [`${of}: ${name}`, call]));
  return {
    ...named('a run', callsOf(run)),
    ...named('a run that was found', callsOf(found)),
    ...named('a run that is looked up', callsOf(pending)),
    ...named('a flow', {
      result: () => graph.result(),
      cancel: () => graph.cancel(),
      state: () => graph.state(),
      info: () => graph.info(),
      explain: () => graph.explain(),
      usage: () => graph.usage(),
      children: () => first(graph.children),
    }),
    ...named('the app', {
      run: () => task.run(),
      runMany: () => task.runMany([undefined]),
      flow: () => flow.run(),
      worker: () => a.worker(),
      runs: () => first(a.runs()),
      flows: () => first(a.flows()),
      counts: () => a.counts(),
      lane: () => a.lane('t').state(),
      pause: () => a.lane('t').pause(),
      workers: () => first(a.workers()),
      budget: () => budget.status(),
      report: () => budget.report({ n: 1 }),
      bills: () => first(a.bills()),
      on: () => a.on('completed', () => undefined),
      quotas: () => a.quotas.of(task),
      rotateKey: () => a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32) }),
      'dead letters': () => first(a.deadLetters.list()),
      'replay of dead letters': () => a.deadLetters.replay(),
      quarantined: () => first(a.deadLetters.quarantined()),
      backend: () => a.backend(),
    }),
  };
}

const first = <T>(all: AsyncIterable<T>): Promise<unknown> => all[Symbol.asyncIterator]().next();

export const ENDINGS: readonly Scenario[] = [
  ...[true, false].map(
    (closeBackend): Scenario => ({
      name: `every call after the end of an app says so, of its runs as of the app; its backend is closed too: ${closeBackend}`,
      run: async ({ open }) => {
        const calls = await callsOfClosedApp(await open({ closeBackend }));
        const told = await Promise.all(
          Object.entries(calls).map(
            async ([name, call]) => [name, (await refusalOf(call)) as { code?: unknown }] as const,
          ),
        );
        const wrong = told.filter(([, refusal]) => refusal.code !== 'app_closed');
        expect(wrong).toEqual([]);
        return Object.fromEntries(told);
      },
    }),
  ),
  {
    name: 'a failure comes back with class, message, first frames of the stack, and cause',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const task = a.task('charge', () => {
        throw new CardError('declined', { cause: new TypeError('no funds') });
      });
      await a.worker();
      const run = await task.run();
      const error = (await rejectionOf(b.get(run.id).result())) as RunFailedError;
      expect(error).toBeInstanceOf(RunFailedError);
      expect(error.details).toMatch(/CardError: declined\n +at .*endings\.ts:\d+:\d+[\s\S]*TypeError: no funds/);
      const { failure } = await run.info();
      expect(failure?.details).toBe(error.details);
      const listed: unknown[] = [];
      for await (const row of b.deadLetters.list()) listed.push(row.failure);
      const { name, message, code, category, reason, failureClass, executionId, hint, retryable } = error;
      const { class: kind, message: text, category: of } = failure ?? {};
      return {
        name,
        message,
        code,
        category,
        reason,
        failureClass,
        executionId,
        hint,
        retryable,
        kind,
        text,
        of,
        listed,
      };
    },
  },
  {
    name: 'whatever is thrown is a reason',
    run: async ({ open }) => {
      const a = await open();
      const cyclic: Record<string, unknown> = {};
      cyclic['self'] = cyclic;
      const thrown: readonly unknown[] = [
        undefined,
        null,
        'text',
        42,
        { status: 500 },
        cyclic,
        new Error(''),
        new AggregateError([new Error('one'), new TypeError('two')], 'both'),
        new NonRetryableError('never', { category: 'declined' }),
        Object.assign(new Error('x'), { name: 'Odd Name' }),
        new Error('ü'.repeat(5_000)),
      ];
      const task = a.task('t', { retry: { failures: 0 } }, ({ input }: TaskContext<number>) => {
        throw thrown[input];
      });
      await a.worker({ slots: 4 });
      const errors = await Promise.all(
        thrown.map(async (_, index) => (await rejectionOf(task.run(index).result())) as RunFailedError),
      );
      return errors.map(({ reason, category, failureClass }) => [reason, category, failureClass]);
    },
  },
  {
    name: 'inputs and results that do not fit are refused in the words of the schema',
    run: async ({ open }) => {
      const a = await open();
      const input = z.object({ cents: z.int() });
      const charge = a.task('charge', { input, output: z.string(), retry: { failures: 5 } }, ({ input: { cents } }) =>
        cents === 1 ? (5 as never) : 'paid',
      );
      const map = a.task('map', () => new Map([[1, 2]]) as never);
      const large = a.task('large', () => new Uint8Array(9 * 1024 * 1024));
      await a.worker();
      const other = (await open()).task<unknown, string>('charge');
      const foreign = await other.run('no object');
      return {
        wrong: await refusalOf(() => charge.run({ cents: 0.5 })),
        map: await refusalOf(() => charge.run({ cents: new Map() as never })),
        sentElsewhere: await refusalOf(() => foreign.result()),
        result: await refusalOf(() => charge.run({ cents: 1 }).result()),
        noJson: await refusalOf(() => map.run().result()),
        tooLarge: await refusalOf(() => large.run().result()),
      };
    },
  },
  {
    name: 'failed, cancelled and expired runs are dead letters or not, and a replay is a new chance',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      let isMended = false;
      const task = a.task('t', ({ input, attempt }: TaskContext<string>) => {
        if (!isMended) throw new NonRetryableError(`no ${input}`, { category: input });
        return `${input} in attempt ${attempt}`;
      });
      await a.worker();
      const runs = await task.runMany(['x', 'y', 'z']);
      await Promise.allSettled(runs.map((run) => run.result()));
      const cancelled = await task.run('c', { delay: '1h' });
      await cancelled.cancel();
      const expired = await task.run('e', { delay: '1h', deadline: '20ms' });
      await rejectionOf(expired.result());
      const dead: unknown[] = [];
      for await (const { state, failure, task: of } of b.deadLetters.list())
        dead.push([of, state, failure ?? ''].join(' '));
      const dry = await b.deadLetters.replay({ failure: 'y' }, { dryRun: true });
      isMended = true;
      const report = await b.deadLetters.replay({ failure: 'y' }, { reason: 'mended', requestedBy: 'ann' });
      expect(await within(runs[1]?.result() as never)).toBe('y in attempt 2');
      expect(await runs[0]?.replay({ reason: 'mended' })).toBe(1);
      expect(await within(runs[0]?.result() as never)).toBe('x in attempt 2');
      const { replays, failure, attempts } = { ...(await runs[0]?.info()) };
      return {
        dead: dead.sort(),
        dry,
        report,
        replays,
        failure,
        attempts,
        running: await refusalOf(async () => (await task.run('q', { delay: '1h' })).replay()),
        cancelled: await refusalOf(() => cancelled.result()),
        twice: [await cancelled.cancel(), await runs[0]?.cancel()],
      };
    },
  },
  {
    name: 'each attempt of a failing run is counted, and the last reason stands',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task(
        't',
        { retry: { failures: 2, backoff: backoff.fixed(1) } },
        ({ attempt }: TaskContext<void>) => {
          throw new Error(`try ${attempt}`);
        },
      );
      const worker = await a.worker();
      const outcomes: string[] = [];
      worker.on('finished', ({ outcome }) => void outcomes.push(outcome));
      const error = await refusalOf(() => task.run().result());
      await until(() => outcomes.length === 3);
      const { completed, failed, lost, released } = worker.stats();
      return { error, outcomes, completed, failed, lost, released };
    },
  },
];
