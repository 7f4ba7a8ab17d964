/** Loops with a filter, which passes over the due work of others. */
import { describe, expect, it } from 'vitest';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { runDue } from '../../src/engine/due.js';
import { memory } from '../../src/memory/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import type { Backend } from '../../src/backend/backend.js';

const START = 1_000_000;
let count = 0;

async function create(backend: Backend, facts: object = {}): Promise<string> {
  const executionId = `{fp:0}:01900000-0000-7000-8000-${String(++count).padStart(12, '0')}`;
  await backend.createExecution({
    executionId,
    namespace: 'ours',
    laneId: 'mail',
    executionKind: 'k',
    creatorIdentity: 'test',
    ...facts,
  });
  return executionId;
}

describe('a loop with a filter', () => {
  it('reaches its own work behind a backlog that no loop applies, in bounded calls', async () => {
    const clock = new VirtualClock(START);
    const inner = memory({ now: () => clock.now(), partitions: { count: 1 } });
    const theirs: string[] = [];
    for (let n = 0; n < 60; n++) theirs.push(await create(inner, { namespace: 'theirs', delayUntil: START + 10 }));
    const ours = await create(inner, { delayUntil: START + 20 });
    const limits: unknown[] = [];
    const backend = Object.assign(Object.create(inner) as Backend, {
      applyDue: (args: Parameters<Backend['applyDue']>[0]) => {
        limits.push(args.limit);
        return inner.applyDue(args);
      },
    });
    const loop = await startTimerLoop(backend, { clock, pageSize: 2, filter: { namespace: 'ours' } });
    await clock.advance(1_000);
    expect(loop.applied).toBe(1);
    expect(await inner.readExecutionState({ executionId: ours })).toBe('waiting');
    expect(await inner.readExecutionState({ executionId: theirs[0] as string })).toBe('delayed');
    expect(new Set(limits)).toEqual(new Set([2]));
    // It rests between sweeps: the backlog is due all the time, and no reason to look again at once.
    const calls = limits.length;
    await clock.advance(1_000);
    expect(limits.length - calls).toBeLessThanOrEqual(40);
    // Work that comes while the backlog is in front is found by the poll.
    const late = await create(inner, { delayUntil: clock.now() + 5 });
    await clock.advance(3_000);
    expect(await inner.readExecutionState({ executionId: late })).toBe('waiting');
    await loop.close();
  });

  it('shares a partition with a loop of another filter, and each applies its own work', async () => {
    const clock = new VirtualClock(START);
    const backend = memory({ now: () => clock.now(), partitions: { count: 1 } });
    for (let n = 0; n < 30; n++)
      await create(backend, { delayUntil: START + 1 + n, laneId: n % 2 ? 'a%3Ab' : 'c', tags: { 'x.y': `${n % 3}` } });
    const lane = await startTimerLoop(backend, { clock, pageSize: 3, filter: { lane: 'a:b' } });
    const tag = await startTimerLoop(backend, { clock, pageSize: 3, filter: { lane: 'c', tag: { 'x.y': '0' } } });
    await clock.advance(500);
    expect([lane.applied, tag.applied]).toEqual([15, 5]);
    await Promise.all([lane.close(), tag.close()]);
  });

  it('is validated, in terms of the names of tasks', async () => {
    const backend = memory();
    for (const filter of [{}, { namespace: 'a:b' }, { lane: '' }, { tag: {} }, { tag: { x: 1 } }, { laneId: 'a' }, 'a'])
      await expect(startTimerLoop(backend, { filter } as never)).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(runDue(backend, { filter: { kinds: 'a' } } as never)).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('runDue with a filter', () => {
  it('looks at all due work, a bounded number per call', async () => {
    const time = { now: START };
    const backend = memory({ now: () => time.now, partitions: { count: 1 } });
    for (let n = 0; n < 7; n++) await create(backend, { namespace: 'theirs', delayUntil: START + 1 });
    const ours = await create(backend, { delayUntil: START + 2 });
    time.now += 5;
    expect(await runDue(backend, { limitPerPartition: 2, filter: { namespace: 'ours' } })).toBe(1);
    expect(await backend.readExecutionState({ executionId: ours })).toBe('waiting');
    expect(await runDue(backend, { limitPerPartition: 2, filter: { kind: 'other' } })).toBe(0);
    expect(await runDue(backend)).toBe(7);
  });

  it('applies all that is due also where none of it is of others', async () => {
    const time = { now: START };
    const backend = memory({ now: () => time.now, partitions: { count: 1 } });
    for (let n = 0; n < 5; n++) await create(backend, { delayUntil: START + 1 });
    time.now += 5;
    expect(await runDue(backend, { limitPerPartition: 2, filter: { namespace: 'ours' } })).toBe(5);
  });
});
