/** The life of one execution in a long log: it is found, and what is older or newer is not read. */
import { afterEach, describe, expect, test } from 'vitest';
import { runEvents } from '../../src/app/runs/events.js';
import type { Backend } from '../../src/backend/backend.js';
import { systemClock } from '../../src/engine/clock.js';
import { leaseHistory } from '../../src/engine/log.js';
import { earliestPlace, placeBefore } from '../../src/engine/log-search.js';
import { create, fenceOf, PARTITION, take } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const OTHERS = 1_500;
const HOUR_MS = 3_600_000;
const LIFE = ['execution_created', 'execution_claimed', 'execution_completed'];

let engine: TestEngine | undefined;
afterEach(() => engine?.close());

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  const opened = async (logMaxEntries?: number): Promise<TestEngine> =>
    (engine = await testEngine({
      ...(logMaxEntries === undefined ? {} : { logMaxEntries }),
      backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url },
    }));

  /** Entries of others, spread over so much time. */
  async function others(it: TestEngine, count: number, ms: number): Promise<void> {
    for (let n = 0; n < 10; n++) {
      await Promise.all(Array.from({ length: count / 10 }, () => create(it, { laneId: 'others' })));
      it.setTime(it.now() + ms / 10);
    }
  }
  /** An execution from its creation to its end. */
  async function ended(it: TestEngine): Promise<string> {
    const executionId = await create(it);
    it.setTime(it.now() + 1_000);
    const fence = fenceOf(await take(it));
    it.setTime(it.now() + 1_000);
    await it.backend.completeExecution({ executionId, fence });
    return executionId;
  }

  /** Types of the events of an execution, and how many entries of the log were read for them. */
  async function read(backend: Backend, executionId: string): Promise<{ types: string[]; entries: number }> {
    let entries = 0;
    const counting = new Proxy(backend, {
      get(target, member) {
        const value = Reflect.get(target, member) as unknown;
        if (member !== 'readLog') return typeof value === 'function' ? value.bind(target) : value;
        return async (args: Parameters<Backend['readLog']>[0]) => {
          const page = await target.readLog(args);
          entries += page.events.length;
          return page;
        };
      },
    });
    const types: string[] = [];
    for await (const { type } of runEvents(counting, systemClock, executionId, new AbortController().signal))
      types.push(type);
    return { types, entries };
  }

  test('the place of a time is before its first entry', async () => {
    const it = await opened();
    const times: number[] = [];
    for (let n = 0; n < 12; n++) {
      times.push(it.now());
      await Promise.all(Array.from({ length: 100 }, () => create(it, { laneId: 'others' })));
      it.setTime(it.now() + 10);
    }
    for (const [index, time] of times.entries())
      for (const [at, entries] of [
        [time, 100 * index],
        [time + 1, 100 * (index + 1)],
      ] as const) {
        const { after, isEarliest } = await placeBefore(it.backend, PARTITION, at);
        expect([Number(after?.split('.')[1] ?? 0), isEarliest]).toEqual([entries, entries === 0]);
        if (after === undefined) continue;
        const page = await it.backend.readLog({ partition: PARTITION, after, limit: 1 });
        expect(page.events[0]?.event.at).toBe(entries === 1_200 ? undefined : times[entries / 100]);
      }
  });

  test('events and lease history of one execution are read from its creation to its end', async () => {
    const it = await opened();
    await others(it, OTHERS, HOUR_MS);
    const executionId = await ended(it);
    await others(it, OTHERS, HOUR_MS);
    const { types, entries } = await read(it.backend, executionId);
    expect(types).toEqual(LIFE);
    // One page, and one entry for each step of the search.
    expect(entries).toBeLessThan(1_020);
    const owners = [];
    for await (const { type } of leaseHistory(it.backend, { executionId })) owners.push(type);
    expect(owners).toEqual(['acquired', 'released']);
  });

  test('of a replayed execution every life is read', async () => {
    const it = await opened();
    await others(it, OTHERS, HOUR_MS);
    const executionId = await ended(it);
    await it.backend.replayExecution({ executionId });
    await it.backend.completeExecution({ executionId, fence: fenceOf(await take(it)) });
    it.setTime(it.now() + 1);
    await it.backend.setExecutionTags({ executionId, tags: { 'a.b': 'c' } });
    expect((await read(it.backend, executionId)).types).toEqual([
      ...LIFE,
      ...['execution_replayed', 'execution_claimed', 'execution_completed'],
    ]);
  });

  test('an execution from before the clock was set back is found', async () => {
    const it = await opened();
    await others(it, OTHERS, HOUR_MS);
    const executionId = await ended(it);
    it.setTime(it.now() - 2 * HOUR_MS);
    await others(it, 2 * OTHERS, 1_000);
    expect((await read(it.backend, executionId)).types).toEqual(LIFE);
    expect(await placeBefore(it.backend, PARTITION, it.now() + 3 * HOUR_MS)).toMatchObject({ isEarliest: false });
  });

  test('of an execution whose events were trimmed, what is kept is read; long after its end, nothing', async () => {
    const it = await opened(1_000);
    const executionId = await create(it);
    await others(it, 3_000, HOUR_MS);
    const fence = fenceOf(await take(it));
    await it.backend.completeExecution({ executionId, fence });
    expect((await earliestPlace(it.backend, PARTITION)).after).toBeDefined();
    expect((await read(it.backend, executionId)).types).toEqual(LIFE.slice(1));
    it.setTime(it.now() + 2 * HOUR_MS);
    await others(it, 3_000, HOUR_MS);
    const { types, entries } = await read(it.backend, executionId);
    expect(types).toEqual([]);
    expect(entries).toBeLessThan(20);
  });

  test('a live execution is followed from its creation', async () => {
    const it = await opened();
    await others(it, OTHERS, HOUR_MS);
    const executionId = await create(it);
    const live = runEvents(it.backend, systemClock, executionId, new AbortController().signal);
    expect((await live.next()).value).toMatchObject({ type: 'execution_created', executionId });
    await it.backend.completeExecution({ executionId, fence: fenceOf(await take(it)) });
    const types = [];
    for await (const { type } of live) types.push(type);
    expect(types).toEqual(LIFE.slice(1));
  });
});
