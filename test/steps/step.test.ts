/** Steps of handlers: what is stored, what runs again, and what handlers are told. */
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LIMITS } from '../../model/limits.js';
import {
  app,
  backoff,
  child,
  delay,
  EngineError,
  InvalidDefinitionError,
  memory,
  NonRetryableError,
  RetryableError,
  StepError,
  TaskAbort,
  type Step,
  type Task,
  type TaskContext,
} from '../../src/index.js';
import { testApp, type TestApp } from '../../src/testing/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { collectingLog, rejectionOf, settles } from '../app/support.js';
import { harness, type Harness } from '../worker/harness.js';

/** A value that a claim does not bring: it is read. */
const TOO_LONG_TO_CARRY = '.'.repeat(LIMITS.maxCarriedBytes);

let t: TestApp | undefined;
let h: Harness | undefined;
afterEach(async () => {
  await t?.close();
  await h?.close();
  t = h = undefined;
});

type Body = (context: TaskContext<unknown>, note: (what: string) => void) => unknown;

/** A task that is tried three times, a second apart, and what its handler writes down. */
function noted(body: Body) {
  const it = (t = testApp());
  const notes: string[] = [];
  const task = it.app.task(
    't',
    { retry: { failures: 2, backoff: backoff.fixed('1s') } },
    async (context: TaskContext<unknown>) => (await body(context, (what) => notes.push(what))) as string,
  );
  /** The result of a run, or what it ended with. */
  const run = async () => {
    await it.app.worker();
    const run = task.run('x');
    const result = run.result().catch((error: unknown) => error);
    await it.advance('1h');
    return { run, result: await result };
  };
  return { notes, it, task, run };
}

/** Fails so many times, then succeeds. */
function failing(times: number): () => void {
  let left = times;
  return () => {
    if (left-- > 0) throw new Error('not yet');
  };
}

