import { afterEach, describe, expect, it, vi } from 'vitest';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import { LIMITS, RETENTION_SLOT_MS } from '../../model/limits.js';
import { jitterOf } from '../../model/schedule/due-execution.js';
import {
  ackCancelMember,
  cancelFlow,
  capabilitiesIn,
  cascadeCompletion,
  claimFromGrant,
  claimFromResumeGrant,
  expiredLeases,
  explain,
  leaseHistory,
  livingWorkers,
  markDead,
  promoteBlockedToEligible,
  readEvents,
  resolveDependency,
  rotateWaitpointHmacSecretAll,
  runDue,
  seedWaitpointHmacSecret,
  tailStream,
  WorkFinder,
  startTimerLoop,
  type Clock,
  type TimerLoop,
} from '../../src/engine/index.js';
import { isRetryable, retryDelayMs, withRetries } from '../../src/engine/retry.js';
import { ServerClock } from '../../src/engine/server-clock.js';
import { sleep, systemClock } from '../../src/engine/clock.js';
import type { Wake } from '../../src/backend/backend.js';
import { parseGrace } from '../../src/backend/gate.js';
import { parseSettings } from '../../src/backend/settings.js';
import { EngineError, memory, type Backend } from '../../src/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { pause, rejectionOf, until } from '../app/support.js';

const engines: TimerLoop[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

async function start(...args: Parameters<typeof startTimerLoop>): Promise<TimerLoop> {
  const engine = await startTimerLoop(...args);
  engines.push(engine);
  return engine;
}

let counter = 0;
const uuid = (): string => `00000000-0000-7000-8000-${String(++counter).padStart(12, '0')}`;

type Create = Parameters<Backend['createExecution']>[0];

async function create(backend: Backend, partition = 0, options: Partial<Create> = {}): Promise<string> {
  const executionId = executionIdOf(partition, uuid());
  await backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'test',
    ...options,
  });
  return executionId;
}

async function claim(backend: Backend, leaseTtlMs = 1_000, partition = 0): Promise<void> {
  const claims = [{ leaseId: uuid(), attemptId: uuid() }];
  await backend.claimForWorker({
    partition: partitionKeyOf(partition),
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'w1',
    leaseTtlMs,
    claims,
  });
}

function manual(partitions = 1): { backend: Backend; time: { now: number } } {
  const time = { now: 1_000_000 };
  return { time, backend: memory({ now: () => time.now, partitions: { count: partitions }, retentionMs: 60_000 }) };
}

describe('expiredLeases', () => {
  it('lists the lost leases of all partitions, the longest lost first, by namespace or as of a time', async () => {
    const { backend, time } = manual(3);
    const ids: string[] = [];
    for (const [partition, leaseTtlMs] of [4_000, 2_000, 3_000].entries()) {
      ids.push(await create(backend, partition, partition === 2 ? { namespace: 'other' } : {}));
      await claim(backend, leaseTtlMs, partition);
    }
    const start = time.now;
    time.now += 5_000;
    const lost = async (...filter: [Parameters<typeof expiredLeases>[1]?]): Promise<string[]> => {
      const found: string[] = [];
      for await (const { executionId } of expiredLeases(backend, ...filter)) found.push(executionId);
      return found;
    };
    const [first, second, third] = ids;
    expect(await lost()).toEqual([second, third, first]);
    expect(await lost({ asOf: start + 3_500 })).toEqual([second, third]);
    expect(await lost({ namespace: 'n' })).toEqual([second, first]);
  });
});

