/** Results that cannot be had, and waiting for results while the store is away or has forgotten its log. */
import { afterEach, describe, expect, it } from 'vitest';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  app,
  EngineError,
  memory,
  NonRetryableError,
  ResultTimeoutError,
  ResultUnavailableError,
  type App,
  type Backend,
} from '../../src/index.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { AnnouncementListener } from '../../src/backend/backend.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { block, collectingLog, deferred, memoryApp, rejectionOf } from './support.js';

let a: App;
afterEach(() => a.close());

/** A second view of a backend that hears no local news, as in another process, with some reads changed. */
const elsewhere = (inner: Backend, changed: Partial<Backend> = {}): Backend =>
  Object.assign(Object.create(inner) as Backend, changed);

/** Answers reads of results otherwise than a backend does. */
const readingResults = (
  inner: Backend,
  change: (result: Uint8Array | undefined, executionId: string) => Promise<Uint8Array | undefined>,
): Pick<Backend, 'readExecutionInfo'> => ({
  async readExecutionInfo(args) {
    const info = await inner.readExecutionInfo(args);
    if (args.withResult !== true || info === undefined) return info;
    return { ...info, result: await change(info.result, args.executionId) };
  },
});

/** A run that another process has completed. */
async function completedElsewhere(inner: Backend, handler: () => unknown = () => ({ secret: 'hunter2' })) {
  const there = app({ backend: inner, closeBackend: false });
  const task = there.task('t', handler);
  await there.worker();
  const run = await task.run();
  await run.result().catch(() => undefined);
  await there.close();
  return run.id;
}

describe('a result that cannot be read', () => {
  it.each<[string, Uint8Array | undefined, string]>([
    ['whose bytes are gone', undefined, 'bytes are gone'],
    ['of which half is there', Buffer.from('{"secret"'), 'bytes became 9'],
    ['that is no JSON', Buffer.from('{"secret":"hunter2",,'), 'the stored bytes are not valid json'],
    ['that is no UTF-8', new Uint8Array(20).fill(0xff), 'the stored bytes are not valid json'],
  ])('%s is a typed error, by a look and by the log', async (_what, bytes, message) => {
    const inner = memory();
    const id = await completedElsewhere(inner, () => ({ secret: 'hunter2' }));
    const size = (await inner.readExecutionInfo({ executionId: id }))?.resultBytes as number;
    // Of the right length, where it is the content that is wrong.
    const isShort = bytes === undefined || message.includes('became');
    const damaged = isShort ? bytes : new Uint8Array(Buffer.concat([bytes], size));
    a = app({
      backend: elsewhere(
        inner,
        readingResults(inner, async () => damaged),
      ),
      closeBackend: false,
    });
    const error = await rejectionOf(a.get(id).result());
    expect(error).toBeInstanceOf(ResultUnavailableError);
    expect(error).toMatchObject({ code: 'result_unavailable', name: 'ResultUnavailableError', executionId: id });
    expect((error as Error).message).toContain(message);
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
    expect(await a.get(id).info()).toMatchObject({
      state: 'completed',
      result: undefined,
      unavailable: ['result'],
    });
    expect(await a.get(id).state()).toBe('completed');
  });

  it('is undefined where the run had no result', async () => {
    const inner = memory();
    const nothing = await completedElsewhere(inner, () => undefined);
    a = app({ backend: elsewhere(inner) });
    expect(await a.get(nothing).result()).toBeUndefined();
    expect(await a.get(nothing).info()).toMatchObject({ result: undefined, unavailable: [] });
  });

  it('does not add its input to the reason of a failure', async () => {
    const inner = memory();
    a = app({ backend: inner });
    const task = a.task('t', () => 1);
    const executionId = '{fp:0}:00000000-0000-7000-8000-000000000001';
    await inner.createExecution({
      executionId,
      namespace: 'default',
      laneId: 't',
      executionKind: 't',
      creatorIdentity: 'test',
      // What a parser quotes when it meets it.
      inputPayload: Buffer.from('hunter2'),
      payloadEncoding: 'json',
    });
    await a.worker();
    const error = (await rejectionOf(task.get(executionId).result())) as { category: string };
    expect(error.category).toBe('invalid_input_payload');
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
  });
});