describe('a step', () => {
  it.each<[string, (error: EngineError) => Error, string]>([
    ['an error of the engine', (error) => error, 'Create the budget first, or check its id. Then run the steps anew'],
    ['what wraps one for good', (cause) => new NonRetryableError('no', { cause }), 'replay the run'],
  ])('that fails with %s keeps its hint, in every run', async (_what, wrapped, hint) => {
    const { run, notes } = noted(async ({ step, attempt }, note) => {
      const pay = step('pay', () => {
        throw wrapped(new EngineError('budget_not_found', 'no budget "b".'));
      });
      const error = (await rejectionOf(pay)) as Error & { hint: string };
      // The failure is stored by going on behind it.
      await step('next', () => 1);
      if (attempt === 1) throw new Error('again');
      note(error.hint);
      throw error;
    });
    const { result } = await run();
    expect(result).toMatchObject({
      code: 'run_failed',
      reason: expect.stringContaining('budget_not_found: no') as string,
    });
    expect((result as { details: string }).details).toMatch(/\nHint: Create the budget first, or check its id\./);
    expect(notes[0]).toContain(hint);
  });

  it('that completed does not run again: the next run of the handler gets the stored value', async () => {
    const again = failing(2);
    const { run, notes } = noted(async ({ step, attempt }, note) => {
      const order = await step('order', () => {
        note('order');
        return { id: 7, at: new Date(5), bytes: undefined };
      });
      note(`${attempt}: ${JSON.stringify(order)}`);
      again();
      return step('ship', () => `ship ${order.id}`);
    });
    expect((await run()).result).toBe('ship 7');
    const stored = '{"id":7,"at":"1970-01-01T00:00:00.005Z"}';
    expect(notes).toEqual(['order', `1: ${stored}`, `2: ${stored}`, `3: ${stored}`]);
  });

  it('can return undefined, null and bytes', async () => {
    const again = failing(1);
    const { run, notes } = noted(async ({ step }, note) => {
      const values = [
        await step('nothing', () => undefined),
        await step('null', () => null),
        await step('bytes', () => Uint8Array.of(1, 2)),
        await step('none', () => new Uint8Array(0)),
      ];
      note(values.map((value) => (value instanceof Uint8Array ? `bytes ${[...value]}` : String(value))).join());
      again();
    });
    expect((await run()).result).toBeUndefined();
    expect(notes).toEqual(Array(2).fill('undefined,null,bytes 1,2,bytes '));
  });

  it('finds the n-th value of a name at its n-th use', async () => {
    const again = failing(1);
    const { run } = noted(async ({ step }) => {
      let count = 0;
      const values: number[] = [];
      for (let i = 0; i < 3; i++) values.push(await step('count', () => ++count));
      again();
      return values.join();
    });
    expect((await run()).result).toBe('1,2,3');
  });

  it('passes its function a key that is the same in every run, a signal, and the number of the try', async () => {
    const { run, notes } = noted(async ({ step, attempt }, note) => {
      await step('größe: 1', ({ idempotencyKey, signal, attempt: tried }) => {
        note(`${idempotencyKey.slice(idempotencyKey.indexOf('/'))} ${signal.aborted} ${tried}`);
        if (attempt < 2) throw new Error('not yet');
      });
      await step('größe: 1', ({ idempotencyKey }) => note(idempotencyKey.slice(idempotencyKey.indexOf('/'))));
    });
    const { run: it } = await run();
    const first = '/gr%C3%B6%C3%9Fe%3A%201/0 false 1';
    expect(notes).toEqual([first, first, '/gr%C3%B6%C3%9Fe%3A%201/1']);
    expect((await it).id).toMatch(/^\{fp:\d+\}:/);
  });

  it('runs beside steps of other names, and each is stored', async () => {
    const again = failing(1);
    const { run, notes } = noted(async ({ step }, note) => {
      const all = await Promise.all(
        [1, 2, 3].map((n) =>
          step(`part ${n}`, () => {
            note(`part ${n}`);
            return n * n;
          }),
        ),
      );
      again();
      return all.join();
    });
    expect((await run()).result).toBe('1,4,9');
    expect(notes).toEqual(['part 1', 'part 2', 'part 3']);
  });

  it('is kept by a replay, and discarded on request', async () => {
    const { it, run, notes } = noted(async ({ step }, note) => {
      await step('once', () => note('once'));
      note('run');
    });
    const { run: first } = await run();
    const { id: executionId } = await first;
    await it.backend.replayExecution({ executionId });
    await it.advance('1m');
    expect(notes).toEqual(['once', 'run', 'run']);
    await it.backend.replayExecution({ executionId, steps: 'discard' });
    await it.advance('1m');
    expect(notes).toEqual(['once', 'run', 'run', 'once', 'run']);
  });

  it('is found by the next owner, and the previous owner can store no more steps', async () => {
    h = harness();
    const told: unknown[] = [];
    const ran: string[] = [];
    let release = (): void => undefined;
    const task = h.a.task('t', async ({ step, attempt }: TaskContext<unknown>) => {
      await step('first', () => void ran.push(`first ${attempt}`));
      const slow = step('slow', async () => {
        ran.push(`slow ${attempt}`);
        if (ran.length === 2) await new Promise<void>((resolve) => (release = resolve));
        return attempt;
      });
      slow.catch((error: unknown) => told.push(error));
      return slow;
    });
    await h.worker({ leaseTtl: '10s' });
    const run = task.run('x');
    await h.until(() => ran.length === 2);
    const { id: executionId } = await run;
    await h.inner.revokeLease({ executionId });
    await h.pass(20_000);
    release();
    await h.until(() => told.length > 0);
    const result = await h.flow(run.result());
    expect(ran.slice(0, 2)).toEqual(['first 1', 'slow 1']);
    expect(ran.filter((what) => what.startsWith('first'))).toEqual(['first 1']);
    expect(result).toBe(2);
    expect(told[0]).toBeInstanceOf(TaskAbort);
  });

  it('is recorded again after a lost answer, until it is stored', async () => {
    let lost = 0;
    let reads = 0;
    h = harness((inner) => ({
      recordStep: async (args) => {
        const outcome = await inner.recordStep(args);
        if (lost++ < 2) throw new EngineError('call_timeout', 'no answer.');
        return outcome;
      },
      readSteps: async (args) => {
        if (reads++ < 2) throw new EngineError('transport_failed', 'gone.');
        return inner.readSteps(args);
      },
    }));
    let count = 0;
    const task = h.a.task('t', { retry: { failures: 1 } }, async ({ step, attempt }: TaskContext<unknown>) => {
      const value = await step('count', () => `${++count}${TOO_LONG_TO_CARRY}`);
      if (attempt === 1) throw new Error('again');
      return value[0];
    });
    await h.worker();
    expect(await h.flow(task.run('x').result())).toBe('1');
    expect([count, lost, reads]).toEqual([1, 3, 3]);
  });

  it.each(['stored', 'refused'] as const)(
    'whose answer is lost reaches the handler before a step that was stored after it, when it is %s at last',
    async (end) => {
      const order: string[] = [];
      let isLost = false;
      h = harness((inner) => ({
        recordStep: async (args) => {
          if (isLost && args.stepName === 'one' && end === 'refused')
            throw new EngineError('corruption', 'the record is damaged.');
          const outcome = await inner.recordStep(args);
          if (args.stepName !== 'one' || isLost) return outcome;
          isLost = true;
          throw new EngineError('call_timeout', 'no answer.');
        },
      }));
      const task = h.a.task('t', { retry: { failures: 1 } }, async ({ step, attempt }: TaskContext<unknown>) => {
        const pass = (name: string) =>
          step(name, () => name).then(
            () => order.push(`${name} ${attempt}`),
            () => order.push(`${name} fails`),
          );
        await Promise.all([pass('one'), pass('two'), pass('three')]);
        if (attempt === 1) throw new Error('again');
      });
      await h.worker();
      await h.flow(task.run('x').result());
      expect(order).toEqual(
        end === 'stored'
          ? ['one 1', 'two 1', 'three 1', 'one 2', 'two 2', 'three 2']
          : ['one fails', 'two 1', 'three 1', 'one 2', 'two 2', 'three 2'],
      );
    },
  );

  it('comes with the claim of the next attempt, and is not read again', async () => {
    let reads = 0;
    h = harness((inner) => ({
      readSteps: (args) => {
        reads++;
        return inner.readSteps(args);
      },
    }));
    const task = h.a.task('t', { retry: { failures: 1 } }, async ({ step, attempt }: TaskContext<unknown>) => {
      const values = [await step('first', () => attempt), await step('second', () => [attempt])];
      if (attempt === 1) throw new Error('again');
      return [...values, attempt];
    });
    await h.worker();
    expect(await h.flow(task.run('x').result())).toEqual([1, [1], 2]);
    expect(reads).toBe(0);
  });

  it.each(['server_refused', 'library_mismatch', 'server_memory_full'] as const)(
    'is recorded again while the server answers %s: the handler neither fails nor runs twice',
    async (code) => {
      let left = 3;
      const refuses = (): void => {
        if (left-- > 0) throw new EngineError(code, 'not now.');
      };
      h = harness((inner) => ({
        recordStep: async (args) => {
          refuses();
          return inner.recordStep(args);
        },
      }));
      let count = 0;
      const task = h.a.task('t', ({ step }: TaskContext<unknown>) => step('count', () => ++count));
      await h.worker();
      expect(await h.flow(task.run('x').result())).toBe(1);
      expect([count, left]).toEqual([1, -1]);
    },
  );

  it('in progress is stored before a worker that shuts down hands the work back', async () => {
    h = harness();
    let finish = (): void => undefined;
    const ran: string[] = [];
    const task = h.a.task('t', async ({ step }: TaskContext<unknown>) => {
      const value = await step('slow', async () => {
        ran.push('slow');
        await new Promise<void>((resolve) => (finish = resolve));
        return 'done';
      });
      ran.push('behind');
      return value;
    });
    const worker = await h.worker();
    const run = task.run('x');
    await h.until(() => ran.length === 1);
    const drained = worker.drain({ timeout: '1s' });
    // It is aborted after 900 ms, and handed back after 1 s.
    await h.pass(950);
    finish();
    await h.flow(drained);
    expect(ran).toEqual(['slow']);
    await h.worker();
    expect(await h.flow(run.result())).toBe('done');
    expect(ran).toEqual(['slow', 'behind']);
  });
});

