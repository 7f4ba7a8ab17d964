/** What handlers call and do not await: it is done or logged, and it never ends the process. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { child, type TaskContext } from '../../src/index.js';
import { watchUnhandled } from '../support/odd.js';
import { harness, type Harness } from './harness.js';

const unhandled = watchUnhandled();

let h: Harness;
beforeEach(() => {
  unhandled.length = 0;
  h = harness();
});
afterEach(async () => {
  expect(unhandled).toEqual([]);
  await h.close();
});

/** Runs a handler and answers the warnings of its run, without its name. */
async function warned(handler: (context: TaskContext) => unknown): Promise<string[]> {
  const task = h.a.task('t', handler as (context: TaskContext) => never);
  await h.worker();
  const run = await task.run(undefined);
  await h.flow(run.result());
  await h.pass(1_000);
  await new Promise((resolve) => setImmediate(resolve));
  const prefix = `[t ${run.id}] `;
  return h.said.flatMap(([level, message]) =>
    level === 'warn' && message.startsWith(prefix) ? [message.slice(prefix.length)] : [],
  );
}

const UNDER_WAY = 'was under way; is an await missing?';

it.each([false, true])('a step runs before the end is reported, also behind an earlier step: %s', async (isLater) => {
  const ran: string[] = [];
  let id = '';
  const lines = await warned(async ({ step, executionId }) => {
    id = executionId;
    if (isLater) await step('first', () => void ran.push('first'));
    void step('mail', async () => {
      await h.sleep(500);
      ran.push('mail');
    });
    return 'mailed';
  });
  const stored = (await h.backend.readSteps({ executionId: id })).steps.map(({ stepName }) => stepName);
  expect(ran).toEqual(isLater ? ['first', 'mail'] : ['mail']);
  expect(lines).toEqual([`the handler returned while step "mail" ${UNDER_WAY}`]);
  expect(stored).toContain('mail');
});

it('steps in a loop that nothing awaits run, and the calls behind them are logged', async () => {
  const ran: number[] = [];
  const lines = await warned(async ({ step }) => {
    const mail = async (n: number): Promise<void> => {
      await step(`load ${n}`, () => ran.push(n));
      await step(`mail ${n}`, () => ran.push(-n));
    };
    [1, 2, 3].forEach((n) => void mail(n));
  });
  expect(ran.sort()).toEqual([1, 2, 3]);
  expect(lines).toEqual([
    `the handler returned while step "load 1", step "load 2", step "load 3" ${UNDER_WAY}`,
    'step "mail 1" was called after the handler had returned, and is not done; is an await missing?',
  ]);
});

it.each([0, 500])('a step that fails after %s ms is logged, and the run completes', async (ms) => {
  const lines = await warned(async ({ step }) => {
    void step('mail', async () => {
      if (ms > 0) await h.sleep(ms);
      throw new Error('the mail server is down');
    });
    await step('other', () => h.sleep(100));
  });
  const failed = 'step "mail" failed, and the handler did not await it; is an await missing?';
  expect(lines).toEqual(ms === 0 ? [failed] : [`the handler returned while step "mail" ${UNDER_WAY}`, failed]);
});

it('steps and waits that are awaited late, or whose failure is handled, cause no warning', async () => {
  const lines = await warned(async ({ step, sleep }) => {
    const nap = sleep('1s');
    const failing = step('fails', () => {
      throw new Error('no');
    });
    const late = step('late', () => h.sleep(100));
    await step('other', () => h.sleep(50));
    await Promise.allSettled([failing, late, nap]);
    return 'done';
  });
  expect(lines).toEqual([]);
});

it('waits and children that are not awaited do nothing, and are logged', async () => {
  const none = h.a.task('none', () => 1);
  const lines = await warned(({ sleep, waitFor, children }) => {
    void sleep('1s');
    void waitFor('x');
    void children.all([child(none)]);
  });
  expect(lines).toEqual([
    'the handler returned and has not awaited sleep, waitFor, children.all, which did nothing; is an await missing?',
  ]);
});