describe('the input of a member of a flow', () => {
  it('is unavailable if a result in it is lost, and is filled from many results, a few at a time', async () => {
    const inner = memory();
    const there = app({ backend: inner, closeBackend: false });
    const part = there.task('part', ({ input }: { input: { n: number } }) => 100 + input.n);
    const join = there.task('join', ({ input }: { input: { of: number[] } }) => input.of.length);
    const flow = there.flow('joined', (f) =>
      f.run(join, { of: Array.from({ length: 40 }, (_, n) => f.run(part, { n })) }),
    );
    await there.worker({ slots: 8 });
    const run = await flow.run();
    await run.result();
    const ids: string[] = [];
    let joined = '';
    for await (const { id, task } of run.children)
      if (task === 'join') joined = id;
      else ids.push(id);
    await there.close();

    let lost: string | undefined;
    let left = 0;
    const reading = { now: 0, most: 0 };
    const changed = readingResults(inner, async (bytes, executionId) => {
      reading.most = Math.max(reading.most, ++reading.now);
      await new Promise((next) => setImmediate(next));
      reading.now--;
      return executionId === lost ? bytes?.subarray(0, left) : bytes;
    });
    a = app({ backend: elsewhere(inner, changed), closeBackend: false });
    expect(await a.get(joined).info()).toMatchObject({
      input: { of: Array.from({ length: 40 }, (_, n) => 100 + n) },
      unavailable: [],
    });
    expect(reading.most).toBeGreaterThan(8);
    expect(reading.most).toBeLessThanOrEqual(17);
    lost = ids[20];
    // Two bytes of three are a number too.
    for (left of [0, 2])
      expect(await a.get(joined).info()).toMatchObject({ input: undefined, unavailable: ['input'], result: 40 });
  });
});

describe('a run that is replayed while its result is being read', () => {
  /** The bytes of a result arrive five seconds after they were asked for; if they are gone by then, they are read again. */
  function travelling(inner: Backend, clock: VirtualClock) {
    const state = { reads: 0 };
    const readExecutionInfo: Backend['readExecutionInfo'] = async (args) => {
      const info = await inner.readExecutionInfo(args);
      if (info?.result === undefined) return info;
      state.reads++;
      await new Promise<void>((resolve) => void clock.after(5_000, resolve));
      return inner.readExecutionInfo(args);
    };
    const onAnnouncement: Backend['onAnnouncement'] = async () => () => undefined;
    a = app({ backend: elsewhere(inner, { readExecutionInfo, onAnnouncement }), clock, closeBackend: false });
    return state;
  }

  /** A task whose first run ends at once, and the second when it is told to. */
  function twice(there: App) {
    const second = deferred();
    let runs = 0;
    const task = there.task('t', async () => {
      if (++runs > 1) await second.promise;
      return runs;
    });
    return { task, second };
  }

  it.each([
    ['by itself', 0],
    ['with many others', 40],
  ])('is awaited again, %s', async (_how, others) => {
    const inner = memory();
    const clock = new VirtualClock(0);
    const state = travelling(inner, clock);
    const there = app({ backend: inner, closeBackend: false });
    const { task, second } = twice(there);
    const unserved = there.task('unserved');
    const { id } = await task.run();
    const rest = await unserved.runMany(Array.from({ length: others }, () => undefined));
    const result = a.get(id).result();
    const never = rest.map((run) => rejectionOf(a.get(run.id).result()));
    await clock.advance(3_000);
    await there.worker({ tasks: [task] });
    await task.get(id).result();
    await clock.advance(1_000);
    expect(state.reads).toBe(1);
    await task.get(id).replay();
    await clock.advance(5_000);
    second.resolve();
    await task.get(id).result();
    await clock.advance(7_000);
    expect(await Promise.race([result, 'still waiting'])).toBe(2);
    await there.close();
    await a.close();
    await Promise.all(never);
  });

  it('gives the result of one run, although the results have the same length and different encodings', async () => {
    const inner = memory();
    const there = app({ backend: inner, closeBackend: false });
    let runs = 0;
    const task = there.task('t', () => (++runs === 1 ? 'ab' : Uint8Array.of(1, 2, 3, 4)));
    await there.worker();
    const { id } = await task.run();
    await task.get(id).result();
    const ranAgain = deferred();
    let reads = 0;
    /** All reads but the first one see the second run. */
    const spaced =
      <Args, Answer>(read: (args: Args) => Promise<Answer>) =>
      async (args: Args): Promise<Answer> => {
        if (++reads > 1) {
          await ranAgain.promise;
          return read(args);
        }
        const answer = await read(args);
        await task.get(id).replay();
        expect(await task.get(id).result()).toEqual(Uint8Array.of(1, 2, 3, 4));
        ranAgain.resolve();
        return answer;
      };
    const readExecutionInfo = spaced<Parameters<Backend['readExecutionInfo']>[0], never>(
      (args) => inner.readExecutionInfo(args) as Promise<never>,
    );
    const getExecutionResult = spaced<Parameters<Backend['getExecutionResult']>[0], never>(
      (args) => inner.getExecutionResult(args) as Promise<never>,
    );
    a = app({ backend: elsewhere(inner, { readExecutionInfo, getExecutionResult }), closeBackend: false });
    expect(await a.get(id).result()).toBe('ab');
    await there.close();
  });

  it('loses no result, and no input of a member', async () => {
    const inner = memory();
    const clock = new VirtualClock(0);
    travelling(inner, clock);
    const there = app({ backend: inner, closeBackend: false });
    const { task, second } = twice(there);
    const user = there.task('user', { lane: 'unserved' }, ({ input }: { input: { of: number } }) => input.of);
    const flow = there.flow('pair', (f) => f.run(user, { of: f.run(task, undefined) }));
    await there.worker({ tasks: [task] });
    const run = await flow.run();
    const ids = new Map<string, string>();
    for await (const { id, task } of run.children) ids.set(task, id);
    const [given, member] = [ids.get('t') as string, ids.get('user') as string];
    await task.get(given).result();
    const infos = Promise.all([a.get(given).info(), a.get(member).info()]);
    await clock.advance(10);
    await task.get(given).replay();
    await clock.advance(5_000);
    const [ofGiven, ofUser] = await infos;
    expect(ofGiven).toMatchObject({ result: undefined, unavailable: [] });
    expect(ofGiven?.state).not.toBe('completed');
    expect(ofUser).toMatchObject({ input: undefined, unavailable: [] });
    second.resolve();
    await task.get(given).result();
    await there.close();
  });
});