describe('the failure of a step', () => {
  it('ends the attempt when the handler fails with it: the policy of the task repeats the step', async () => {
    const again = failing(2);
    const { run, notes } = noted(async ({ step }, note) => {
      await step('before', () => note('before'));
      return step('pay', () => {
        note('pay');
        again();
        return 'paid';
      });
    });
    expect((await run()).result).toBe('paid');
    expect(notes).toEqual(['before', 'pay', 'pay', 'pay']);
  });

  it('is stored when the handler continues: every later run gets it, with name, message and category', async () => {
    class CardDeclined extends Error {
      override readonly name = 'CardDeclined';
      readonly category = 'card';
    }
    const again = failing(1);
    const seen: unknown[] = [];
    const { run, notes } = noted(async ({ step }, note) => {
      try {
        await step('pay', () => {
          note('pay');
          throw new CardDeclined('no cover');
        });
      } catch (error) {
        seen.push(error);
        await step('tell', () => note('tell'));
      }
      again();
      return 'unpaid';
    });
    expect((await run()).result).toBe('unpaid');
    expect(notes).toEqual(['pay', 'tell']);
    expect(seen).toHaveLength(2);
    for (const error of seen) {
      expect(error).toBeInstanceOf(StepError);
      expect(error).toMatchObject({ name: 'CardDeclined', message: 'no cover', category: 'card', stepName: 'pay' });
    }
    expect((seen[0] as Error).cause).toBeInstanceOf(CardDeclined);
  });

  it('ends the run if it is stored and thrown again, because no retry would change it', async () => {
    const { run, notes } = noted(async ({ step }, note) => {
      try {
        await step('pay', () => {
          note('pay');
          throw new RetryableError('busy', { category: 'busy' });
        });
      } catch (error) {
        await step('undo', () => note('undo'));
        throw error;
      }
    });
    expect((await run()).result).toMatchObject({ code: 'run_failed', category: 'busy', reason: 'busy' });
    expect(notes).toEqual(['pay', 'undo']);
  });

  it('with NonRetryableError is thrown unchanged, in every run', async () => {
    const { run, notes } = noted(({ step }, note) =>
      step(
        'pay',
        () => {
          note('pay');
          throw new NonRetryableError('stolen card', { category: 'fraud' });
        },
        { retry: { failures: 5 } },
      ),
    );
    expect((await run()).result).toMatchObject({ code: 'run_failed', category: 'fraud' });
    expect(notes).toEqual(['pay']);
    await t?.close();
    const again = failing(1);
    const caught: unknown[] = [];
    const other = noted(async ({ step }) => {
      await step('pay', () => {
        throw new NonRetryableError('stolen card', { category: 'fraud' });
      }).catch((error: unknown) => caught.push(error));
      await step('behind', () => 1);
      again();
    });
    expect((await other.run()).result).toBeUndefined();
    expect(caught.map((error) => error instanceof NonRetryableError)).toEqual([true, true]);
    expect(caught[1]).toMatchObject({ message: 'stolen card', category: 'fraud' });
  });

  it('sets the delay of the retry if it ends the attempt', async () => {
    const { run, it, notes } = noted(async ({ step }, note) => {
      note(`${Math.round((it.now() - startedAt) / 1_000)}`);
      await step('busy', () => {
        throw new RetryableError('busy', { retryAfter: '20s' });
      });
    });
    const startedAt = it.now();
    await run();
    expect(notes).toEqual(['0', '20', '40']);
  });

  it('beside other steps ends the attempt once they have ended: they are stored', async () => {
    h = harness();
    const ran: string[] = [];
    const { sleep } = h;
    const task = h.a.task('t', { retry: { failures: 1 } }, async ({ step, attempt }: TaskContext<unknown>) => {
      const chain = async (): Promise<void> => {
        await step('slow', async () => {
          ran.push('slow');
          await sleep(500);
        });
        // The handler has ended by now.
        await step('behind', () => void ran.push('behind'));
      };
      await Promise.all([
        step('fails', () => {
          ran.push('fails');
          if (attempt === 1) throw new Error('not yet');
        }),
        chain(),
      ]);
      return 'both';
    });
    await h.worker();
    expect(await h.flow(task.run('x').result())).toBe('both');
    expect(ran).toEqual(['fails', 'slow', 'fails', 'behind']);
  });

  it('can be a delay: the attempt is parked, and the step runs again', async () => {
    let count = 0;
    const { run } = noted(({ step }) =>
      step('ready', () => {
        count++;
        if (count === 1) return delay('1m');
        if (count === 2) throw delay('1m');
        return 'ready';
      }),
    );
    expect((await run()).result).toBe('ready');
    expect(count).toBe(3);
  });
});

