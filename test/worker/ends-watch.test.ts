/** Handlers that run for a while hear of ends elsewhere: each is looked at once, and partitions are asked again in time. */
import { expect, it, vi } from 'vitest';
import type { Announcement, Backend } from '../../src/backend/backend.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { Bag } from '../../src/util/bag.js';
import type { Attempt } from '../../src/worker/attempt/attempt.js';
import { EndsWatch } from '../../src/worker/lease/ends-watch.js';

it('watches a handler from a quarter of a second on, and wakes up only to ask again', async () => {
  const clock = new VirtualClock(0);
  const running = new Bag<Attempt>();
  let tell: (announcement: Announcement) => void = () => undefined;
  const watchEnds = vi.fn(async () => undefined);
  const onAnnouncement = async (_: string, listener: typeof tell): Promise<() => void> => {
    tell = listener;
    return () => undefined;
  };
  const doubted: [at: number, name: string][] = [];
  const watch = new EndsWatch({
    backend: { watchEnds, onAnnouncement } as unknown as Backend,
    clock,
    running,
    attemptsOf: () => [],
    onDoubt: (attempts) => doubted.push(...attempts.map((it): [number, string] => [clock.now(), it.executionId])),
  });
  const start = (executionId: string): void => {
    running.add({ executionId, partition: '{fp:0}', startedAt: clock.now(), place: -1 } as unknown as Attempt);
    watch.started();
  };
  start('one');
  await clock.advance(5_100);
  start('two');
  await clock.advance(100);
  start('three');
  await clock.advance(500);
  expect(doubted).toEqual([
    [250, 'one'],
    [5_350, 'two'],
    [5_450, 'three'],
  ]);
  const [asked, timers] = [watchEnds.mock.calls.length, clock.activity];
  await clock.advance(3_600_000);
  expect(watchEnds.mock.calls.length - asked).toBe(360);
  expect(clock.activity - timers).toBeLessThan(1_000);
  // A store that forgot who asked is asked soon.
  tell({ kind: 'resync' });
  const before = watchEnds.mock.calls.length;
  await clock.advance(250);
  expect(watchEnds.mock.calls.length).toBe(before + 1);
  watch.close();
});