describe('the end of a run in another process', () => {
  /** Two processes at one store; the clock of the one that waits stands still, so that nothing is polled. */
  async function twoProcesses(changed: Partial<Backend> = {}) {
    const inner = memory();
    const clock = new VirtualClock(0);
    a = app({ backend: elsewhere(inner, changed), clock, closeBackend: false });
    const there = app({ backend: inner, closeBackend: false });
    return { there, clock };
  }

  it.each([
    ['its result', () => 7, 7],
    [
      'its failure',
      () => {
        throw new NonRetryableError('no');
      },
      'run_failed',
    ],
  ])('is announced at once: %s', async (_what, handler, expected) => {
    const { there } = await twoProcesses();
    let resolve = (): void => undefined;
    const promise = new Promise<void>((done) => (resolve = done));
    const task = there.task('t', async () => {
      await promise;
      return handler();
    });
    await there.worker();
    const { id } = await task.run();
    const ends = Array.from({ length: 3 }, () =>
      a
        .get(id)
        .result()
        .catch((error: { code: string }) => error.code),
    );
    await new Promise((done) => setImmediate(done));
    resolve();
    expect(await Promise.all(ends)).toEqual([expected, expected, expected]);
    await there.close();
  });

  it('is found by a poll without announcements', async () => {
    const { there, clock } = await twoProcesses({
      onAnnouncement: () => Promise.reject(new EngineError('transport_failed', 'no channel')),
      watchEnds: () => Promise.reject(new EngineError('transport_failed', 'no rights')),
    });
    const task = there.task('t', () => 7);
    const { id } = await task.run();
    const result = a.get(id).result();
    await there.worker();
    await task.get(id).result();
    await clock.advance(60);
    expect(await result).toBe(7);
    await there.close();
  });

  it('is read once when its result takes long, although a poll finds it too', async () => {
    const inner = memory();
    const clock = new VirtualClock(0);
    let reads = 0;
    const changed = readingResults(inner, async (bytes) => {
      if (bytes === undefined) return bytes;
      reads++;
      await new Promise<void>((resolve) => void clock.after(30_000, resolve));
      return bytes;
    });
    a = app({ backend: elsewhere(inner, changed), clock, closeBackend: false });
    const there = app({ backend: inner, closeBackend: false });
    const task = there.task('t', () => 7);
    const { id } = await task.run();
    const result = a.get(id).result();
    await there.worker();
    await task.get(id).result();
    await clock.advance(60_000);
    expect([await result, reads]).toEqual([7, 1]);
    await there.close();
  });

  it('is read again at once when the current read began before the end', async () => {
    const inner = memory();
    const clock = new VirtualClock(0);
    let announce: AnnouncementListener | undefined;
    let slowMs = 30_000;
    a = app({
      backend: elsewhere(inner, {
        onAnnouncement: async (_kind, listener) => {
          announce = listener;
          return () => undefined;
        },
        readExecutionInfo: async (args) => {
          const info = await inner.readExecutionInfo(args);
          const delayMs = slowMs;
          slowMs = 0;
          await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
          return info;
        },
      }),
      clock,
      closeBackend: false,
    });
    const there = app({ backend: inner, closeBackend: false });
    const task = there.task('t', () => 7);
    const { id } = await task.run();
    const result = a.get(id).result();
    await clock.advance(100);
    // Replayed after the end that this tells.
    announce?.({ kind: 'ended', partition: partitionOfExecution(id), executionIds: [id] });
    await there.worker();
    await task.get(id).result();
    // The read that the announcement brought has answered, that it has not ended; a poll waits for it.
    await clock.advance(30_010);
    expect(await Promise.race([result, 'still waiting'])).toBe(7);
    await there.close();
  });

  it('is found when it was announced before the subscription was confirmed', async () => {
    const inner = memory();
    let standing = (): void => undefined;
    const late = new Promise<void>((resolve) => (standing = resolve));
    a = app({
      backend: elsewhere(inner, {
        onAnnouncement: async (...args) => {
          await late;
          return inner.onAnnouncement(...args);
        },
      }),
      clock: new VirtualClock(0),
      closeBackend: false,
    });
    const there = app({ backend: inner, closeBackend: false });
    const task = there.task('t', () => 7);
    const { id } = await task.run();
    const result = a.get(id).result();
    await there.worker();
    await task.get(id).result();
    standing();
    expect(await result).toBe(7);
    await there.close();
  });
});

