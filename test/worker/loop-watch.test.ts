/** A worker whose event loop stood still says so, and names the task. */
import { describe, expect, it } from 'vitest';
import { LoopWatch } from '../../src/worker/loop-watch.js';
import { ManualClock } from './manual-clock.js';

const LEASE = 12_000;

function setUp() {
  const clock = new ManualClock();
  const running: string[] = [];
  const said: [number, readonly string[]][] = [];
  const watch = new LoopWatch({
    clock,
    leaseTtlMs: LEASE,
    running: () => running,
    onBlocked: (forMs, tasks) => said.push([forMs, tasks]),
  });
  return { clock, running, said, watch };
}

describe('the watch on the event loop', () => {
  it('is silent about stretches that cost no lease', async () => {
    const { clock, running, said, watch } = setUp();
    running.push('t');
    watch.measure({ name: 't', handler: () => undefined }, undefined);
    for (let stretch = 0; stretch < 20; stretch++) {
      await clock.block(6_900);
      await clock.pass(stretch * 100);
    }
    expect(said).toEqual([]);
  });

  it('tells of every stretch of two thirds of a lease, whenever it begins', async () => {
    for (let phase = 0; phase < 1_000; phase += 90) {
      const { clock, running, said, watch } = setUp();
      running.push('a', 'b', 'a');
      watch.measure({ name: 'a', handler: () => undefined }, undefined);
      await clock.pass(phase);
      await clock.block(8_000);
      expect(said).toHaveLength(1);
      const [[forMs, tasks]] = said as [[number, string[]]];
      expect(forMs).toBeGreaterThanOrEqual(7_000);
      expect(forMs).toBeLessThanOrEqual(8_000);
      expect(tasks).toEqual(['a', 'b']);
    }
  });

  it('knows the task that computed when it was called, also when it has ended by then', async () => {
    const { clock, running, said, watch } = setUp();
    running.push('other');
    watch.measure({ name: 'other', handler: () => undefined }, undefined);
    watch.measure(
      {
        name: 'culprit',
        handler: () => {
          clock.time += 9_000;
        },
      },
      undefined,
    );
    await clock.block(0);
    expect(said).toEqual([[9_000, ['culprit']]]);
  });

  it('names a task that was called long before, and has lost its lease by the time of the report', async () => {
    const { clock, running, said, watch } = setUp();
    running.push('culprit', 'other');
    watch.measure({ name: 'culprit', handler: () => undefined }, undefined);
    await clock.pass(5_000);
    running.shift();
    await clock.block(9_000);
    expect(said.map(([, tasks]) => [...tasks].sort())).toEqual([['culprit', 'other']]);
  });

  it('does not beat when no handler runs', async () => {
    const { clock, running, watch } = setUp();
    running.push('t');
    watch.measure({ name: 't', handler: () => undefined }, undefined);
    await clock.pass(5_000);
    expect(clock.pending).toBe(1);
    running.pop();
    await clock.pass(5_000);
    expect(clock.pending).toBe(0);
  });
});