it('children of a function that nothing awaits are created before its handler returns, and later ones are logged', async () => {
  const ran: number[] = [];
  const note = h.a.task('note', { input: z.number() }, ({ input }) => void ran.push(input));
  const lines = await warned(({ children, step }) => {
    void step('slow', () => h.sleep(100));
    void (async () => {
      await children.all([child(note, 1)], { name: 'early' });
    })();
    void (async () => {
      await step('first', () => h.sleep(50));
      await children.all([child(note, 2)]);
    })();
  });
  expect(ran).toEqual([1]);
  expect(lines).toContain(
    'children.all was called after the handler had returned, and is not done; is an await missing?',
  );
});

it('refused calls that nothing awaits are logged', async () => {
  const tokens = h.a.budget('b', { limits: { tokens: { hard: 10 } } });
  const lines = await warned(async ({ progress, stream, budget, waitpoint }) => {
    void progress(500);
    void stream.json((() => 1) as never);
    void budget(tokens).report({ tokens: 1_000 });
    void waitpoint('');
    const held = await budget(tokens).reserve({ tokens: 1 });
    void held.settle({ coins: 1 } as never);
    await held.release();
  });
  const failed = (what: string): string => `${what} failed, and the handler did not await it; is an await missing?`;
  expect(lines.sort()).toEqual(
    ['progress', 'stream.json', 'budget.report', 'waitpoint ""', 'budget.settle'].map(failed).sort(),
  );
});

it.each(['fails', 'is cancelled'])(
  'a step in a loop that nothing awaits and that %s does not end the process',
  async (how) => {
    const task = h.a.task('t', ({ step }: TaskContext) => {
      const one = async (name: string): Promise<void> => {
        await step(name, async ({ signal }) => {
          await h.sleep(500);
          if (how === 'fails') throw new Error('no');
          signal.throwIfAborted();
        });
      };
      ['a', 'b'].forEach((name) => void one(name));
    });
    const worker = await h.worker();
    const run = await task.run(undefined);
    await h.pass(100);
    if (how === 'is cancelled') await run.cancel();
    await h.pass(1_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await run.state()).toBe(how === 'fails' ? 'completed' : 'cancelled');
    expect(worker.stats().running).toBe(0);
    const failures = h.said.filter(([, message]) => message.includes('failed, and the handler did not await it'));
    expect(failures).toHaveLength(how === 'fails' ? 2 : 0);
  },
);

it('a wait that is over before the run is suspended counts as a suspension, not as a delay', async () => {
  await h.close();
  h = harness((inner, clock) => ({
    execute: async (commands) => {
      // The child ends meanwhile.
      if (commands.some(({ name }) => name === 'moveToWaitingChildren'))
        await new Promise<void>((resolve) => void clock.after(1_000, resolve));
      return inner.execute(commands);
    },
  }));
  const none = h.a.task('none', () => 1);
  const task = h.a.task('t', ({ children }: TaskContext) => children.all([child(none)]));
  const outcomes: string[] = [];
  const worker = await h.worker();
  worker.on('finished', (event) => event.task === 't' && outcomes.push(event.outcome));
  expect(await h.flow(task.run(undefined).result())).toEqual([1]);
  expect(outcomes).toEqual(['suspended', 'completed']);
  expect(worker.stats()).toMatchObject({ delayed: 0, suspended: 1 });
});

/** Calls of a context, each of which a function of the handler awaits that nothing awaits itself. */
const CALLS: Readonly<Record<string, (context: TaskContext, a: Harness['a']) => Promise<unknown>>> = {
  step: ({ step }) => step('late', () => 1),
  sleep: ({ sleep }) => sleep('1s', { name: 'late' }),
  sleepUntil: ({ sleepUntil }) => sleepUntil(new Date(1)),
  waitFor: ({ waitFor }) => waitFor('late'),
  approval: ({ approval }) => approval('late approval'),
  waitpoint: ({ waitpoint }) => waitpoint('late waitpoint'),
  progress: ({ progress }) => progress(5),
  'stream.text': ({ stream }) => stream.text('late'),
  'stream.flush': ({ stream }) => stream.flush(),
  'children.all': ({ children }, a) => children.all([child(a.task('late child', () => 1))]),
  'budget.report': ({ budget }, a) => budget(a.budget('late', { limits: { n: { hard: 1 } } })).report({ n: 9 }),
};

