/** Inputs that are too long for the answer of a claim are fetched by the worker. */
import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import { app, EngineError, type TaskContext } from '../../src/index.js';
import { deferred } from '../app/support.js';
import { harness, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

const LONG = LIMITS.maxClaimedInputBytes + 1;
const MIB = 1024 * 1024;
const size = ({ input }: TaskContext<Uint8Array>): number => input.byteLength;
const inputs = (count: number, bytes = LONG): Uint8Array[] =>
  Array.from({ length: count }, () => new Uint8Array(bytes));

/** Reads of inputs that take so long each, one behind the other, as on a slow link. */
function slowly(takesMs: number) {
  const state = { reading: 0, most: 0, bytes: 0 };
  let last: Promise<unknown> = Promise.resolve();
  h = harness((inner, clock) => ({
    readExecutionContext: async (args) => {
      state.most = Math.max(state.most, ++state.reading);
      const turn = last.then(() => new Promise<void>((resolve) => void clock.after(takesMs, resolve)));
      last = turn;
      await turn;
      state.reading--;
      return inner.readExecutionContext(args);
    },
  }));
  return state;
}

describe('a long input', () => {
  it.each([
    [LONG - 1, 'comes with its claim', 0],
    [LONG, 'is fetched', 1],
  ])('of %i bytes %s', async (bytes, _, most) => {
    const state = slowly(1);
    const task = h.a.task('t', size);
    await h.worker();
    expect(await h.flow(task.run(new Uint8Array(bytes)).result())).toBe(bytes);
    expect(state.most).toBe(most);
  });

  it('is fetched with few others, and its lane is not claimed from while they are on their way', async () => {
    const state = slowly(100);
    const task = h.a.task('t', size);
    const runs = await task.runMany(inputs(30, 3 * MIB));
    const worker = await h.worker({ slots: 30 });
    expect(await h.flow(Promise.all(runs.map((run) => run.result())))).toEqual(runs.map(() => 3 * MIB));
    expect(state.most).toBe(2);
    expect(worker.stats()).toMatchObject({ completed: 30, released: 0, lost: 0, ahead: 0 });
  });

  it('is fetched with at most 31 others, however short they are', async () => {
    const state = slowly(1);
    const task = h.a.task('t', size);
    const runs = await task.runMany(inputs(80));
    await h.worker({ slots: 80 });
    expect(await h.flow(Promise.all(runs.map((run) => run.result())))).toEqual(runs.map(() => LONG));
    expect(state.most).toBe(32);
  });

  it('whose run ended keeps its place until its read ends, and then a shorter one behind it is fetched', async () => {
    const reads: { executionId: string; end: () => void }[] = [];
    h = harness((inner) => ({
      readExecutionContext: async (args) => {
        await new Promise<void>((end) => reads.push({ ...args, end }));
        return inner.readExecutionContext(args);
      },
    }));
    const task = h.a.task('t', size);
    const all = [await task.run(new Uint8Array(6 * MIB)), await task.run(new Uint8Array(6 * MIB))];
    all.push(await task.run(new Uint8Array(MIB)));
    const worker = await h.worker({ slots: 3 });
    await h.pass(10);
    const [first, , third] = all.map(({ id }) => id);
    expect(reads.map(({ executionId }) => executionId)).toEqual([first]);
    await all[0]?.cancel();
    await h.pass(10);
    expect(reads).toHaveLength(1);
    // The head of the line is not wanted either: what is behind it fits.
    await all[1]?.cancel();
    await h.pass(10);
    expect(reads.map(({ executionId }) => executionId)).toEqual([first, third]);
    reads.forEach(({ end }) => end());
    expect(await h.flow(all[2]?.result() as Promise<number>)).toBe(MIB);
    expect(worker.stats()).toMatchObject({ completed: 1, ahead: 0 });
  });

  it('does not use up the time of its attempt while it is fetched', async () => {
    slowly(3_000);
    const task = h.a.task('t', { timeout: { attempt: '2s' } }, size);
    const slow = h.a.task('slow', { timeout: { attempt: '2s' }, retry: { failures: 0 } }, ({ signal }) => {
      return new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const worker = await h.worker({ slots: 1 });
    expect(await h.flow(task.run(new Uint8Array(LONG)).result())).toBe(LONG);
    const startedAt = h.clock.now();
    await expect(h.flow(slow.run(new Uint8Array(LONG)).result())).rejects.toMatchObject({ code: 'run_expired' });
    // The time of the input, and that of the handler.
    expect(h.clock.now() - startedAt).toBeGreaterThanOrEqual(5_000);
    expect(worker.stats().completed).toBe(1);
  });

  it('that waits too long for its turn is handed back to a nearer worker, and no loss is counted', async () => {
    slowly(4_000);
    const near = app({ backend: h.inner, clock: h.clock, closeBackend: false });
    const task = h.a.task('t', { retry: { crashes: 0 } }, size);
    near.task('t', size);
    const runs = await task.runMany(inputs(6, 8 * MIB));
    const worker = await h.worker({ slots: 6 });
    await h.pass(3_000);
    expect(worker.stats()).toMatchObject({ ahead: 6, running: 0, released: 0 });
    const other = await near.worker({ slots: 1, sweepInterval: '7d', engine: false });
    expect(await h.flow(Promise.all(runs.map((run) => run.result())))).toEqual(runs.map(() => 8 * MIB));
    expect(other.stats().completed).toBeGreaterThan(3);
    expect(worker.stats()).toMatchObject({ lost: 0, ahead: 0 });
    await near.close();
  });

  it('that cannot be fetched is tried again, and handed back after a third of the lease', async () => {
    let fails = true;
    h = harness((inner) => ({
      readExecutionContext: (args) =>
        fails ? Promise.reject(new EngineError('call_timeout', 'late')) : inner.readExecutionContext(args),
    }));
    const task = h.a.task('t', size);
    const run = await task.run(new Uint8Array(LONG));
    const worker = await h.worker();
    await h.pass(3_000);
    expect(worker.stats()).toMatchObject({ claimed: 1, released: 0, ahead: 1 });
    await h.pass(400);
    expect(worker.stats().released).toBeGreaterThan(0);
    fails = false;
    expect(await h.flow(run.result())).toBe(LONG);
    expect(worker.stats()).toMatchObject({ completed: 1, lost: 0 });
  });

  it('that is damaged fails its run', async () => {
    h = harness((inner) => ({
      readExecutionContext: async (args) => ({
        ...(await inner.readExecutionContext(args)),
        inputPayload: new Uint8Array(1),
      }),
    }));
    const task = h.a.task('t', size);
    const run = await task.run(new Uint8Array(LONG));
    await h.worker();
    await expect(h.flow(run.result())).rejects.toMatchObject({ category: 'invalid_input_payload' });
  });

  it('does not delay the cancellation of its run or the drain of its worker', async () => {
    const never = deferred();
    h = harness((inner) => ({
      readExecutionContext: (args) => never.promise.then(() => inner.readExecutionContext(args)),
    }));
    const called: string[] = [];
    const task = h.a.task('t', ({ executionId }) => called.push(executionId));
    const [first, second] = await task.runMany(inputs(2));
    const worker = await h.worker({ slots: 2 });
    await h.pass(10);
    expect(worker.stats()).toMatchObject({ ahead: 2 });
    await first?.cancel();
    await h.pass(10);
    expect(worker.stats()).toMatchObject({ ahead: 1, cancelled: 1 });
    await h.flow(worker.drain());
    expect(worker.stats()).toMatchObject({ ahead: 0, cancelled: 1, released: 1 });
    never.resolve();
    await h.pass(10);
    expect([await second?.state(), called]).toEqual(['waiting', []]);
  });
});
