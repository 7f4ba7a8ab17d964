/** A replay of a failed member brings back what was skipped because of it. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  EngineError,
  app,
  child,
  memory,
  NonRetryableError,
  valkey,
  type App,
  type TaskContext,
} from '../../../src/index.js';
import { sharedValkey } from '../../support/valkey/index.js';
import { until } from '../support.js';

let a: App;
afterEach(() => a?.close());

describe.each(['memory', 'valkey'] as const)('on %s, a replay brings back skipped members', (name) => {
  const backend = async () =>
    name === 'memory' ? memory() : valkey({ url: (await sharedValkey()).url, prefix: `replays-${Math.random()}` });

  /** A flow in which two nodes fail, and a chain of nodes depends on both. */
  async function setUp() {
    a = app({ backend: await backend() });
    const broken = new Set(['left', 'right']);
    const gate = { opens: Promise.resolve() };
    const source = a.task('source', async ({ input }: TaskContext<string>) => {
      await gate.opens;
      if (broken.has(input)) throw new NonRetryableError(`${input} is broken`, { category: 'broken' });
      return input;
    });
    const join = a.task('join', ({ input }: TaskContext<readonly string[]>) => input.join(' and '));
    const shout = a.task('shout', ({ input }: TaskContext<string>) => `${input}!`);
    const flow = a.flow('chain', (f) =>
      f.run(shout, f.run(shout, f.run(join, [f.run(source, 'left'), f.run(source, 'right')]))),
    );
    await a.worker();
    const run = await flow.run();
    await run.result().catch(() => undefined);
    await until(async () => (await run.state()) === 'failed');
    expect((await run.info()).members).toMatchObject({ failed: 2, skipped: 3 });
    const failed: string[] = [];
    for await (const { id, state } of run.children) if (state === 'failed') failed.push(id);
    return { run, broken, gate, failed: failed as [string, string] };
  }

  test('once no other failure blocks them', async () => {
    const { run, broken, failed } = await setUp();
    broken.clear();
    await a.get(failed[0]).replay();
    await until(async () => (await run.info()).members.completed === 1);
    expect((await run.info()).members).toMatchObject({ failed: 1, skipped: 3 });
    await a.get(failed[1]).replay({ reason: 'mended' });
    await until(async () => (await run.state()) === 'completed');
    expect((await run.info()).members).toEqual({ completed: 5 });
    expect(await run.result()).toBe('left and right!!');
  });

  test('also when it is one of several replays of dead letters', async () => {
    const { run, broken } = await setUp();
    broken.clear();
    expect(await a.deadLetters.replay({ failure: 'broken' })).toMatchObject({
      ...{ matched: 2, replayed: 2, broughtBack: 3, failed: 0 },
    });
    await until(async () => (await run.state()) === 'completed');
    expect(await run.result()).toBe('left and right!!');
  });

  test('also when the whole flow is replayed, which replays what made it fail', async () => {
    const { run, broken } = await setUp();
    broken.clear();
    expect(await run.replay({ dryRun: true })).toMatchObject({ matched: 2, replayed: 0, categories: { broken: 2 } });
    expect(await run.replay({ reason: 'mended' })).toMatchObject({
      ...{ matched: 2, replayed: 2, broughtBack: 3, failed: 0, complete: true },
    });
    await until(async () => (await run.state()) === 'completed');
    expect(await run.result()).toBe('left and right!!');
    expect(await run.replay()).toMatchObject({ matched: 0, complete: true });
  });

  test('of a whole flow with children before their parent, and with what a failed quorum had cancelled', async () => {
    a = app({ backend: await backend() });
    const broken = { is: true };
    const work = a.task('work', async ({ input, sleep }: TaskContext<string>) => {
      if (broken.is && input.startsWith('slow')) await sleep('1h');
      if (broken.is) throw new NonRetryableError('broken');
      return input;
    });
    const parent = a.task('parent', ({ children }: TaskContext) => children.all([child(work, 'of a parent')]));
    const join = a.task('join', ({ input }: TaskContext<readonly string[]>) => [...input].sort().join(', '));
    const flow = a.flow('mixed', (f) => [
      f.run(parent, undefined),
      f.run(
        join,
        f.quorum(
          2,
          ['1', '2', 'slow 3'].map((name) => f.run(work, name)),
        ),
      ),
    ]);
    await a.worker();
    const run = await flow.run();
    await until(async () => (await run.state()) === 'failed');
    expect((await run.info()).members).toEqual({ failed: 4, cancelled: 1, skipped: 1 });
    broken.is = false;
    expect(await run.replay()).toMatchObject({ matched: 5, replayed: 5, broughtBack: 1, failed: 0 });
    expect(await run.result()).toEqual([['of a parent'], expect.stringMatching(/^[^,]+, [^,]+$/)]);
    await until(async () => (await run.state()) === 'completed');
  });

  test('of a whole flow not when it was cancelled', async () => {
    const { run } = await setUp();
    const flow = a.flow('waits', (f) => f.run(a.task('never'), undefined));
    const waiting = await flow.run();
    await waiting.cancel();
    await expect(waiting.replay()).rejects.toMatchObject({ code: 'run_state', problem: 'flow_cancelled' });
    await expect(run.replay({ dryRum: true } as object)).rejects.toThrow('there is no option "dryRum"');
  });

  test('also when the call is repeated after it failed halfway', async () => {
    const { run, broken, gate, failed } = await setUp();
    broken.clear();
    let open = (): void => undefined;
    gate.opens = new Promise((resolve) => (open = resolve));
    await a.get(failed[0]).replay();
    const backend = await a.backend();
    const listEdges = vi.spyOn(backend, 'listEdges').mockRejectedValue(new EngineError('corruption', 'damaged.'));
    await expect(a.get(failed[1]).replay()).rejects.toMatchObject({
      ...{ code: 'replay_incomplete', executionId: failed[1], members: [failed[1]], retryable: false },
      message: expect.stringContaining('damaged.') as string,
    });
    listEdges.mockRestore();
    expect((await run.info()).members).toMatchObject({ skipped: 3 });
    expect(await a.get(failed[1]).replay()).toBe(1);
    expect((await run.info()).members).toMatchObject({ waiting_children: 3 });
    open();
    await until(async () => (await run.state()) === 'completed');
    expect(await run.result()).toBe('left and right!!');
  });

  test('with the results of members that completed after they were skipped', async () => {
    a = app({ backend: await backend() });
    let broken = true;
    let open = (): void => undefined;
    const opens = new Promise<void>((resolve) => (open = resolve));
    const source = a.task('source', async ({ input }: TaskContext<string>) => {
      if (input === 'slow') await opens;
      if (broken && input !== 'slow') throw new NonRetryableError(`${input} is broken`);
      return input;
    });
    const join = a.task('join', ({ input }: TaskContext<readonly string[]>) => input.join(' and '));
    const flow = a.flow('late', (f) => {
      const [slow, one, two] = [f.run(source, 'slow'), f.run(source, 'one'), f.run(source, 'two')];
      return [f.run(join, [slow, one]), f.run(join, f.quorum(2, [one, slow, two], { onSatisfied: 'let_run' }))];
    });
    await a.worker({ slots: 3 });
    const run = await flow.run();
    await until(async () => (await run.info()).members.skipped === 2);
    open();
    await until(async () => (await run.state()) === 'failed');
    broken = false;
    for await (const { id, state } of run.children) if (state === 'failed') await a.get(id).replay();
    expect(await run.result()).toEqual(['slow and one', expect.stringMatching(/^one and slow$|^slow and two$/)]);
  });

  test('and they are skipped again if it fails again', async () => {
    const { run, broken, failed } = await setUp();
    broken.delete('right');
    for (const id of failed) await a.get(id).replay();
    await until(async () => (await run.state()) === 'failed');
    expect((await run.info()).members).toEqual({ completed: 1, failed: 1, skipped: 3 });
  });
});
