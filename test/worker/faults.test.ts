/** Faults of single commands and of whole calls: what is unknown is asked again, until its time is over. */
import { afterEach, describe, expect, it } from 'vitest';
import { backoff, delay, EngineError, type Backend, type ErrorCode, type TaskContext } from '../../src/index.js';
import { deferred } from '../app/support.js';
import type { CommandResult } from '../../src/backend/backend.js';
import type { VirtualClock } from '../../src/testing/virtual-clock.js';
import { answering, harness, type Commands, type Harness, type Override } from './harness.js';

let h: Harness | undefined;
afterEach(async () => {
  await h?.close();
  h = undefined;
});

const fault = (code: ErrorCode = 'call_timeout') => ({ ok: false, error: new EngineError(code, 'no.') }) as const;

/** The first `times` commands of this name meet a fault, each alone; the others of its call are answered. */
const faultsOf =
  (wanted: string, times: number, code?: ErrorCode) =>
  (inner: Backend): Override => {
    let left = times;
    return { execute: answering(inner, (name) => (name === wanted && left-- > 0 ? fault(code) : undefined)) };
  };

describe('a fault of a renewal', () => {
  it.each(['call_timeout', 'transport_failed', 'server_memory_full', 'server_refused'] as const)(
    '%s: the lease is kept, and the handler runs on without an abort',
    async (code) => {
      h = harness(faultsOf('renewLease', 3, code));
      let calls = 0;
      const go = deferred();
      const task = h.a.task('t', async ({ signal }) => {
        calls++;
        await go.promise;
        return signal.aborted;
      });
      const worker = await h.worker({ leaseTtl: 3_000, slots: 2 });
      const lost: unknown[] = [];
      worker.on('leaseLost', (event) => lost.push(event));
      const result = task.run().result();
      await h.pass(60_000);
      go.resolve();
      await h.pass(10);
      expect(await result).toBe(false);
      expect([calls, lost]).toEqual([1, []]);
    },
  );

  it('that persists: the signal fires before another worker can claim the work', async () => {
    h = harness(faultsOf('renewLease', Infinity));
    const { clock, inner } = h;
    const told: { code: unknown; state: unknown }[] = [];
    const task = h.a.task('t', async ({ signal, executionId, attempt }) => {
      if (attempt > 1) return 'second';
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      const info = await inner.readExecutionInfo({ executionId });
      told.push({ code: (signal.reason as { code: string }).code, state: info?.stateVector.ownershipState });
      throw signal.reason;
    });
    await h.worker({ leaseTtl: 3_000 });
    const startedAt = clock.now();
    const result = task.run().result();
    await h.pass(2_699);
    expect(told).toEqual([]);
    await h.pass(2);
    expect(told).toEqual([{ code: 'lease_lost', state: 'leased' }]);
    await h.pass(5_000);
    expect(await result).toBe('second');
    expect(clock.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('a fault of an ending', () => {
  const ENDINGS = {
    completeExecution: () => 'own',
    failExecution: () => {
      throw new Error('own');
    },
    delayExecution: () => delay('1h'),
  } as const;

  it.each([
    ['completeExecution', 'completed'],
    ['failExecution', 'failed'],
    ['delayExecution', 'delayed'],
  ] as const)('%s: the ending is sent again, and the handler does not run again', async (command, state) => {
    for (const times of [1, 5]) {
      h = harness(faultsOf(command, times));
      let calls = 0;
      const task = h.a.task('t', () => {
        calls++;
        return ENDINGS[command]() as unknown;
      });
      const worker = await h.worker({ leaseTtl: 3_000 });
      const run = await task.run();
      await h.pass(30_000);
      expect([await run.state(), calls]).toEqual([state, 1]);
      expect(worker.stats()).toMatchObject({ [state]: 1, lost: 0, running: 0 });
      await h.close();
    }
  });

  it('does not affect the other endings of its call', async () => {
    let calls: string[][] = [];
    h = harness((inner) => {
      let left = 1;
      const execute = answering(inner, (name) => (name === 'completeExecution' && left-- > 0 ? fault() : undefined));
      return {
        execute: ((commands: Commands) => {
          calls.push(commands.map(({ name }) => name));
          return execute(commands);
        }) as Backend['execute'],
      };
    });
    const task = h.a.task('t', ({ input }: TaskContext<number>) => input);
    const runs = await task.runMany([1, 2, 3, 4]);
    calls = [];
    const worker = await h.worker({ claimAhead: 10 });
    await h.pass(1_000);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 2, 3, 4]);
    expect(worker.stats()).toMatchObject({ claimed: 4, completed: 4, lost: 0 });
    // The one that met the fault goes again, and alone.
    expect(calls.filter((names) => names.includes('completeExecution')).flat()).toHaveLength(5);
  });

  it('that refuses the whole call does not delay the other endings', async () => {
    h = harness(
      (inner) => ({
        execute: ((commands: Commands) => {
          const endings = commands.filter(({ name }) => name === 'completeExecution');
          if (endings.length > 1) throw new EngineError('invalid_input', 'one of them is wrong.');
          return inner.execute(commands);
        }) as Backend['execute'],
      }),
      { memoryOptions: { partitions: { count: 1 } } },
    );
    const task = h.a.task('t', ({ input }: TaskContext<number>) => input);
    const runs = await task.runMany([1, 2, 3, 4]);
    const worker = await h.worker({ slots: 4 });
    await h.pass(0);
    expect(worker.stats()).toMatchObject({ claimed: 4, completed: 4, lost: 0 });
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 2, 3, 4]);
  });

  it('is followed by another try even after the end of the lease, because the engine may have accepted it', async () => {
    let answers = false;
    h = harness((inner) => ({
      // Everything is done; of calls with endings and renewals, the answers are lost.
      execute: (async (commands: Commands) => {
        const results = await inner.execute(commands);
        if (!answers && commands.some(({ name }) => name === 'completeExecution' || name === 'renewLease'))
          throw new EngineError('call_timeout', 'lost.');
        return results;
      }) as Backend['execute'],
    }));
    const task = h.a.task('t', () => 'own');
    const worker = await h.worker({ leaseTtl: 3_000 });
    const outcomes: string[] = [];
    worker.on('finished', ({ outcome }) => outcomes.push(outcome));
    await task.run();
    await h.pass(20_000);
    expect(outcomes).toEqual([]);
    answers = true;
    await h.pass(11_000);
    expect(outcomes).toEqual(['completed']);
    expect(worker.stats()).toMatchObject({ completed: 1, lost: 0 });
  });

  it('that persists is given up although renewals succeed, and reported', async () => {
    let answers = false;
    h = harness((inner) => ({
      execute: answering(inner, (name) => (!answers && name === 'completeExecution' ? fault() : undefined)),
    }));
    let calls = 0;
    const task = h.a.task('t', () => ++calls);
    const worker = await h.worker({ leaseTtl: 3_000 });
    const given: unknown[] = [];
    worker.on('reportGivenUp', (event) => given.push(event));
    const run = await task.run();
    const result = run.result();
    await h.pass(59_000);
    expect([given, calls]).toEqual([[], 1]);
    await h.pass(15_000);
    expect(given).toMatchObject([
      { executionId: run.id, task: 't', ending: 'complete', error: { code: 'call_timeout' } },
    ]);
    expect((given[0] as { afterMs: number }).afterMs).toBeGreaterThanOrEqual(60_000);
    expect(h.said.filter(([level, message]) => level === 'error' && message.includes('was given up'))).toHaveLength(1);
    // Its lease is not renewed any more, so the work is done again.
    answers = true;
    await h.pass(10_000);
    expect(await result).toBe(2);
  });

  it('does not end the tries of a long result that waited longer than their time for its transfer', async () => {
    let tries = 0;
    h = harness((inner, clock) => ({
      execute: (async (commands: Commands) => {
        if (!commands.some(({ name }) => name === 'completeExecution') || ++tries > 1) return inner.execute(commands);
        await new Promise<void>((resolve) => void clock.after(70_000, resolve));
        throw fault().error;
      }) as Backend['execute'],
    }));
    let calls = 0;
    const task = h.a.task('t', () => ++calls);
    const worker = await h.worker();
    expect(await h.flow(task.run().result())).toBe(1);
    expect([tries, worker.stats().lost]).toEqual([2, 0]);
  });
});

describe('the results of a worker that drains', () => {
  /** Completions that are answered, or fail, after so long. */
  const answeredAfter = (delayMs: number, fails: boolean) => {
    h = harness((inner, clock) => ({
      execute: (async (commands: Commands) => {
        if (!commands.some(({ name }) => name === 'completeExecution')) return inner.execute(commands);
        await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
        if (fails) throw fault().error;
        return inner.execute(commands);
      }) as Backend['execute'],
    }));
    return h;
  };

  it.each([
    [
      'wait for their turn on a slow link as long as the drain may take',
      20_000,
      false,
      { completed: 1, lost: 0 },
      20_500,
    ],
    ['do not delay it for longer than five seconds when they meet faults', 100, true, { completed: 0 }, 5_500],
  ])('%s', async (_what, delayMs, fails, expected, withinMs) => {
    const { a, clock, flow, worker: startWorker, pass } = answeredAfter(delayMs, fails);
    const task = a.task('t', () => 1);
    const worker = await startWorker();
    await task.run();
    await pass(20);
    const startedAt = clock.now();
    await flow(worker.drain({ timeout: '25s' }));
    expect(worker.stats()).toMatchObject(expected);
    expect(clock.now() - startedAt).toBeLessThan(withinMs);
  });
});

describe('a call that is refused after an accepted ending, and answered before it', () => {
  /** The engine gets the named call after the completion, whose answer arrives last. */
  const overtaking = (named: string) => (inner: Backend, clock: VirtualClock) => {
    const refused: unknown[] = [];
    const sleep = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
    const execute = async (commands: Commands): Promise<readonly CommandResult[]> => {
      if (commands.some(({ name }) => name === 'completeExecution')) {
        const results: readonly CommandResult[] = await inner.execute(commands);
        await sleep(1_500);
        return results;
      }
      if (named === 'beginAttempt' && commands.some(({ name }) => name === named)) await sleep(100);
      const results: readonly CommandResult[] = await inner.execute(commands);
      if (commands.some(({ name }) => name === named))
        for (const result of results) if (!result.ok) refused.push(result.error);
      return results;
    };
    const override: Override = {
      execute: execute as Backend['execute'],
      updateProgress: async (args) => {
        await sleep(100);
        return inner.updateProgress(args).catch((error: unknown) => {
          refused.push(error);
          throw error;
        });
      },
    };
    return { override, refused };
  };

  it.each(['renewLease', 'beginAttempt', 'updateProgress'])(
    '%s: the worker does not report lost work',
    async (named) => {
      let refused: unknown[] = [];
      h = harness((inner, clock) => {
        const script = overtaking(named)(inner, clock);
        refused = script.refused;
        return script.override;
      });
      const task = h.a.task('t', { timeout: { attempt: '1m' } }, async ({ progress }) => {
        if (named === 'updateProgress') void progress(50);
        await h?.sleep(10);
        return 'own';
      });
      const worker = await h.worker({ leaseTtl: 3_000, claimAhead: named === 'beginAttempt' ? 5 : 0 });
      const lost: unknown[] = [];
      const finished: string[] = [];
      worker.on('leaseLost', (event) => lost.push(event));
      worker.on('finished', ({ outcome }) => finished.push(outcome));
      const run = await task.run();
      await h.pass(5_000);
      expect(refused.length).toBeGreaterThan(0);
      expect([await run.state(), finished, lost]).toEqual(['completed', ['completed'], []]);
      expect(worker.stats()).toMatchObject({ completed: 1, lost: 0 });
    },
  );

  it('the refusal of the ending itself is reported as lost work, once', async () => {
    h = harness((inner) => ({
      execute: (async (commands: Commands) => {
        for (const { name, args } of commands)
          if (name === 'completeExecution')
            await inner.cancelExecution({ executionId: args.executionId, reason: 'r', source: 'operator_override' });
        return inner.execute(commands);
      }) as Backend['execute'],
    }));
    const task = h.a.task('t', () => 'own');
    const worker = await h.worker({ leaseTtl: 3_000 });
    const lost: unknown[] = [];
    worker.on('leaseLost', ({ reason }) => lost.push(reason));
    await task.run();
    await h.pass(5_000);
    expect(lost).toEqual(['cancelled']);
    expect(worker.stats()).toMatchObject({ completed: 0, cancelled: 1 });
  });
});

describe('an ending that the engine refuses', () => {
  const invalid = fault('invalid_input');

  it('becomes a failure with the reason', async () => {
    h = harness((inner) => ({
      execute: answering(inner, (name) => (name === 'completeExecution' ? invalid : undefined)),
    }));
    const task = h.a.task('t', () => 1);
    await h.worker();
    const run = await task.run();
    await h.pass(5_000);
    expect(await run.info()).toMatchObject({ state: 'failed', failure: { category: 'invalid_result' } });
  });

  it('because a run has waited too often becomes a failure with the code of that limit', async () => {
    h = harness((inner) => ({
      execute: answering(inner, (name) =>
        name === 'suspendExecution' ? fault('waitpoint_limit_exceeded') : undefined,
      ),
    }));
    const task = h.a.task('t', ({ sleep }: TaskContext) => sleep('1d'));
    await h.worker();
    const run = await task.run(undefined);
    await h.pass(5_000);
    expect(await run.info()).toMatchObject({ state: 'failed', failure: { category: 'waitpoint_limit_exceeded' } });
  });

  it('does not affect the others when it makes the call invalid', async () => {
    h = harness((inner) => ({
      execute: ((commands: Commands) => {
        for (const command of commands)
          if (command.name === 'completeExecution' && command.args.resultPayload?.[0] === 0x37)
            throw new EngineError('invalid_input', 'seven.');
        return inner.execute(commands);
      }) as Backend['execute'],
    }));
    const task = h.a.task('t', ({ input }: TaskContext<number>) => input);
    const runs = await task.runMany([5, 6, 7, 8]);
    await h.worker({ claimAhead: 10 });
    await h.pass(5_000);
    expect(await Promise.all(runs.map((run) => run.state()))).toEqual([
      'completed',
      'completed',
      'failed',
      'completed',
    ]);
  });

  it('is replaced by the plainest failure if it is a failure itself', async () => {
    h = harness((inner) => ({
      execute: answering(inner, (name, args) =>
        name === 'failExecution' && (args as { failureCategory?: string }).failureCategory === 'odd'
          ? invalid
          : undefined,
      ),
    }));
    const { RetryableError } = await import('../../src/index.js');
    const task = h.a.task('t', { retry: { failures: 1, backoff: backoff.fixed(1) } }, () => {
      throw new RetryableError('x', { category: 'odd' });
    });
    await h.worker();
    const run = await task.run();
    await h.pass(5_000);
    expect(await run.info()).toMatchObject({
      state: 'failed',
      failure: { category: 'handler_error' },
      execution: { retryCount: 1 },
    });
  });
});
