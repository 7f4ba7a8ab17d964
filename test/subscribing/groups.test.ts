/** Durable groups: they go on where they were, hold the logs back, and come to rest. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { BoundedLog } from '../../src/memory/bounded-log.js';
import { answered, feedsOn, take } from './support.js';

const sequences = (deliveries: readonly { sequence: number }[]): number[] => deliveries.map(({ sequence }) => sequence);
const types = ['execution_created'] as const;

describe.each(['memory', 'valkey'] as const)('a group on %s', (label) => {
  const single = { partitions: { count: 1 } };

  it('gets the events in hand at its death again, and none that it had finished', async () => {
    const { feeds, create } = await feedsOn(label);
    const first = await feeds.events({ group: 'billing' });
    for (let i = 0; i < 6; i++) await create(i % 3);
    const done = await take(first, 3);
    await first.close();
    const second = await feeds.events({ group: 'billing', from: 'earliest' });
    const rest = await take(second, 4);
    const idsOf = (deliveries: typeof rest) => deliveries.map(({ partition, sequence }) => `${partition}:${sequence}`);
    expect(idsOf([...done.slice(0, 2), ...rest]).sort()).toEqual(expect.arrayContaining(idsOf(done)));
    expect(new Set(idsOf([...done.slice(0, 2), ...rest])).size).toBe(6);
    await second.commit();
    await second.close();
    const third = await feeds.events({ group: 'billing' });
    await create(1);
    expect((await take(third, 1)).map(({ event }) => event.type)).toEqual(['execution_created']);
    await third.close();
    // Another group knows nothing of it.
    const other = await feeds.events({ group: 'search', from: 'earliest' });
    expect(await take(other, 7)).toHaveLength(7);
    await other.close();
  });

  it('holds the log back while it has no consumer, up to ten times the usual length', async () => {
    const { feeds, create, engine } = await feedsOn(label, { ...single, logMaxEntries: 60 });
    await (await feeds.events({ group: 'slow' })).close();
    for (let i = 0; i < 400; i++) await create();
    const back = await feeds.events({ group: 'slow', types });
    const all = await take(back, 400);
    expect(all).toHaveLength(400);
    // Once it is done with them, they can go.
    await back.commit();
    for (let i = 0; i < 5; i++) await create();
    const [oldest] = await take(await feeds.events({ from: 'earliest', types }), 1);
    expect(oldest?.sequence).toBeGreaterThan(200);
    await back.close();
    for (let i = 0; i < 1_000; i++) await create();
    const tooLate = await feeds.events({ group: 'slow', types });
    await expect(take(tooLate, 1)).rejects.toMatchObject({ code: 'cursor_too_old' });
    // What is left of it is forgotten, and it begins where the log does.
    await feeds.forget('slow');
    expect(await engine.backend.listReaders({ partition: '{fp:0}' })).toEqual([]);
    const anew = await feeds.events({ group: 'slow', types, from: 'earliest' });
    expect(await take(anew, 50)).toHaveLength(50);
    await anew.close();
  });

  it('whose position was lost with a tail of the log learns where it can continue', async () => {
    let isLost = false;
    const { feeds, create, clock } = await feedsOn(label, { partitions: { count: 2 } }, (inner) => ({
      commitReader: async (args) => {
        // A failover lost the entry that the group was done with: what was read of the other logs stays.
        if (isLost && args.partition === '{fp:1}') throw new EngineError('cursor_lost', 'It is behind the end.');
        return inner.commitReader(args);
      },
    }));
    const group = await feeds.events({ group: 'billing', from: 'earliest', types });
    await create(1);
    await create(0);
    const read = await take(group, 2);
    for (let i = 0; i < 3; i++) await create(0);
    // Of a page of three one is delivered: the others are read and wait.
    read.push(...(await take(group, 1)));
    isLost = true;
    await clock.advance(1_000);
    let refusal: EngineError | undefined;
    // The commit is under way: what waits can be delivered before it is refused.
    while (refusal === undefined) {
      await take(group, 1).then(
        (more) => read.push(...more),
        (error: EngineError) => (refusal = error),
      );
      expect(read.length, 'it was not told').toBeLessThanOrEqual(5);
    }
    expect(refusal).toMatchObject({ code: 'cursor_lost', detail: { partition: '{fp:1}' } });
    await feeds.forget('billing');
    isLost = false;
    const anew = await feeds.events({ group: 'billing', from: refusal.detail['earliest'], types });
    // What is left, and that of the lost place again.
    read.push(...(await take(anew, 5 - read.length + 1)));
    const first = read.filter(({ partition }) => partition === 0);
    expect(sequences(first)).toEqual([...new Set(sequences(first))]);
    expect(first).toHaveLength(4);
    await anew.close();
  });

  it('comes to rest: commits cause no further commits', async () => {
    const { feeds, create, clock, calls, engine } = await feedsOn(label, single);
    const subscriptions = await Promise.all(['a', 'b'].map((group) => feeds.events({ group })));
    const waiting = subscriptions.map((subscription) => take(subscription, 3));
    await create();
    await create();
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        await clock.advance(1_000);
        await answered(engine);
      }
    };
    await settle();
    calls.clear();
    await settle();
    expect(calls.get('commitReader')).toBeUndefined();
    await create();
    expect((await Promise.all(waiting)).map((deliveries) => deliveries.length)).toEqual([3, 3]);
    for (const subscription of subscriptions) await subscription.close();
  });

  it('skips events outside its filter, and does not hold the log back for them', async () => {
    const { feeds, create, engine, clock } = await feedsOn(label, single);
    const nothing = await feeds.events({ group: 'rare', types: ['execution_purged'] });
    const waiting = nothing.next();
    const lag = async () => (await engine.backend.listReaders({ partition: '{fp:0}' }))[0]?.lagEntries as number;
    for (let i = 0; i < 1_100; i++) await create();
    const lagLater = async (): Promise<number> => {
      await clock.advance(1_000);
      return lag();
    };
    await expect.poll(lagLater).toBeLessThan(200);
    await nothing.close();
    await waiting;
  });

  it('is refused if the partition has too many readers, and if its filter includes its own commits', async () => {
    const { feeds, engine } = await feedsOn(label, single);
    for (let i = 0; i < LIMITS.maxReaders; i++)
      await engine.backend.commitReader({ partition: '{fp:0}', readerId: `r${i}`, position: '.0.0' });
    await expect(feeds.events({ group: 'one-more' })).rejects.toMatchObject({ code: 'too_many_readers' });
    await expect((async () => feeds.events({ group: 'echo', types: ['reader_committed'] }))()).rejects.toMatchObject({
      code: 'invalid_input',
      detail: { field: 'types' },
    });
    const commits = await feeds.events({ types: ['reader_committed'], from: 'earliest' });
    expect(sequences(await take(commits, 2))).toEqual([1, 2]);
    await expect(commits.commit()).rejects.toMatchObject({ code: 'invalid_input' });
    await commits.close();
  });
});

describe('the commit of a group', () => {
  it('waits for a commit that is under way, and repeats it when it fails', async () => {
    let end = (): void => undefined;
    const isOver = new Promise<void>((resolve) => (end = resolve));
    let faults = 1;
    const { feeds, create, clock, engine } = await feedsOn('memory', { partitions: { count: 1 } }, (inner) => ({
      commitReader: async (args) => {
        if (args.position.startsWith('.')) return inner.commitReader(args);
        await isOver;
        if (faults-- > 0) throw new EngineError('call_timeout', 'No answer.');
        return inner.commitReader(args);
      },
    }));
    const group = await feeds.events({ group: 'billing', types });
    await create();
    await take(group, 1);
    void group.next();
    // The first commit begins, and is not answered.
    await clock.advance(1_000);
    let isCommitted = false;
    const committed = group.commit().then(() => (isCommitted = true));
    await clock.advance(1_000);
    expect(isCommitted).toBe(false);
    end();
    await committed;
    const [place] = await engine.backend.listReaders({ partition: '{fp:0}' });
    // The commit itself is the only later entry.
    expect(place?.lagEntries).toBe(1);
    await group.close();
  });
});

describe('the log in memory', () => {
  const logOf = (maxEntries: number) => {
    const log = new BoundedLog(maxEntries);
    let count = 0;
    return {
      log,
      append: (times: number) => {
        for (let i = 0; i < times; i++)
          log.append({ type: 'execution_promoted', executionId: `${++count}`, at: count });
      },
      kept: () =>
        log.read(0, 1_000).map(({ sequence, event }) => [sequence, (event as { executionId: string }).executionId]),
    };
  };
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => [from + i, String(from + i)]);

  it('keeps its usual number of entries, and more while a reader needs them', () => {
    const { log, append, kept } = logOf(5);
    append(7);
    expect(kept()).toEqual(range(3, 7));
    log.holdBack(6);
    append(4);
    expect(kept()).toEqual(range(7, 11));
    append(3);
    expect(kept()).toEqual(range(7, 14));
    append(100);
    expect(kept()).toEqual(range(65, 114));
    log.holdBack(110);
    expect(kept()).toEqual(range(110, 114));
    append(1);
    expect(kept()).toEqual(range(111, 115));
    log.holdBack(undefined);
    append(3);
    expect(kept()).toEqual(range(114, 118));
  });
});