describe('tries of a step', () => {
  it('are made in the run, with pauses between them, and are not stored', async () => {
    const { run, it, notes } = noted(async ({ step, attempt }, note) => {
      const again = failing(2);
      const value = await step(
        'pay',
        ({ attempt: tried }) => {
          note(`${attempt}.${tried} at ${it.now() - startedAt}`);
          again();
          return 'paid';
        },
        { retry: { failures: 2, backoff: backoff.fixed('5s') } },
      );
      if (attempt === 1) throw new Error('again');
      return value;
    });
    const startedAt = it.now();
    expect((await run()).result).toBe('paid');
    expect(notes).toEqual(['1.1 at 0', '1.2 at 5000', '1.3 at 10000']);
  });

  it('end with the last failure, and start again in the next attempt', async () => {
    const { run, notes } = noted(({ step, attempt }, note) =>
      step(
        'pay',
        ({ attempt: tried }) => {
          note(`${attempt}.${tried}`);
          throw new RetryableError('no', { retryAfter: 10 });
        },
        { retry: { failures: 1 } },
      ),
    );
    expect((await run()).result).toMatchObject({ code: 'run_failed', reason: 'no' });
    expect(notes).toEqual(['1.1', '1.2', '2.1', '2.2', '3.1', '3.2']);
  });

  it('end at their timeout, whether the function stops or not', async () => {
    const { run, notes } = noted(({ step }, note) =>
      step(
        'slow',
        async ({ signal, attempt }) => {
          signal.addEventListener('abort', () => note(`${attempt}: ${(signal.reason as Error).name}`));
          if (attempt === 2) return 'in time';
          await new Promise(() => undefined);
          return 'never';
        },
        { timeout: '30s', retry: { failures: 1, backoff: backoff.fixed(0) } },
      ),
    );
    expect((await run()).result).toBe('in time');
    expect(notes).toEqual(['1: StepTimeoutError']);
    await t?.close();
    const late = noted(({ step }) => step('slow', () => new Promise<void>(() => undefined), { timeout: 5 }));
    expect((await late.run()).result).toMatchObject({
      category: 'step_timeout',
      reason: 'step "slow" took longer than 5 ms',
    });
  });

  it('are in time if what they waited for had arrived before their timeout, and was read after it', async () => {
    let arriving: { readonly at: number; readonly read: () => void } | undefined;
    const clock = new (class extends VirtualClock {
      afterIo(fn: () => void): void {
        if ((arriving?.at ?? Infinity) <= this.now()) arriving?.read();
        setImmediate(fn);
      }
    })(0);
    h = harness(() => ({}), { clock });
    const task = h.a.task('t', ({ step }) =>
      step('asks', () => new Promise((read) => (arriving = { at: clock.now() + 999, read: () => read('answer') })), {
        timeout: '1s',
      }),
    );
    await h.worker({ leaseTtl: '1h' });
    const result = task.run().result();
    await h.pass(10_000);
    expect(await result).toBe('answer');
  });

  it('end when the run is aborted', async () => {
    h = harness();
    const tries: number[] = [];
    const ended: unknown[] = [];
    const task = h.a.task('t', ({ step }: TaskContext<unknown>) => {
      const pay = step(
        'pay',
        ({ attempt }) => {
          tries.push(attempt);
          throw new Error('no');
        },
        { retry: { failures: 9, backoff: backoff.fixed('1m') } },
      );
      pay.catch((error: unknown) => ended.push(error));
      return pay;
    });
    await h.worker();
    const run = task.run('x');
    await h.until(() => tries.length === 2);
    await run.cancel('changed my mind');
    await h.until(() => ended.length > 0);
    await h.pass(300_000);
    expect(tries).toEqual([1, 2]);
    expect(ended[0]).toMatchObject({ name: 'TaskAbort', code: 'cancelled' });
  });
});