describe('runDue', () => {
  it('promotes, expires, marks lapsed leases and purges, each at its due time and not earlier', async () => {
    const { backend, time } = manual();
    const delayed = await create(backend, 0, { delayUntil: time.now + 100 });
    const short = await create(backend, 0, { laneId: 'other', executionDeadlineAt: time.now + 200 });
    const leased = await create(backend);
    await claim(backend, 1_000);
    expect(await runDue(backend)).toBe(0);
    time.now += 100;
    expect(await runDue(backend)).toBe(1);
    expect(await backend.readExecutionState({ executionId: delayed })).toBe('waiting');
    time.now += 100;
    expect(await runDue(backend)).toBe(1);
    expect(await backend.readExecutionState({ executionId: short })).toBe('expired');
    time.now += 800;
    expect(await runDue(backend)).toBe(1);
    expect((await backend.readExecutionInfo({ executionId: leased }))?.stateVector.ownershipState).toBe(
      'lease_expired_reclaimable',
    );
    time.now += 60_000 + RETENTION_SLOT_MS;
    expect(await runDue(backend)).toBe(1);
    expect(await backend.readExecutionState({ executionId: short })).toBeUndefined();
    expect(await runDue(backend)).toBe(0);
  });

  it('looks at every partition and takes at most a page of each', async () => {
    const { backend, time } = manual(3);
    for (const partition of [0, 0, 0, 2]) await create(backend, partition, { delayUntil: time.now + 1 });
    time.now += 1;
    expect(await runDue(backend, { limitPerPartition: 2 })).toBe(3);
    expect(await runDue(backend, { limitPerPartition: 2 })).toBe(1);
  });

  it('counts only its own changes', async () => {
    const { backend, time } = manual();
    const executionId = await create(backend, 0, { delayUntil: time.now + 1 });
    time.now += 1;
    const late = Object.assign(Object.create(backend) as Backend, {
      applyDue: async (args: Parameters<Backend['applyDue']>[0]) => {
        await backend.promoteDelayed({ executionId });
        return backend.applyDue(args);
      },
    });
    expect(await runDue(late)).toBe(0);
  });

  it('draws the jitter of retries', async () => {
    const { backend, time } = manual();
    const executionId = await create(backend, 0, {
      policy: {
        timeoutPolicy: { attemptTimeoutMs: 10 },
        retryPolicy: {
          maxRetries: 1,
          backoff: { type: 'exponential', initialDelayMs: 1_000, maxDelayMs: 1_000, multiplier: 1, jitter: true },
        },
      },
    });
    await claim(backend);
    time.now += 10;
    expect(await runDue(backend, { random: () => 0.5 })).toBe(1);
    // Each execution's share is derived from the factor that was drawn and from its id.
    const share = jitterOf(executionId, 0.5) as number;
    expect(await backend.applyDue({ partition: '{fp:0}' })).toMatchObject({
      nextDueAt: time.now + Math.floor(1_000 * (0.5 + 0.5 * share)),
    });
  });
});

