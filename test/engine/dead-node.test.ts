/** The timer loop while a node with many partitions is away. */
import { expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { memory } from '../../src/memory/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';

const POLL_INTERVAL_MS = 2_000;
/** The longest pause between two looks at a partition where nothing is due, and the time of a slow pass. */
const LONGEST_MS = 2.5 * 1.2 * POLL_INTERVAL_MS + 1_500;

test('partitions of other nodes are looked at as often as before while more calls time out than run at once', async () => {
  const clock = new VirtualClock(1_700_000_000_000);
  await using backend = memory({ partitions: { count: 32 }, now: clock.now });
  const applyDue = backend.applyDue.bind(backend);
  const lookedAt = new Map<string, number>();
  let longestMs = 0;
  backend.applyDue = async (args) => {
    const { partition } = args;
    if (Number(partition.slice('{fp:'.length, -1)) < 12) {
      await new Promise<void>((resolve) => void clock.after(5_000, resolve));
      throw new EngineError('call_timeout', 'No answer in time.');
    }
    longestMs = Math.max(longestMs, clock.now() - (lookedAt.get(partition) ?? clock.now()));
    lookedAt.set(partition, clock.now());
    return applyDue(args);
  };
  const loop = await startTimerLoop(backend, { clock, pollIntervalMs: POLL_INTERVAL_MS });
  await clock.advance(30_000);
  expect(lookedAt.size).toBe(20);
  expect(longestMs).toBeLessThanOrEqual(LONGEST_MS);
  const closed = loop.close();
  await clock.advance(5_000);
  await closed;
});
