/** Handlers that never settle: they lose their slots, and beyond as many as there are slots the worker rests. */
import { afterEach, describe, expect, it } from 'vitest';
import { child, type TaskContext } from '../../src/index.js';
import { deferred, rejectionOf } from '../app/support.js';
import { harness, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

describe('a handler that never settles', () => {
  it('keeps its slot for the grace, and not longer', async () => {
    h = harness();
    const hung = h.a.task('hung', { lane: 'l', timeout: { attempt: '10s' } }, () => new Promise(() => undefined));
    const sane = h.a.task('sane', { lane: 'l' }, () => 'sane');
    const worker = await h.worker({ slots: 1, abortGrace: '20s' });
    const stuck: unknown[] = [];
    const finished: unknown[] = [];
    worker.on('handlerStuck', (event) => stuck.push(event));
    worker.on('finished', ({ outcome, executionId }) => finished.push([executionId, outcome]));
    const run = await hung.run();
    await h.pass(10);
    const next = await sane.run();
    await h.pass(29_900);
    expect([stuck, worker.stats().running, await next.state()]).toEqual([[], 1, 'waiting']);
    await h.pass(200);
    expect(await next.state()).toBe('completed');
    expect(stuck).toEqual([{ executionId: run.id, task: 'hung', reason: 'attempt_timeout', stuck: 1, claiming: true }]);
    expect(finished).toEqual([
      [run.id, 'timed_out'],
      [next.id, 'completed'],
    ]);
    expect(worker.stats()).toMatchObject({ running: 0, stuck: 1, timedOut: 1, completed: 1, claiming: 'idle' });
    expect(h.said.filter(([level, text]) => level === 'error' && text.includes('it loses its slot'))).toHaveLength(1);
  });

  it('is reported when it settles after all, and its result is dropped', async () => {
    h = harness();
    const go = deferred<string>();
    const hung = h.a.task('hung', { timeout: { attempt: '10s' } }, () => go.promise);
    const worker = await h.worker({ slots: 1, abortGrace: 1_000 });
    const run = await hung.run();
    await h.pass(12_000);
    expect(worker.stats().stuck).toBe(1);
    go.resolve('too late');
    await h.pass(10);
    expect(worker.stats()).toMatchObject({ stuck: 0, completed: 0, timedOut: 1 });
    expect(h.said.filter(([, text]) => text.endsWith('settled after 1000 ms more.'))).toHaveLength(1);
    expect(await run.state()).toBe('expired');
  });

  it('is told why it lost its run by everything that it asks for later', async () => {
    h = harness();
    const go = deferred();
    const told: unknown[] = [];
    const part = h.a.task('part', () => 1);
    const hung = h.a.task('hung', { timeout: { attempt: '10s' } }, async (t: TaskContext<void>) => {
      await go.promise;
      const asked = [
        () => t.step('s', () => 1),
        () => t.sleep(1),
        () => t.waitFor('go'),
        () => t.children.all([child(part)]),
        () => t.progress(1),
        () => t.stream.text('x'),
      ];
      for (const ask of asked) told.push(await rejectionOf(ask()));
    });
    const worker = await h.worker({ slots: 1, abortGrace: 1_000 });
    await hung.run();
    await h.pass(12_000);
    expect(worker.stats().stuck).toBe(1);
    go.resolve();
    await h.pass(10);
    expect(told).toMatchObject(Array(6).fill({ code: 'attempt_timeout' }));
    expect(worker.stats().stuck).toBe(0);
  });

  it('is not counted as stuck when it settles within the grace', async () => {
    h = harness();
    const task = h.a.task('t', { timeout: { attempt: '10s' } }, async ({ signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      throw signal.reason;
    });
    const worker = await h.worker();
    await task.run();
    await h.pass(60_000);
    expect(worker.stats()).toMatchObject({ stuck: 0, running: 0 });
    expect(h.said.filter(([level]) => level === 'error')).toEqual([]);
  });

  it('stops its worker from claiming when there are more of them than slots, with a report, until they settle', async () => {
    h = harness();
    const goes: { resolve: () => void }[] = [];
    const hung = h.a.task('hung', { lane: 'l', timeout: { attempt: '5s' } }, () => {
      const go = deferred();
      goes.push({ resolve: () => go.resolve() });
      return go.promise;
    });
    const sane = h.a.task('sane', { lane: 'l' }, ({ input }: TaskContext<number>) => input);
    const worker = await h.worker({ slots: 2, abortGrace: 1_000 });
    const stuck: boolean[] = [];
    worker.on('handlerStuck', ({ claiming }) => stuck.push(claiming));
    await hung.runMany([undefined, undefined, undefined]);
    await h.pass(20_000);
    expect(stuck).toEqual([true, true, false]);
    expect(worker.stats()).toMatchObject({ stuck: 3, running: 0, claiming: 'resting' });
    expect(h.said.filter(([level, text]) => level === 'error' && text.includes('has stopped claiming'))).toHaveLength(
      1,
    );
    const runs = await sane.runMany([1, 2, 3]);
    await h.pass(60_000);
    expect(await runs[0]?.state()).toBe('waiting');
    goes[0]?.resolve();
    await h.pass(100);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 2, 3]);
    expect(worker.stats()).toMatchObject({ stuck: 2, claiming: 'idle' });
    for (const go of goes) go.resolve();
  });

  it('does not delay the end of the worker', async () => {
    h = harness();
    const hung = h.a.task('hung', { timeout: { attempt: '5s' } }, () => new Promise(() => undefined));
    const worker = await h.worker({ abortGrace: 1_000 });
    await hung.run();
    await h.pass(10_000);
    const drained = worker.drain();
    await h.pass(1);
    await drained;
    expect(worker.stats()).toMatchObject({ state: 'closed', stuck: 1 });
  });
});