describe('waiting while the store is away', () => {
  function withOutage() {
    const inner = memory();
    const state = { away: false };
    const guard =
      <Args extends unknown[], Answer>(read: (...args: Args) => Promise<Answer>) =>
      async (...args: Args): Promise<Answer> => {
        if (state.away) throw new EngineError('call_timeout', 'server:1 did not answer in time.');
        return read(...args);
      };
    const backend = elsewhere(inner, {
      readExecutionState: guard(inner.readExecutionState),
      readLog: guard(inner.readLog),
    });
    const clock = new VirtualClock(0);
    const { log, lines } = collectingLog();
    a = app({ backend, clock, log });
    return { state, clock, lines };
  }

  it.each([1, 40])(
    'is logged once, however many callers wait (%i), and is the cause of their timeouts',
    async (many) => {
      const { state, clock, lines } = withOutage();
      const runs = await a.task('t', () => 1).runMany(Array.from({ length: many }, () => undefined));
      state.away = true;
      const errors = Promise.all(runs.map((run) => rejectionOf(run.result({ timeout: '1m' }))));
      await clock.advance(60_000);
      for (const error of await errors) {
        expect(error).toBeInstanceOf(ResultTimeoutError);
        expect(error).toMatchObject({ code: 'result_timeout', cause: { code: 'call_timeout' } });
        expect((error as ResultTimeoutError).hint).toContain('when the store is reachable');
      }
      const said = 'The store is unreachable; waiting for results continues.';
      expect(lines.filter((line) => line.includes(said))).toHaveLength(1);
      // Nobody waits any more, and whether the store is back is not known.
      expect(lines.filter((line) => !line.includes('has not started'))).toHaveLength(1);
    },
  );

  it('ends with the result when the store is back, which is logged too', async () => {
    const { state, clock, lines } = withOutage();
    const task = a.task('t', () => 1);
    const run = await task.run();
    state.away = true;
    const result = run.result({ timeout: '1h' });
    await clock.advance(20_000);
    state.away = false;
    await clock.advance(2_000);
    await a.worker({ tasks: [task] });
    await clock.advance(2_000);
    expect(await result).toBe(1);
    expect(lines.filter((line) => line.includes('The store is'))).toHaveLength(2);
    // A timeout that comes for want of a worker has nothing to do with it.
    const late = rejectionOf(
      a
        .task('u', { lane: 'unserved' }, () => 1)
        .run()
        .result({ timeout: '1s' }),
    );
    await clock.advance(2_000);
    expect(((await late) as Error).cause).toBeUndefined();
    const closing = a.close();
    await clock.advance(60_000);
    await closing;
  });
});