describe('an invalid step', () => {
  /** What a step is refused with. */
  async function refusalOf(use: (step: Step) => Promise<unknown>): Promise<unknown> {
    let refusal: unknown;
    const { run } = noted(async ({ step }) => {
      refusal = await rejectionOf(use(step));
    });
    await run();
    return refusal;
  }

  it.each<[string, (step: Step) => Promise<unknown>, string]>([
    ['no name', (step) => step('', () => 1), 'the name must be'],
    ['a long name', (step) => step('n'.repeat(129), () => 1), 'the name must be'],
    ['a tab in its name', (step) => step('a\tb', () => 1), 'the name must be'],
    ['an unknown option', (step) => step('a', () => 1, { retries: 1 } as never), 'no option "retries"'],
    ['a timeout of nothing', (step) => step('a', () => 1, { timeout: 0 }), 'timeout must be'],
    ['tries below none', (step) => step('a', () => 1, { retry: { failures: -1 } }), 'retry.failures must be'],
    [
      'a backoff of its own',
      (step) => step('a', () => 1, { retry: { backoff: {} as never } }),
      'retry.backoff must be',
    ],
    [
      'a long backoff',
      (step) => step('a', () => 1, { retry: { backoff: backoff.fixed('6m') } }),
      'retry.backoff must be 5 minutes at most',
    ],
    ['no schema', (step) => step('a', () => 1, { schema: {} as never }), 'schema must be'],
    ['no function', (step) => step('a', 1 as never), 'the function must be'],
    ['a function in place of its name', (step) => step((() => 1) as never, undefined as never), 'the name must be'],
  ])('is refused: %s', async (_, use, message) => {
    const refusal = await refusalOf(use);
    expect(refusal).toBeInstanceOf(InvalidDefinitionError);
    expect((refusal as Error).message).toContain(message);
  });

  it('is refused: inside another step, and beside one of its name', async () => {
    expect(
      await refusalOf((step) =>
        step('outer', async () => {
          await Promise.resolve();
          await step('inner', () => 1);
        }),
      ),
    ).toMatchObject({ message: expect.stringContaining('step "inner" is called inside the function of step "outer"') });
    await t?.close();
    expect(await refusalOf((step) => Promise.all([step('a', () => 1), step('a', () => 2)]))).toMatchObject({
      code: 'step_misused',
      message: expect.stringContaining('step "a" is called while the one before of this name is under way'),
    });
    await t?.close();
    let refusal: unknown;
    const sleeping = noted(({ step, sleep }) =>
      step('outer', async () => {
        refusal = await rejectionOf((async () => sleep('1s'))());
      }),
    );
    await sleeping.run();
    expect(refusal).toMatchObject({ code: 'step_misused' });
  });

  it.each<[string, (context: TaskContext<unknown>, echo: Task<number, number>) => Promise<unknown>]>([
    ['children that it returns', ({ step, children }, echo) => step('s', () => children.all([child(echo, 1)]))],
    ['children that it awaits', ({ step, children }, echo) => step('s', async () => children.any([child(echo, 1)]))],
    [
      'a wait from outside that it returns',
      ({ step, waitFor }) => {
        const wait = waitFor('go');
        return step('s', () => wait);
      },
    ],
    [
      'a sleep from outside that it awaits',
      ({ step, sleep }) => {
        const night = sleep('1h');
        return step('s', async () => Promise.race([night]), { timeout: '1h' });
      },
    ],
    [
      'children from outside, in a step with a limit',
      ({ step, children }, echo) => {
        const all = children.all([child(echo, 1)]);
        return step('s', () => all as Promise<unknown>, { timeout: '1h' });
      },
    ],
  ])('is refused at once, in place of a wait for ever: %s', async (_what, body) => {
    const it = (t = testApp());
    const echo = it.app.task('echo', ({ input }: TaskContext<number>) => input);
    const task = it.app.task('t', async (context: TaskContext<unknown>) => (await body(context, echo)) as string);
    await it.app.worker();
    const failure = rejectionOf(task.run('x').result({ timeout: '30m' }));
    await it.advance('1h');
    expect(await failure).toMatchObject({ category: 'step_misused', message: expect.stringContaining('of step "s"') });
  });

  it('is refused: a value that cannot be serialised, or is too large', async () => {
    expect(await refusalOf((step) => step('a', () => 1n as never))).toMatchObject({
      code: 'invalid_definition',
      message: expect.stringContaining('step "a": a bigint cannot be written as JSON'),
    });
    await t?.close();
    expect(await refusalOf((step) => step('a', () => new Uint8Array(8 * 1024 * 1024 + 1)))).toMatchObject({
      code: 'step_limit_exceeded',
      message: expect.stringContaining('step "a": 8388609 bytes are more than the limit'),
    });
  });

  it('is refused: a step of another kind in an earlier run, with the stored kind, the requested kind, and a hint', async () => {
    h = harness((inner) => ({
      readSteps: async (args) => {
        const page = await inner.readSteps(args);
        return { ...page, steps: page.steps.map((step) => ({ ...step, stepKind: 'wait' as const })) };
      },
    }));
    let refusal: unknown;
    const task = h.a.task('t', { retry: { failures: 1 } }, async ({ step, attempt }: TaskContext<unknown>) => {
      if (attempt === 1) {
        await step('approval', () => TOO_LONG_TO_CARRY);
        throw new Error('again');
      }
      refusal = await rejectionOf(step('approval', () => 1));
    });
    await h.worker();
    await h.flow(task.run('x').result());
    expect(refusal).toMatchObject({
      code: 'step_changed',
      detail: { stepName: 'approval', stepIndex: '0', recorded: 'wait', asked: 'step' },
      message: expect.stringMatching(
        /^step_changed: step "approval" \(use 1 of the name\) is stored as a wait of an earlier run .* asks for a step now\. The handler is defined at step\.test\.ts:\d+\.$/,
      ),
      hint: expect.stringContaining('give the new step another name'),
    });
  });

  it('is refused with the line of the handler: from task(), from handle(), in an app with a log and in an app under test', async () => {
    const lineHere = (): string => /step\.test\.ts:\d+/.exec(new Error('here').stack?.split('\n')[2] ?? '')?.[0] ?? '';
    let isNew = false;
    const handler = async ({ step, sleep }: TaskContext<null>): Promise<void> => {
      if (!isNew) await step('x', () => 1);
      await sleep('1s', isNew ? { name: 'x' } : {});
    };
    const own = app({ backend: memory() });
    const later = own.task<null, void>('later');
    const [first, firstLine] = [own.task('first', handler), lineHere()];
    const [second, secondLine] = [later.handle(handler), lineHere()];
    for (const log of [undefined, collectingLog().log]) {
      await using tested = testApp(own, { log });
      isNew = false;
      await own.worker();
      const runs = [await first.run(null), await second.run(null)];
      await tested.advance(50);
      isNew = true;
      await tested.advance('2s');
      const messages = await Promise.all(runs.map(async (run) => String(await rejectionOf(run.result()))));
      expect(messages[0]).toContain(`The handler is defined at ${firstLine}.`);
      expect(messages[1]).toContain(`The handler is defined at ${secondLine}.`);
    }
  });

  it('is not done and never settles once the handler has ended', async () => {
    let kept: Step | undefined;
    const { run } = noted(({ step }) => {
      kept = step;
    });
    await run();
    const ran: string[] = [];
    expect(await settles((kept as Step)('late', () => void ran.push('late')))).toBe(false);
    expect(ran).toEqual([]);
  });
});