/** The handler stops when it is told to. */
const untilAborted = ({ signal }: TaskContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

/** How the run of a handler can end, and what ends it from outside. */
const ENDS: Readonly<
  Record<string, readonly [end: (context: TaskContext) => unknown, from?: (id: string) => Promise<unknown>]>
> = {
  'has returned': [() => 'done'],
  'has thrown': [
    () => {
      throw new Error('no');
    },
  ],
  'has used its context and thrown': [
    async ({ step }) => {
      await step('first', () => 1);
      throw new Error('no');
    },
  ],
  'is suspended': [({ sleep }) => sleep('1d')],
  'was cancelled': [untilAborted, (executionId) => h.a.get(executionId).cancel()],
  'has lost its lease': [untilAborted, (executionId) => h.inner.revokeLease({ executionId })],
  'has run out of time': [untilAborted, () => h.pass(400)],
};

it.each(Object.keys(ENDS))(
  'calls of functions that nothing awaits do not end the process when the run %s',
  async (how) => {
    const [end, fromOutside] = ENDS[how] ?? [];
    const reached: string[] = [];
    const settled: string[] = [];
    let calls = 0;
    const task = h.a.task('t', { timeout: { attempt: '300ms' } }, (context: TaskContext) => {
      if (context.attempt > 1 || context.resumes > 0) return 'done';
      for (const [name, call] of Object.entries(CALLS)) {
        calls += 1;
        void (async () => {
          await h.sleep(1_000);
          reached.push(name);
          await call(context, h.a).finally(() => settled.push(name));
        })();
      }
      return end?.(context) as never;
    });
    await h.worker({ leaseTtl: '60s' });
    const { id } = await task.run(undefined);
    await h.pass(100);
    await fromOutside?.(id);
    await h.pass(2_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reached).toHaveLength(calls);
    expect(calls).toBe(Object.keys(CALLS).length);
    // A flush with nothing to store has nothing to fail.
    expect(settled.filter((name) => name !== 'stream.flush')).toEqual([]);
  },
);

it.each(['was cancelled', 'has lost its lease', 'has run out of time'])(
  'calls that nothing awaits end no process while the handler of a run that %s goes on; awaited, they are rejected',
  async (how) => {
    const told: string[] = [];
    const task = h.a.task('t', { timeout: { attempt: '300ms' } }, async (context: TaskContext) => {
      if (context.attempt > 1) return 'done';
      const { step } = context;
      void step('slow', () => h.sleep(500));
      await h.sleep(1_000);
      for (const [name, call] of Object.entries(CALLS)) {
        if (!name.startsWith('children') && !name.startsWith('budget')) void call(context, h.a);
        await h.sleep(10);
      }
      told.push(await step('awaited', () => 1).then(String, (error: Error) => error.name));
      return 'done';
    });
    await h.worker({ leaseTtl: '60s' });
    const { id } = await task.run(undefined);
    await h.pass(100);
    await ENDS[how]?.[1]?.(id);
    await h.pass(3_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual(['TaskAbort']);
  },
);

it.each([true, false])(
  'waits that nothing awaits do not end the process when their run is cancelled behind the end of its handler; thrown: %s',
  async (isThrown) => {
    const task = h.a.task('t', (context: TaskContext) => {
      const { step, sleep, waitFor, waitpoint } = context;
      void step('slow', () => h.sleep(1_000));
      void (async () => {
        await sleep('1d');
      })();
      void (async () => {
        await waitFor('never');
      })();
      void (async () => {
        await (await waitpoint('never')).wait();
      })();
      if (isThrown) throw new Error('no');
    });
    const worker = await h.worker();
    const run = await task.run(undefined);
    await h.pass(100);
    await run.cancel();
    await h.pass(2_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await run.state()).toBe('cancelled');
    expect(worker.stats().running).toBe(0);
  },
);

it('a call that is refused beside a wait does not reach a handler that is suspended', async () => {
  const caught: unknown[] = [];
  const task = h.a.task('t', async ({ sleep, progress, resumes }: TaskContext) => {
    if (resumes > 0) return 'done';
    const poll = async (): Promise<void> => {
      await h.sleep(5_000);
      await progress(50);
    };
    await Promise.race([sleep('1d'), poll()]).catch((error: unknown) => caught.push(error));
    return 'never';
  });
  await h.worker();
  const run = await task.run(undefined);
  await h.pass(10_000);
  expect(caught).toEqual([]);
  expect(await run.state()).toBe('suspended');
});
