/** Handlers that sleep: without a slot, without a process, and nothing twice. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  backoff,
  child,
  EngineError,
  InvalidDefinitionError,
  NonRetryableError,
  type TaskContext,
} from '../../src/index.js';
import { present } from '../../model/core/present.js';
import { testApp, type TestApp } from '../../src/testing/index.js';
import { answering, harness, type Harness } from '../worker/harness.js';

const DAY_MS = 86_400_000;

let t: TestApp | undefined;
let h: Harness | undefined;
afterEach(async () => {
  await t?.close();
  await h?.close();
  t = h = undefined;
});

/** A task whose handler writes down what it does, in days since the start. */
function noted(body: (context: TaskContext<unknown>, note: (what: string) => void) => Promise<unknown>) {
  const it = (t = testApp());
  const startedAt = it.now();
  const notes: string[] = [];
  const task = it.app.task(
    't',
    { retry: { failures: 2, backoff: backoff.fixed('1s') } },
    (context: TaskContext<unknown>) =>
      body(context, (what) => notes.push(`${(it.now() - startedAt) / DAY_MS}: ${what}`)),
  );
  return { task, notes, it };
}

describe('sleep', () => {
  it('takes no slot and no process, and a later run of the handler passes it at once', async () => {
    const { task, notes, it } = noted(async ({ sleep, resumes }, note) => {
      note(`run ${resumes}`);
      await sleep('14d');
      note('slept');
      await sleep('7d');
      return 'rested';
    });
    const other = it.app.task('other', () => 'done');
    const first = await it.app.worker({ slots: 1 });
    const run = task.run('x');
    await it.advance('1d');
    expect(await run.state()).toBe('suspended');
    expect(first.stats()).toMatchObject({ running: 0, suspended: 1 });
    const meanwhile = other.run(undefined);
    await it.advance(10);
    expect(await meanwhile.state()).toBe('completed');
    const drained = first.drain();
    await it.advance('1m');
    await drained;
    await it.advance('10d');
    await it.app.worker();
    await it.advance('30d');
    expect(await run.result()).toBe('rested');
    expect(notes).toEqual(['0: run 0', '14: run 1', '14: slept', '21: run 2', '21: slept']);
  });

  it('is invisible to try, catch and finally, and the run continues inside them', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      try {
        await sleep('1d');
        note('slept');
      } catch (error) {
        note(`caught ${String(error)}`);
      } finally {
        note('finally');
      }
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('2d');
    expect(await run.state()).toBe('completed');
    expect(notes).toEqual(['1: slept', '1: finally']);
  });

  it('suspends a run on several sleeps at once, and the first end resumes it', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      const winner = await Promise.race([sleep('3d').then(() => 'long'), sleep('1d').then(() => 'short')]);
      note(winner);
      await Promise.all([sleep('1d'), sleep('2d')]);
      note('both');
    });
    const worker = await it.app.worker();
    const run = task.run('x');
    await it.advance('10d');
    expect(await run.state()).toBe('completed');
    expect(notes).toEqual(['1: short', '2: short', '3: short', '3: both']);
    expect(worker.stats()).toMatchObject({ suspended: 3, completed: 1 });
  });

  it('does nothing until it is awaited, and its time counts from its call', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      const [never, later] = [sleep('1000d'), sleep('2d')];
      note('called');
      await sleep('1d');
      await later;
      note(`slept ${typeof never}`);
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('5d');
    expect(await run.state()).toBe('completed');
    expect(notes.at(-1)).toBe('2: slept object');
  });

  it('that was called early counts from its call, also behind children, and is not ended when an operator ends an earlier sleep', async () => {
    const { task, notes, it } = noted(async ({ sleep, children, input }, note) => {
      const early = sleep('5d', { name: 'early' });
      await (input === 'children' ? children.all([child(rest, undefined)]) : sleep('30d'));
      note('awaited');
      await early;
      note('slept');
    });
    const rest = it.app.task('rest', ({ sleep }: TaskContext) => sleep('2d'));
    await it.app.worker();
    const [, asleep] = await task.runMany(['children', 'sleep']);
    await it.advance('2d');
    await it.backend.resumeExecution({ executionId: present(asleep).id });
    await it.advance('5d');
    expect(notes.toSorted()).toEqual(['2: awaited', '2: awaited', '5: awaited', '5: awaited', '5: slept', '5: slept']);
  });

  it('that was called early is slept again in the replay of a run that was cancelled before', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      const early = sleep('3d');
      await sleep('2d');
      await early;
      note('slept');
    });
    await it.app.worker();
    const run = await task.run('x');
    await it.advance('1d');
    await run.cancel('no more');
    await it.advance('9d');
    await run.replay();
    await it.advance('5d');
    expect(await run.state()).toBe('completed');
    expect(notes).toEqual(['13: slept']);
  });

  it('has passed where an earlier attempt slept it', async () => {
    const { task, notes, it } = noted(async ({ sleep, attempt }, note) => {
      await sleep('3d');
      note(`attempt ${attempt}`);
      if (attempt < 3) throw new Error('again');
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('4d');
    expect(await run.state()).toBe('completed');
    expect(notes.map((note) => note.split(': ')[1])).toEqual(['attempt 1', 'attempt 2', 'attempt 3']);
    expect(notes.every((note) => note.startsWith('3'))).toBe(true);
    await run.replay();
    await it.advance('1h');
    expect(await run.state()).toBe('completed');
  });

  it('shorter than a step beside it is not slept again by a run that starts over after both', async () => {
    const it = (h = harness());
    const passed: [attempt: number, atSecond: number][] = [];
    const startedAt = it.clock.now();
    const task = it.a.task('t', { retry: { failures: 1, backoff: backoff.fixed('1ms') } }, async (c: TaskContext) => {
      await Promise.all([c.sleep('30s'), c.step('long', () => it.sleep(60_000))]);
      passed.push([c.attempt, Math.round((it.clock.now() - startedAt) / 1_000)]);
      if (c.attempt === 1) throw new Error('again');
    });
    const worker = await it.worker();
    await it.pass(0);
    const run = await task.run(undefined);
    await it.pass(180_000);
    expect(await run.state()).toBe('completed');
    expect([passed, worker.stats().suspended]).toEqual([
      [
        [1, 60],
        [2, 60],
      ],
      0,
    ]);
  });

  /** A handler that waits beside a step. */
  type Beside = (context: TaskContext, work: () => Promise<void>) => Promise<unknown>;
  const sleeps = ({ sleep }: TaskContext) => sleep('30s');
  const waits = ({ waitFor }: TaskContext) => waitFor('x', { timeout: '30s', onTimeout: 'value' });
  const awaited =
    (wait: (context: TaskContext) => Promise<unknown>): Beside =>
    (context, work) =>
      Promise.all([wait(context), context.step('long', work)]);
  const awaitedBehind =
    (wait: (context: TaskContext) => Promise<unknown>): Beside =>
    async (context, work) => {
      const called = wait(context);
      await context.step('long', work).catch(() => undefined);
      await called;
    };
  const fails = async (work: () => Promise<void>): Promise<never> => {
    await work();
    throw new NonRetryableError('the step has failed');
  };

  it.each<[string, Beside]>([
    ['a sleep', awaited(sleeps)],
    ['a wait for a signal', awaited(waits)],
    ['two sleeps', awaited(({ sleep }) => Promise.all([sleep('30s'), sleep('40s')]))],
    ['a sleep that is awaited behind it,', awaitedBehind(sleeps)],
    ['a wait for a signal that is awaited behind it,', awaitedBehind(waits)],
    [
      'a sleep that is awaited behind its failure,',
      (context, work) => awaitedBehind(sleeps)(context, () => fails(work)),
    ],
  ])('%s shorter than a step beside it is over in every run that finds the step', async (_, beside) => {
    // The process dies before its first, second, ... record is stored.
    for (let stored = 0, isWhole = false; !isWhole; stored++) {
      isWhole = true;
      let left = stored;
      const it = (h = harness((inner) => ({
        recordStep: (args) => {
          if (left-- > 0) return inner.recordStep(args);
          isWhole = false;
          return Promise.reject(new EngineError('call_timeout', 'it has died'));
        },
      })));
      let [runs, calls] = [0, 0];
      const task = it.a.task('t', async (c: TaskContext) => {
        if (++runs === 2) left = Infinity;
        await beside(c, () => it.sleep(60_000 * ++calls));
      });
      const worker = await it.worker();
      await it.pass(0);
      const run = await task.run(undefined);
      await it.pass(70_000);
      if (!isWhole) await it.inner.revokeLease({ executionId: run.id, reason: 'it has died' });
      await it.pass(300_000);
      expect([await run.state(), stored, worker.stats().suspended]).toEqual(['completed', stored, 0]);
      await it.close();
    }
  });

  it('that still reads earlier records when a step beside it ends has passed in every run that finds the step', async () => {
    // The process of the second run dies before its first, second, ... record is stored.
    for (let stored = 0, isWhole = false; !isWhole; stored++) {
      isWhole = true;
      let [runs, left] = [0, stored];
      const it = (h = harness((inner) => ({
        readWaits: async (args) => {
          if (runs === 2) await it.sleep(40_000);
          return inner.readWaits(args);
        },
        recordStep: (args) => {
          if (runs !== 2 || left-- > 0) return inner.recordStep(args);
          isWhole = false;
          return Promise.reject(new EngineError('call_timeout', 'it has died'));
        },
      })));
      const task = it.a.task('t', async ({ sleep, step }: TaskContext) => {
        runs++;
        await Promise.all([sleep('10s'), step('long', () => it.sleep(runs === 1 ? 2_000 : 20_000))]);
      });
      const worker = await it.worker();
      await it.pass(0);
      const run = await task.run(undefined);
      // Too much for a claim to carry.
      for (let sent = 0; sent < 20; sent++) await run.signal('large', 'x'.repeat(60_000));
      await it.pass(1_000);
      await it.inner.revokeLease({ executionId: run.id, reason: 'it has died' });
      await it.pass(50_000);
      expect(runs).toBe(2);
      if (!isWhole) await it.inner.revokeLease({ executionId: run.id, reason: 'it has died' });
      await it.pass(100_000);
      expect([await run.state(), stored, worker.stats().suspended]).toEqual(['completed', stored, 0]);
      await it.close();
    }
  });

  it('that ended with its execution is slept again in a replay', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      await sleep('3d');
      note('slept');
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('1d');
    expect(await run.cancel('no more')).toBe(true);
    expect(await run.state()).toBe('cancelled');
    await it.advance('10d');
    await run.replay();
    await it.advance('2d');
    expect(await run.state()).toBe('suspended');
    await it.advance('2d');
    expect(await run.state()).toBe('completed');
    expect(notes).toEqual(['14: slept']);
  });

  it('until a time in the past returns at once', async () => {
    const { task, notes, it } = noted(async ({ sleepUntil }, note) => {
      await sleepUntil(new Date(0));
      await sleepUntil(new Date(1_700_000_000_000 + DAY_MS));
      note('woke');
    });
    const worker = await it.app.worker();
    const run = task.run('x');
    await it.advance('2d');
    expect(await run.state()).toBe('completed');
    expect(notes).toEqual(['1: woke']);
    expect(worker.stats()).toMatchObject({ suspended: 1 });
  });

  it('ends when an operator resumes the execution, and is not slept later either', async () => {
    const { task, notes, it } = noted(async ({ sleep }, note) => {
      await sleep('30d');
      note('one');
      await sleep('1d');
      note('two');
    });
    await it.app.worker();
    const run = await task.run('x');
    await it.advance('2d');
    await it.backend.resumeExecution({ executionId: run.id });
    await it.advance('2d');
    expect(await run.state()).toBe('completed');
    expect(notes.filter((note) => note.endsWith('two'))).toEqual(['3: two']);
  });

  it('is over for good once an operator ended it, also when a signal ends the next wait in the same millisecond', async () => {
    const { task, notes, it } = noted(async ({ sleep, waitFor }, note) => {
      await sleep('30d');
      await waitFor('go');
      note('gone');
    });
    await it.app.worker();
    const run = await task.run('x');
    await it.advance('2d');
    await it.backend.resumeExecution({ executionId: run.id });
    await it.advance(0);
    await run.signal('go');
    await it.advance(0);
    expect([await run.state(), ...notes]).toEqual(['completed', '2: gone']);
  });

  it('goes on when an operator resumes a run that also waits for a signal', async () => {
    const { task, notes, it } = noted(async ({ sleep, waitFor }, note) => {
      await Promise.all([sleep('30d').then(() => note('slept')), waitFor('go').then(() => note('gone'))]);
    });
    await it.app.worker();
    const run = await task.run('x');
    await it.advance('2d');
    await it.backend.resumeExecution({ executionId: run.id });
    await it.advance('1d');
    await run.signal('go');
    await it.advance('30d');
    expect([await run.state(), ...notes]).toEqual(['completed', '3: gone', '30: gone', '30: slept']);
  });

  it('does not count against the attempt timeout, and ends with the timeout of the execution', async () => {
    const it = (t = testApp());
    const patient = it.app.task('patient', { timeout: { attempt: '1m' } }, async ({ sleep }: TaskContext) => {
      await sleep('1d');
      await sleep('1d');
    });
    const bounded = it.app.task('bounded', { timeout: { total: '1d' } }, ({ sleep }: TaskContext) => sleep('2d'));
    await it.app.worker();
    const [one, two] = [patient.run(undefined), bounded.run(undefined)];
    await it.advance('3d');
    expect([await one.state(), await two.state()]).toEqual(['completed', 'expired']);
  });

  it('is found again by its name, with any character that a name can have', async () => {
    const name = 'a:1@2 (\u2028\u2029\u0020)';
    const { task, notes, it } = noted(async ({ sleep, waitFor }, note) => {
      await sleep('1d', { name });
      note('slept');
      return waitFor(name, { timeout: '1d', onTimeout: 'value' });
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('3d');
    expect(await run.result()).toBe(null);
    expect(notes).toEqual(['1: slept', '2: slept']);
  });

  it('is refused with invalid arguments', async () => {
    const { task, it } = noted(async ({ sleep, sleepUntil }, note) => {
      const mistakes: (() => unknown)[] = [
        () => sleep(undefined as never),
        () => sleep('-1d'),
        () => sleep('4000d'),
        () => sleep('1d', { name: 'a#b' }),
        () => sleep('1d', { name: '__own' }),
        () => sleep('1d', { nam: 'a' } as never),
        () => sleepUntil('tomorrow' as never),
        () => sleepUntil(new Date(NaN)),
      ];
      for (const mistake of mistakes) {
        try {
          await mistake();
          note('taken');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidDefinitionError);
        }
      }
      await Promise.all(Array.from({ length: 65 }, () => sleep('1d')));
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('1h');
    const { failure } = await run.info();
    expect(failure?.message).toMatch(/waits at 65 places at once; 64 are possible/);
  });

  it('keeps other code of a suspended run waiting for ever', async () => {
    const { task, notes, it } = noted(async ({ sleep, progress }, note) => {
      const beside = (async () => {
        await Promise.resolve();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        note('beside');
        await sleep('5d');
        await progress(50);
        note('never twice');
      })();
      await Promise.all([sleep('1d'), beside]);
    });
    await it.app.worker();
    const run = task.run('x');
    await it.advance('10d');
    expect(await run.state()).toBe('completed');
    expect(notes.filter((note) => note.endsWith('never twice'))).toHaveLength(1);
  });
});

describe('a suspension', () => {
  it('is sent again after a lost answer, and is the same suspension', async () => {
    for (const times of [1, 5]) {
      let left = times;
      const asked = new Set<string>();
      h = harness((inner) => ({
        execute: (async (commands: Parameters<typeof inner.execute>[0]) => {
          const results = await inner.execute(commands);
          for (const { name, args } of commands) {
            if (name !== 'suspendExecution') continue;
            asked.add((args as { suspensionId: string }).suspensionId);
            if (left-- > 0) throw new EngineError('call_timeout', 'lost.');
          }
          return results;
        }) as typeof inner.execute,
      }));
      let calls = 0;
      const task = h.a.task('t', async ({ sleep }: TaskContext) => {
        calls++;
        await sleep('1h');
        return 'rested';
      });
      const worker = await h.worker({ leaseTtlMs: 3_000 });
      const run = await task.run();
      await h.pass(60_000);
      expect([await run.state(), calls, asked.size]).toEqual(['suspended', 1, 1]);
      expect(worker.stats()).toMatchObject({ suspended: 1, lost: 0, running: 0 });
      await h.pass(3_600_000);
      expect([await run.result(), calls]).toEqual(['rested', 2]);
      await h.close();
      h = undefined;
    }
  });

  it('that never reaches the store costs the lease, and nothing else', async () => {
    let isCut = true;
    h = harness((inner) => ({
      execute: answering(inner, (name) =>
        isCut && (name === 'suspendExecution' || name === 'renewLease')
          ? { ok: false, error: new EngineError('transport_failed', 'cut.') }
          : undefined,
      ),
    }));
    const task = h.a.task('t', async ({ sleep }: TaskContext) => {
      await sleep('1h');
      return 'rested';
    });
    const worker = await h.worker({ leaseTtlMs: 3_000 });
    const run = await task.run();
    await h.pass(100_000);
    isCut = false;
    await h.pass(2 * 3_600_000);
    expect(await run.result()).toBe('rested');
    expect(worker.stats().running).toBe(0);
  });
});
