/** What operators do to runs, in the words of the app, on memory and on a server. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { app, memory, type App, type Backend, type FlowRunActions, type TaskContext } from '../../src/index.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { until } from './support.js';

let a: App;
let store: Backend;
afterEach(() => a?.close());

const start = async (backend: 'memory' | 'valkey'): Promise<void> => {
  const prefix = `operating-${process.pid}-${Math.random()}:`;
  store = backend === 'memory' ? memory() : await valkey({ url: (await sharedValkey()).url, prefix });
  a = app({ backend: store });
};

describe.each(['memory', 'valkey'] as const)('on %s', (backend) => {
  it('a held run does not start, shows who holds it and why, and continues when it is released', async () => {
    await start(backend);
    const started: string[] = [];
    const task = a.task('t', ({ input }: TaskContext<string>) => void started.push(input));
    const [held, other] = await task.runMany(['held', 'other']);
    await held?.hold({ reason: 'why', requestedBy: 'ann' });
    await held?.hold({ requestedBy: 'bob' });
    const info = await held?.info();
    expect(info).toMatchObject({
      state: 'waiting',
      waitsFor: { reason: 'paused_by_operator', detail: 'held by ann: why' },
      hold: { heldBy: 'ann' },
    });
    await a.worker();
    await other?.result();
    expect(started).toEqual(['other']);
    const both = await task.run('both', { hold: true, delay: '1h' });
    expect((await both.info()).waitsFor?.detail).toMatch(/^It is delayed until \S+\. .+ holds it/);
    await held?.release();
    await held?.release();
    await held?.result();
    expect(started).toEqual(['other', 'held']);
    await expect(held?.hold()).rejects.toMatchObject({ code: 'run_state', problem: 'ended' });
  });

  it('a run can be created on hold before any worker takes it; a second creation with its id does not hold it', async () => {
    await start(backend);
    const started: string[] = [];
    const task = a.task('t', ({ input }: TaskContext<string>) => void started.push(input));
    await a.worker();
    const held = await task.run('held', { id: 'h', hold: true });
    const [delayed, free] = await task.runMany(['delayed', 'free'], (input) =>
      input === 'free' ? {} : { hold: true, delay: 1 },
    );
    await free?.result();
    expect(started).toEqual(['free']);
    expect(await held.info()).toMatchObject({ waitsFor: { reason: 'paused_by_operator' } });
    await held.release();
    await delayed?.release();
    expect(await (await task.run('held', { id: 'h', hold: true })).result()).toBeUndefined();
    await delayed?.result();
    await expect(task.run('x', { hold: 'yes' as never })).rejects.toMatchObject({ code: 'invalid_definition' });
  });

  it('a run whose priority is raised starts first', async () => {
    await start(backend);
    const started: number[] = [];
    const task = a.task('t', ({ input }: TaskContext<number>) => void started.push(input));
    const runs = await task.runMany([1, 2, 3]);
    await runs[2]?.setPriority(9);
    await a.worker({ slots: 1, claimAhead: 0 });
    await Promise.all(runs.map((run) => run.result()));
    expect(started).toEqual([3, 1, 2]);
    await expect(runs[0]?.setPriority(1)).rejects.toMatchObject({ problem: 'ended' });
    await expect(runs[0]?.setPriority(0.5)).rejects.toMatchObject({ code: 'invalid_definition' });
  });

  it('a replayed run has the result of its new run', async () => {
    await start(backend);
    let mended = false;
    const task = a.task('t', ({ input }: TaskContext<string>) => {
      if (!mended) throw new Error('no');
      return input;
    });
    await a.worker();
    const run = task.run('x', { id: 'own' });
    await expect(run.result()).rejects.toMatchObject({ code: 'run_failed' });
    mended = true;
    expect(await run.replay({ reason: 'mended' })).toBe(1);
    expect(await run.result()).toBe('x');
    expect(await task.get({ id: 'own' }).info()).toMatchObject({ replays: 1, failure: undefined, result: 'x' });
    await run.setTags({ 'team.name': 'core' });
    expect((await run.info()).tags).toEqual({ 'team.name': 'core' });
    await expect(run.setTags({ 'team.name': 5 as never })).rejects.toMatchObject({ code: 'invalid_definition' });
    for (let n = 2; n <= 10; n++) {
      expect(await run.replay()).toBe(n);
      await run.result();
    }
    await expect(run.replay()).rejects.toMatchObject({ code: 'run_state', problem: 'replayed_too_often' });
  });

  it('a call that the state of a run does not allow is refused with that state', async () => {
    await start(backend);
    let go = (): void => undefined;
    const gone = new Promise<void>((resolve) => (go = resolve));
    let running = (): void => undefined;
    const begun = new Promise<void>((resolve) => (running = resolve));
    const task = a.task('t', async () => {
      running();
      await gone;
    });
    const run = await task.run(undefined);
    await a.worker();
    await begun;
    await expect(run.replay()).rejects.toMatchObject({ name: 'RunStateError', problem: 'not_ended' });
    await expect(run.setPriority(5)).rejects.toMatchObject({ problem: 'running' });
    go();
    await run.result();
    const nobody = a.get('{fp:0}:00000000-0000-4000-a000-000000000000');
    await expect(nobody.hold()).rejects.toMatchObject({ code: 'run_not_found' });
    await expect(nobody.replay()).rejects.toMatchObject({ code: 'run_not_found' });
  });

  it('a run that waits in its handler is not reported as running', async () => {
    await start(backend);
    const task = a.task('t', ({ waitFor }: TaskContext<void>) => waitFor('go'));
    await a.worker();
    const run = await task.run();
    await until(async () => (await run.state()) === 'suspended');
    await expect(run.setPriority(5)).rejects.toMatchObject({
      problem: 'suspended',
      message: expect.stringContaining('is suspended'),
    });
  });

  it('the replay of a member is refused as retryable while its flow is being created', async () => {
    await start(backend);
    const [flowId, member] = [`{fp:0}:${randomUUID()}`, `{fp:0}:${randomUUID()}`];
    const graph = { members: [{ executionId: member, laneId: 't', executionKind: 't' }] };
    await store.createFlow({ flowId, flowKind: 'f', namespace: 'n', building: true, graph });
    await a.get(member).cancel();
    const refused = a.get(member).replay();
    await expect(refused).rejects.toMatchObject({ problem: 'flow_unsettled', retryable: true });
    await store.sealFlow({ flowId });
    expect(await a.get(member).replay()).toBe(1);
  });

  it('the replay of a skipped member is refused with a hint for its upstream, and so is one in a cancelled flow', async () => {
    await start(backend);
    const first = a.task('first', (): string => {
      throw new Error('no');
    });
    const second = a.task('second', ({ input }: TaskContext<string>) => input);
    const chain = a.flow('chain', (f) => f.run(second, f.run(first)));
    await a.worker();
    const secondOf = async (run: FlowRunActions<unknown>) => {
      for await (const { id, task } of run.children) if (task === 'second') return a.get(id);
      throw new Error('no such member');
    };
    const run = chain.run();
    await run.result().catch(() => undefined);
    const refused = (await secondOf(run)).replay();
    await expect(refused).rejects.toMatchObject({ code: 'run_state', problem: 'dependencies_failed' });
    await expect(refused).rejects.toMatchObject({ hint: expect.not.stringContaining('run.replay()') });

    await a.lane('first').pause();
    const other = await chain.run();
    await other.cancel({ wait: true });
    const cancelled = (await secondOf(other)).replay();
    await expect(cancelled).rejects.toMatchObject({ code: 'run_state', problem: 'flow_cancelled' });
  });
});