describe('waiting for more runs of a partition than are read one by one', () => {
  const lost = async (): Promise<never> => {
    throw new EngineError('cursor_lost', 'the log has another generation.');
  };
  // As if a log that was made anew had by chance an entry like the one that the reader saw last.
  const stands = async (after: unknown) => ({ events: [], next: after as string, end: after as string, atEnd: true });

  it.each<[string, number, (after: unknown) => ReturnType<Backend['readLog']>]>([
    ['lost its tail', 2_000, lost],
    ['says nothing of what happened', 15_000, stands],
  ])('goes back to their states when the log %s, within %i ms', async (_what, withinMs, answer) => {
    const inner = memory();
    const there = app({ backend: inner, closeBackend: false });
    there.task('t', () => 7);
    const state = { lost: false };
    const backend = elsewhere(inner, {
      readLog: (args) => (state.lost && args.after !== 'now' ? answer(args.after) : inner.readLog(args)),
    });
    const clock = new VirtualClock(0);
    a = app({ backend, clock, closeBackend: false });
    const runs = await a.task<undefined, number>('t').runMany(Array.from({ length: 40 }, () => undefined));
    const results = Promise.all(runs.map((run) => run.result()));
    // By now the log is followed.
    await clock.advance(3_000);
    state.lost = true;
    await there.worker({ slots: 10 });
    for (const run of runs)
      while ((await run.state()) !== 'completed') await new Promise((next) => setTimeout(next, 5));
    await clock.advance(withinMs);
    expect(await Promise.race([results, 'still waiting'])).toEqual(runs.map(() => 7));
    await there.close();
  });

  it('finds their ends in the log without announcements, also when their creations are on the same page', async () => {
    const inner = memory();
    const there = app({ backend: inner, closeBackend: false });
    there.task('t', () => 7);
    const clock = new VirtualClock(0);
    const unannounced = elsewhere(inner, { onAnnouncement: async () => () => undefined });
    a = app({ backend: unannounced, clock, closeBackend: false });
    const runs = await a.task<undefined, number>('t').runMany(Array.from({ length: 40 }, () => undefined));
    const results = Promise.all(runs.map((run) => run.result()));
    // By now the log is followed.
    await clock.advance(3_000);
    await there.worker({ slots: 10 });
    for (const run of runs)
      while ((await run.state()) !== 'completed') await new Promise((next) => setTimeout(next, 5));
    // The longest rest between two polls.
    await clock.advance(1_000);
    expect(await Promise.race([results, 'still waiting'])).toEqual(runs.map(() => 7));
    await there.close();
  });
});

describe('a run that is replayed', () => {
  /** An app with so many awaited runs that it follows the log, and polls it every second. */
  async function following(inner: Backend, changed: Partial<Backend> = {}) {
    const clock = new VirtualClock(0);
    a = app({
      backend: elsewhere(inner, { onAnnouncement: async () => () => undefined, ...changed }),
      clock,
      closeBackend: false,
    });
    const others = await a.task('other').runMany(Array.from({ length: 17 }, () => undefined));
    for (const other of others) other.result().catch(() => undefined);
    await clock.advance(5_000);
    return clock;
  }

  it.each<[string, (isFirst: boolean) => unknown]>([
    ['failed', (isFirst) => (isFirst ? Promise.reject(new NonRetryableError('old')) : 'new')],
    ['completed without a value', (isFirst) => (isFirst ? undefined : 'new')],
  ])('gives its new end where the log still tells that it %s', async (_what, handler) => {
    const inner = memory();
    const there = app({ backend: inner, closeBackend: false });
    const second = deferred();
    let runs = 0;
    const task = there.task('t', async () => {
      if (++runs > 1) await second.promise;
      return handler(runs === 1);
    });
    const clock = await following(inner);
    await there.worker({ tasks: [task] });
    const run = await task.run();
    await run.result().catch(() => undefined);
    await run.replay();
    const result = a.get(run.id).result();
    await clock.advance(3_000);
    second.resolve();
    await task.get(run.id).result();
    await clock.advance(3_000);
    expect(await Promise.race([result, 'still waiting'])).toBe('new');
    await there.close();
  });

  it('gives its new end to a wait that begins after the replay, although an older read of the result is under way', async () => {
    const inner = memory();
    const clock = new VirtualClock(0);
    const changed = readingResults(inner, async (bytes) => {
      if (bytes !== undefined) await new Promise<void>((resolve) => void clock.after(5_000, resolve));
      return bytes;
    });
    a = app({ backend: elsewhere(inner, changed), clock, closeBackend: false });
    const there = app({ backend: inner, closeBackend: false });
    const second = deferred();
    let runs = 0;
    const task = there.task('t', async () => {
      if (++runs === 1) return 'old';
      await second.promise;
      return 'new';
    });
    await there.worker();
    const run = await task.run();
    await run.result();
    const before = a.get(run.id).result();
    await clock.advance(1_000);
    await run.replay();
    const behind = a.get(run.id).result();
    await clock.advance(5_000);
    expect(await Promise.race([before, 'still waiting'])).toBe('old');
    second.resolve();
    await task.get(run.id).result();
    await clock.advance(10_000);
    expect(await Promise.race([behind, 'still waiting'])).toBe('new');
    await there.close();
  });
});