/** A backend with other members in the place of its own. */
function withMembers(inner: Backend, members: Partial<Backend>): Backend {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(name in members ? members : target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

describe('the loop', () => {
  it('applies due work in any partition soon after it is due', async () => {
    const clock = new VirtualClock(1_000_000);
    const backend = memory({ partitions: { count: 5 }, now: clock.now });
    const engine = await start(backend, { clock });
    await clock.advance(20);
    for (let partition = 0; partition < 5; partition++)
      await create(backend, partition, { delayUntil: clock.now() + 50 });
    await clock.advance(49);
    expect(engine.applied).toBe(0);
    await clock.advance(11);
    expect(engine.applied).toBe(5);
  });

  it('works through more than a page at once', async () => {
    const clock = new VirtualClock(1_000_000);
    const backend = memory({ now: clock.now });
    for (let i = 0; i < 250; i++) await create(backend, 0, { delayUntil: clock.now() + 50 });
    const engine = await start(backend, { pageSize: 20, clock });
    await clock.advance(60);
    expect(engine.applied).toBe(250);
  });

  it('finds due work by its poll without wakes', async () => {
    const clock = new VirtualClock(1_000_000);
    const inner = memory({ now: clock.now });
    const deaf = Object.assign(Object.create(inner) as Backend, { onWake: async () => () => undefined });
    const engine = await start(deaf, { pollIntervalMs: 60, clock });
    await clock.advance(20);
    await create(inner, 0, { delayUntil: clock.now() + 50 });
    // Where nothing is due, a poll may come two and a half times later, and its time is spread.
    await clock.advance(50 + 300);
    expect(engine.applied).toBe(1);
  });

  it('keeps a wake that arrives during a pass', async () => {
    const inner = memory();
    let looks = 0;
    const slow = Object.assign(Object.create(inner) as Backend, {
      applyDue: async (args: Parameters<Backend['applyDue']>[0]) => {
        const due = await inner.applyDue(args);
        if (++looks === 1) {
          await create(inner, 0, { delayUntil: Date.now() + 500 });
          await pause(20);
        }
        return due;
      },
    });
    const engine = await start(slow, { pollIntervalMs: 60_000 });
    await until(() => engine.applied === 1);
  });

  it('continues after errors, and reports them', async () => {
    const inner = memory();
    const errors: unknown[] = [];
    let looks = 0;
    const broken = Object.assign(Object.create(inner) as Backend, {
      onWake: async () => {
        throw new EngineError('transport_failed', 'no wakes.');
      },
      applyDue: async (args: Parameters<Backend['applyDue']>[0]) => {
        if (++looks <= 3) throw new Error('socket');
        return inner.applyDue(args);
      },
    });
    const executionId = await create(inner, 0, { delayUntil: Date.now() + 500 });
    const engine = await start(broken, {
      pollIntervalMs: 50,
      onError: (error) => {
        errors.push(error);
        throw new Error('a reporter that fails');
      },
    });
    await until(() => engine.applied === 1);
    expect(await inner.readExecutionState({ executionId })).toBe('waiting');
    const [ofWakes, ofPasses] = [true, false].map((is) =>
      errors.filter((error) => error instanceof EngineError === is),
    );
    expect(ofWakes).not.toHaveLength(0);
    expect(ofPasses).toHaveLength(3);
  });

  it('continues at once over a short backlog, and rests as long as each pass took over a long one', async () => {
    const clock = new VirtualClock(1_000_000);
    const inner = memory({ now: () => clock.now(), partitions: { count: 1 } });
    for (let n = 0; n < 40; n++) await create(inner, 0, { delayUntil: 1_000_010 });
    const begun: number[] = [];
    const slow = Object.assign(Object.create(inner) as Backend, {
      applyDue: async (args: Parameters<Backend['applyDue']>[0]) => {
        begun.push(clock.now());
        await sleep(clock, 10);
        return inner.applyDue(args);
      },
    });
    await clock.advance(10);
    const engine = await start(slow, { clock, pageSize: 2 });
    await clock.advance(1_000);
    expect(engine.applied).toBe(40);
    const gaps = begun.slice(1, 21).map((at, index) => at - (begun[index] as number));
    expect(gaps).toEqual([...Array<number>(10).fill(10), ...Array<number>(10).fill(20)]);
  });

  it("looks again soon where another loop is at work, and reports a jump of the server's clock", async () => {
    const clock = new VirtualClock(0);
    const inner = memory();
    let aheadMs = 0;
    let readAfterMs = 0;
    const looks: number[] = [];
    const members: Partial<Backend> = {
      label: 'valkey',
      serverTime: async () => {
        const time = 1_000_000 + clock.now() + aheadMs;
        if (readAfterMs > 0) await sleep(clock, readAfterMs);
        return time;
      },
      applyDue: () => {
        looks.push(clock.now());
        return Promise.resolve({ kind: 'left_to_other', until: 1_000_500 + clock.now() + aheadMs });
      },
    };
    const backend = withMembers(inner, members);
    const jumps: number[] = [];
    const fail = (ms: number): never => {
      jumps.push(ms);
      throw new Error('a listener that fails');
    };
    await start(backend, { clock, pollIntervalMs: 2_000, onClockJump: fail });
    await clock.advance(5_000);
    expect(looks.length).toBeGreaterThan(8);
    aheadMs = 3_600_000;
    looks.length = 0;
    await clock.advance(40_000);
    expect(looks.length).toBeGreaterThan(15);
    expect(jumps).toEqual([3_600_000]);
    aheadMs = 0;
    await clock.advance(40_000);
    expect(jumps).toEqual([3_600_000, -3_600_000]);
    // An answer that is read late is none.
    readAfterMs = 40_000;
    await clock.advance(100_000);
    readAfterMs = 0;
    await clock.advance(100_000);
    expect(jumps).toHaveLength(2);
  });

  it.each(['the store', 'one node of it'])('does not spin when the clock of %s steps back', async (whose) => {
    const clock = new VirtualClock(0);
    let behindMs = 0;
    let dueAt = 1_003_000;
    const jumps: number[] = [];
    const looks: number[] = [];
    const applied: number[] = [];
    const ofPartition = (): number => 1_000_000 + clock.now() - behindMs;
    const backend = withMembers(memory(), {
      label: 'valkey',
      // Of a cluster, one node is asked for the time; others have clocks of their own.
      serverTime: async () => (whose === 'the store' ? ofPartition() : 1_000_000 + clock.now()),
      applyDue: async () => {
        await sleep(clock, 1);
        looks.push(clock.now());
        const isDue = ofPartition() >= dueAt;
        if (isDue) applied.push(clock.now());
        if (isDue) dueAt += 3_600_000;
        const nothing = { attemptsTimedOut: [], expired: [], suspensionsTimedOut: [], setAside: [], deliveries: [] };
        const counts = { leasesExpired: 0, grantsLapsed: 0, waitpointsExpired: 0, purged: 0, others: {} };
        return { kind: 'applied', ...nothing, ...counts, promoted: isDue ? 1 : 0, nextDueAt: dueAt };
      },
    });
    await start(backend, { clock, pollIntervalMs: 2_000, onClockJump: (ms) => jumps.push(ms) });
    await clock.advance(500);
    behindMs = 20_000;
    looks.length = 0;
    await clock.advance(25_000);
    // A poll of 2 s; the looks that find the clock wrong, and where it lags, at most one a second.
    expect(looks.length).toBeLessThan(whose === 'the store' ? 20 : 40);
    expect(applied).toHaveLength(1);
    expect(applied[0]).toBeGreaterThanOrEqual(23_000);
    expect(applied[0]).toBeLessThan(24_100);
    expect(jumps).toEqual(whose === 'the store' ? [-20_000] : []);
  });

  it('looks at once at work that may be due already, although the time of the server was read late', async () => {
    const clock = new VirtualClock(0);
    const looks: number[] = [];
    let wake: (wake: Wake) => void = () => undefined;
    const serverNow = (): number => 1_000_000 + clock.now();
    const backend = withMembers(memory({ partitions: { count: 1 } }), {
      label: 'valkey',
      serverTime: async () => {
        const time = serverNow();
        await sleep(clock, 60);
        return time;
      },
      onWake: (_, onWake) => {
        wake = onWake;
        return Promise.resolve(() => undefined);
      },
      applyDue: () => {
        looks.push(clock.now());
        return Promise.resolve({ kind: 'left_to_other', until: serverNow() + 10_000 });
      },
    });
    await start(backend, { clock, pollIntervalMs: 10_000 });
    await clock.advance(1_000);
    const dueIn = async (ms: number): Promise<number[]> => {
      looks.length = 0;
      const at = clock.now();
      wake({ kind: 'timer', partition: partitionKeyOf(0), at: serverNow() + ms });
      await clock.advance(200);
      return looks.map((look) => look - at);
    };
    expect(await dueIn(0)).toEqual([0]);
    // Of what is due later, the loop is late by half of a round trip.
    expect(await dueIn(100)).toEqual([130]);
  });

  it('measures the time of the server once at a time: answers out of order report no jump', async () => {
    const clock = new VirtualClock(0);
    const jumps: number[] = [];
    let aheadMs = 0;
    let latencyMs = 0;
    let asked = 0;
    const serverTime = async (): Promise<number> => {
      const time = 1_000_000 + clock.now() + aheadMs;
      asked++;
      await sleep(clock, latencyMs);
      return time;
    };
    const server = new ServerClock({ label: 'valkey', serverTime } as Backend, clock, (ms) => jumps.push(ms));
    const first = Promise.all([server.now(), server.nowMeasured(), server.now()]);
    await clock.advance(1);
    expect(new Set(await first)).toEqual(new Set([1_000_000]));
    expect(asked).toBe(1);
    // The clock jumps between two questions, and the second is answered first.
    await clock.advance(60_000);
    latencyMs = 100;
    const slow = server.now();
    await clock.advance(1);
    aheadMs = 60_000;
    latencyMs = 1;
    const quick = server.now();
    await clock.advance(200);
    await Promise.all([slow, quick]);
    expect(jumps).toEqual([]);
    const measured = server.nowMeasured();
    await clock.advance(10);
    expect(Math.abs((await measured) - (1_000_000 + clock.now() + aheadMs))).toBeLessThan(20);
    expect(jumps).toHaveLength(1);
  });

  it('is safe in several processes at once: everything is applied once', async () => {
    const clock = new VirtualClock(1_000_000);
    const backend = memory({ partitions: { count: 2 }, now: clock.now });
    const loops = await Promise.all(Array.from({ length: 3 }, () => start(backend, { clock })));
    for (let i = 0; i < 60; i++) await create(backend, i % 2, { delayUntil: clock.now() + 50 + (i % 7) });
    await clock.advance(1_000);
    expect(loops.reduce((sum, { applied }) => sum + applied, 0)).toBe(60);
  });

  it('looks at an idle store only as often as its poll says, and less often where nothing is due', async () => {
    const clock = new VirtualClock(1_000_000);
    const inner = memory({ partitions: { count: 16 }, now: clock.now });
    let looks = 0;
    const counted = Object.assign(Object.create(inner) as Backend, {
      applyDue: (args: Parameters<Backend['applyDue']>[0]) => {
        looks++;
        return inner.applyDue(args);
      },
    });
    await start(counted, { pollIntervalMs: 100, clock });
    await clock.advance(30);
    looks = 0;
    await clock.advance(500);
    expect(looks).toBeGreaterThanOrEqual(16);
    expect(looks).toBeLessThan(16 * 4);
  });

  it('waits for its calls in flight when it ends, and makes no more', async () => {
    const inner = memory();
    let inFlight = 0;
    let looks = 0;
    const slow = Object.assign(Object.create(inner) as Backend, {
      applyDue: async (args: Parameters<Backend['applyDue']>[0]) => {
        looks++;
        inFlight++;
        await pause(40);
        inFlight--;
        return inner.applyDue(args);
      },
    });
    const engine = await startTimerLoop(slow, { pollIntervalMs: 10 });
    await until(() => inFlight === 1);
    await engine.close();
    expect(inFlight).toBe(0);
    const seen = looks;
    await create(inner, 0, { delayUntil: Date.now() + 50 });
    await pause(60);
    expect(looks).toBe(seen);
  });
});

describe('retries', () => {
  const clock: Clock = { ...systemClock, random: () => 1, after: (_ms, fn) => systemClock.after(0, fn) };

  it('wait longer each time, up to a bound, and always wait', () => {
    expect([1, 2, 3, 9, 500].map((failures) => retryDelayMs(clock, failures))).toEqual([100, 200, 400, 10_000, 10_000]);
    expect(retryDelayMs({ ...clock, random: () => 0 }, 1)).toBeGreaterThan(0);
  });

  it('repeat retryable errors, and give up at others', async () => {
    let tries = 0;
    const value = await withRetries(clock, 5_000, async () => {
      if (++tries < 4) throw new EngineError('transport_failed', 'no.');
      return tries;
    });
    expect(value).toBe(4);
    tries = 0;
    const final = new EngineError('invalid_input', 'no.');
    expect(
      await rejectionOf(
        withRetries(clock, 5_000, async () => {
          tries++;
          throw final;
        }),
      ),
    ).toBe(final);
    expect(tries).toBe(1);
    expect(
      [new Error('socket'), new TypeError('a mistake'), new EngineError('stale_lease', 'x.')].map(isRetryable),
    ).toEqual([true, false, false]);
  });
});

describe('retries that are aborted', () => {
  const gone = new EngineError('transport_failed', 'no.');
  const wrong = new EngineError('invalid_input', 'no.');

  it.each([
    ['during a call that may be repeated', gone, 0],
    ['during a call that may not', wrong, 0],
    ['while they wait', gone, 1],
  ])('%s end with the reason of the abort, and make no further call', async (_, error, afterMs) => {
    const clock = new VirtualClock(0);
    const [controller, reason] = [new AbortController(), new Error('enough')];
    let calls = 0;
    const result = withRetries(
      clock,
      60_000,
      () => {
        calls++;
        if (afterMs === 0) controller.abort(reason);
        return Promise.reject(error);
      },
      controller.signal,
    );
    const rejected = rejectionOf(result);
    await clock.advance(afterMs);
    controller.abort(reason);
    await clock.advance(120_000);
    expect([await rejected, calls]).toEqual([reason, 1]);
  });
});

it('knows how far an estimate of the server can be behind it: half a round trip, and less than a millisecond', async () => {
  const clock = new VirtualClock(0);
  const serverTime = async (): Promise<number> => {
    await sleep(clock, 20);
    return clock.now();
  };
  const server = new ServerClock({ label: 'valkey', serverTime } as Backend, clock);
  const first = server.now();
  await clock.advance(20);
  await first;
  expect(server.behindMs).toBe(11);
  expect(new ServerClock({ label: 'memory', serverTime } as Backend, clock).behindMs).toBe(0);
});

describe('options that are numbers', () => {
  const loop = async (options: Parameters<typeof startTimerLoop>[1]): Promise<unknown> => {
    await using backend = await memory();
    return (await startTimerLoop(backend, { clock: new VirtualClock(0), ...options })).close();
  };
  const finder = async (sweepIntervalMs: number): Promise<unknown> => {
    await using backend = await memory();
    return (await WorkFinder.start(backend, { laneId: 'l', clock: new VirtualClock(0), sweepIntervalMs })).close();
  };
  const due = async (limitPerPartition: number): Promise<unknown> => {
    await using backend = await memory();
    return runDue(backend, { limitPerPartition });
  };

  it.each<[name: string, min: number, max: number, use: (value: number) => unknown]>([
    ['retentionMs', 0, LIMITS.maxDurationMs, (retentionMs) => parseSettings({ retentionMs })],
    ['logMaxEntries', 1, LIMITS.maxInteger, (logMaxEntries) => parseSettings({ logMaxEntries })],
    ['callTimeoutMs', 1, LIMITS.maxLeaseTtlMs, (callTimeoutMs) => parseSettings({ callTimeoutMs })],
    ['graceMs', 0, 2 ** 31 - 1, (graceMs) => parseGrace({ graceMs })],
    ['pollIntervalMs', 1, LIMITS.maxDurationMs, (pollIntervalMs) => loop({ pollIntervalMs })],
    ['pageSize', 1, LIMITS.maxPageSize, (pageSize) => loop({ pageSize })],
    ['limitPerPartition', 1, LIMITS.maxPageSize, due],
    ['sweepIntervalMs', 1, LIMITS.maxDurationMs, finder],
  ])('%s is taken from %d to %d, and refused beyond', async (field, min, max, use) => {
    const call = async (value: number): Promise<unknown> => use(value);
    for (const value of [min, max]) await call(value);
    for (const value of [min - 1, max + 1])
      expect(await rejectionOf(call(value))).toMatchObject({ code: 'invalid_input', detail: { field } });
  });
});

it('waits longer than a timer of Node can', () => {
  vi.useFakeTimers();
  try {
    const fn = vi.fn();
    systemClock.after(2 ** 33, fn);
    vi.advanceTimersByTime(2 ** 33 - 1);
    expect(fn).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fn).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});

/** The same as a promise of the first item. */
const firstOf =
  <Args extends unknown[]>(items: (...args: Args) => AsyncGenerator<unknown>) =>
  (...args: Args): Promise<unknown> =>
    items(...args).next();

describe('invalid arguments', () => {
  it('are refused with a clear message', async () => {
    await using backend = await memory();
    const finder = await WorkFinder.start(backend, { laneId: 'l' });
    const refusals: [Promise<unknown>, string][] = [
      ...[undefined, 5, {}].map((wrong): [Promise<unknown>, string] => [
        startTimerLoop(wrong as never),
        'backend: of startTimerLoop() must be a backend.',
      ]),
      [startTimerLoop(backend, { onError: 5 as never }), 'onError: of startTimerLoop() must be a function.'],
      [startTimerLoop(backend, { onClockJump: {} as never }), 'onClockJump: of startTimerLoop() must be a function.'],
      ...[0, -1, NaN, '5s', null].map((wrong): [Promise<unknown>, string] => [
        startTimerLoop(backend, { pollIntervalMs: wrong as never }),
        `pollIntervalMs: of startTimerLoop() must be a number from 1 to ${LIMITS.maxDurationMs}.`,
      ]),
      ...[0, 1.5, 1_001].map((wrong): [Promise<unknown>, string] => [
        startTimerLoop(backend, { pageSize: wrong }),
        'pageSize: of startTimerLoop() must be a whole number from 1 to 1000.',
      ]),
      ...[null, 5, { now: Date.now }].map((wrong): [Promise<unknown>, string] => [
        startTimerLoop(backend, { clock: wrong as never }),
        'clock: of startTimerLoop() must have the functions now, after and random.',
      ]),
      [runDue(undefined as never), 'backend: of runDue() must be a backend.'],
      [runDue(backend, { random: 1 as never }), 'random: of runDue() must be a function.'],
      [
        runDue(backend, { limitPerPartition: 0 }),
        'limitPerPartition: of runDue() must be a whole number from 1 to 1000.',
      ],
      [
        runDue(backend, { limit: 5 } as never),
        'limit: is no option of runDue(); there are limitPerPartition, random, filter.',
      ],
      [WorkFinder.start(5 as never, { laneId: 'l' }), 'backend: of WorkFinder must be a backend.'],
      [
        finder.claim({} as never, { waitMs: -1 }),
        `waitMs: of WorkFinder.claim() must be a number from 0 to ${LIMITS.maxDurationMs}.`,
      ],
      [
        WorkFinder.start(backend, { laneId: 'l', sweepIntervalMs: 0 }),
        `sweepIntervalMs: of WorkFinder must be a number from 1 to ${LIMITS.maxDurationMs}.`,
      ],
      [
        WorkFinder.start(backend, { laneId: 'l', clock: {} as never }),
        'clock: of WorkFinder must have the functions now, after and random.',
      ],
      ...Object.entries({ cancelFlow, ackCancelMember, resolveDependency, promoteBlockedToEligible, cascadeCompletion })
        .map(([name, call]) => [name, call as (...args: unknown[]) => Promise<unknown>] as const)
        .flatMap(([name, call]): [Promise<unknown>, string][] => [
          [call(5, {}), `backend: of ${name}() must be a backend.`],
          [call(backend), `options: of ${name}() must be an object.`],
          [call(backend, { clock: {} }), `clock: of ${name}() must have the functions now, after and random.`],
        ]),
      [
        cancelFlow(backend, { flowId: 'f', waitMs: 5 } as never),
        'waitMs: is no option of cancelFlow(); there are flowId, reason, cancellationPolicy, wait, signal, clock.',
      ],
      ...[NaN, -1, '1s', null].map((wait): [Promise<unknown>, string] => [
        cancelFlow(backend, { flowId: 'f', wait: wait as never }),
        `wait: of cancelFlow() must be a number from 0 to ${LIMITS.maxDurationMs}.`,
      ]),
      ...Object.entries({
        ...{ explain, livingWorkers: firstOf(livingWorkers), rotateWaitpointHmacSecretAll, markDead, tailStream },
        ...{
          readEvents: firstOf(readEvents),
          leaseHistory: firstOf(leaseHistory),
          capabilitiesIn,
          seedWaitpointHmacSecret,
        },
      }).flatMap(([name, call]): [Promise<unknown>, string][] =>
        [undefined, {}].map((wrong) => [call(wrong as never, {} as never), `backend: of ${name}() must be a backend.`]),
      ),
      ...Object.entries({
        ...{ tailStream, readEvents: firstOf(readEvents), leaseHistory: firstOf(leaseHistory), capabilitiesIn },
      }).map(([name, call]): [Promise<unknown>, string] => [
        call(backend, undefined as never),
        `options: of ${name}() must be an object.`,
      ]),
      [markDead(backend, null as never), 'dead: of markDead() must be an object.'],
      [seedWaitpointHmacSecret(backend, 'k1' as never), 'key: of seedWaitpointHmacSecret() must be an object.'],
      [firstOf(leaseHistory)(backend, {} as never), 'executionId: of leaseHistory() must be a string.'],
      [claimFromGrant(null as never, {} as never), 'backend: of claimFromGrant() must be a backend.'],
      ...[undefined, 'token', []].map((wrong): [Promise<unknown>, string] => [
        claimFromGrant(backend, wrong as never),
        'token: of claimFromGrant() must be an object.',
      ]),
      [claimFromGrant(backend, { grant: null } as never), 'grant: of claimFromGrant() must be an object.'],
      [claimFromResumeGrant(backend, {} as never), 'grant: of claimFromResumeGrant() must be an object.'],
    ];
    for (const [call, message] of refusals)
      expect(await rejectionOf(call)).toMatchObject({
        code: 'invalid_input',
        message: expect.stringContaining(message),
      });
    finder.close();
    const nothing = claimFromGrant(backend, { grant: {} } as never);
    expect(await rejectionOf(nothing)).toMatchObject({ code: 'invalid_input' });
  });
});