describe('a schema of a step', () => {
  it('produces the value in every run, and values that do not match are not stored', async () => {
    const again = failing(1);
    const counts = failing(1);
    const { run, notes } = noted(async ({ step }, note) => {
      const { at } = await step('when', () => ({ at: new Date(5) }), {
        schema: z.object({ at: z.coerce.date() }),
      });
      note(`${at instanceof Date} ${at.getTime()}`);
      again();
      const wrong = await step('count', () => 'seven', { schema: z.number() }).catch((error: unknown) => error);
      note(String((wrong as { category?: string }).category));
      counts();
    });
    await run();
    expect(notes.slice(0, 3)).toEqual(['true 5', 'true 5', 'invalid_step_value']);
  });
});

describe('a step beside a sleep', () => {
  it('is not interrupted by it: the run is suspended once the step is stored', async () => {
    h = harness();
    const ran: string[] = [];
    const { sleep: real } = h;
    const task = h.a.task('t', async ({ step, sleep }: TaskContext<unknown>) => {
      const [value] = await Promise.all([
        step('slow', async () => {
          ran.push('slow');
          await real(5_000);
          return 'done';
        }),
        sleep('1s'),
      ]);
      ran.push('behind');
      await sleep('1d');
      return value;
    });
    await h.worker();
    const run = task.run('x');
    await h.pass(2 * 86_400_000);
    expect(await h.flow(run.result())).toBe('done');
    expect(ran.filter((what) => what === 'slow')).toEqual(['slow']);
  });
});