describe('one signal for many waits', () => {
  it('ends them all without a warning', async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error): number => warnings.push(warning);
    process.on('warning', listener);
    a = memoryApp();
    const runs = await a.task('t', () => 1).runMany(Array.from({ length: 30 }, () => undefined));
    const controller = new AbortController();
    const waits = Promise.all(
      runs.map((run, index) =>
        rejectionOf(
          run.result(index % 2 === 0 ? { signal: controller.signal } : { signal: controller.signal, timeout: '1m' }),
        ),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort('enough');
    expect(new Set(await waits)).toEqual(new Set(['enough']));
    expect(
      new Set(await Promise.all(runs.map((run) => rejectionOf(run.result({ signal: controller.signal }))))),
    ).toEqual(new Set(['enough']));
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('warning', listener);
    expect(warnings).toEqual([]);
  });
});

describe('the name of the task in the error of a run that is only known by its id', () => {
  it.each(['timeout', 'signal'])('is not awaited beyond the %s', async (limit) => {
    const inner = memory();
    const id = await completedElsewhere(inner, () => {
      throw new NonRetryableError('declined');
    });
    const clock = new VirtualClock(0);
    // The first is the look that finds the end.
    let reads = 0;
    const readExecutionInfo: Backend['readExecutionInfo'] = (args) =>
      ++reads === 1 ? inner.readExecutionInfo(args) : new Promise(() => undefined);
    a = app({ backend: elsewhere(inner, { readExecutionInfo }), clock, closeBackend: false });
    const controller = new AbortController();
    const options = limit === 'timeout' ? { timeout: '1s' as const } : { signal: controller.signal };
    const error = rejectionOf(a.get(id).result(options));
    await clock.advance(999);
    expect(await Promise.race([error, 'still waiting'])).toBe('still waiting');
    controller.abort('enough');
    await clock.advance(1);
    // What happened is told all the same.
    expect(await Promise.race([error, 'still waiting'])).toMatchObject({ code: 'run_failed', reason: 'declined' });
    expect(((await error) as { task?: string }).task).toBeUndefined();
  });
});

describe('a timeout', () => {
  it('does not discard a result that arrived while the process was blocked', async () => {
    const inner = memory();
    const id = await completedElsewhere(inner, () => 'here');
    const folder = await mkdtemp(join(tmpdir(), 'results-'));
    const asked = join(folder, 'asked');
    // An answer that comes through the poll of the event loop, as one from a socket does, while the process stands still.
    const changed = readingResults(inner, async (bytes) => {
      setImmediate(() => {
        const until = performance.now() + 60;
        while (performance.now() < until || !existsSync(asked));
        block(20);
      });
      await mkdir(asked);
      return bytes;
    });
    a = app({ backend: elsewhere(inner, changed), closeBackend: false });
    // Found first: on a busy machine that alone can take longer than the timeout.
    const run = await a.task('t').get(id);
    await expect(run.result({ timeout: 30 })).resolves.toBe('here');
    await rm(folder, { recursive: true });
  });
});
