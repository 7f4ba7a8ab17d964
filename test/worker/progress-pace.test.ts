/** When the progress of a run is sent, to the millisecond. */
import { describe, expect, it } from 'vitest';
import { Progress } from '../../src/worker/handler/progress.js';
import { ManualClock } from './manual-clock.js';

describe('the progress of a run', () => {
  it('is sent once, a second after the last call, unless the ending takes it', async () => {
    const clock = new ManualClock();
    const sent: [at: number, percent: number][] = [];
    const progress = new Progress(clock, async ({ progressPct }) => sent.push([clock.time, progressPct]) > 0);
    const say = (progressPct: number) => progress.say({ progressPct, progressMessage: undefined });
    await say(1);
    expect(clock.pending).toBe(0);
    await clock.pass(400);
    await say(2);
    await say(3);
    expect(clock.pending).toBe(1);
    await clock.pass(599);
    expect(sent).toEqual([[0, 1]]);
    await clock.pass(1);
    expect(sent).toEqual([
      [0, 1],
      [1_000, 3],
    ]);
    expect([progress.take(), clock.pending]).toEqual([undefined, 0]);
    await clock.pass(999);
    await say(4);
    expect(sent).toHaveLength(2);
    expect(progress.take()).toMatchObject({ progressPct: 4 });
    expect([progress.take(), clock.pending]).toEqual([undefined, 0]);
    await clock.pass(1);
    await say(5);
    expect(sent.slice(2)).toEqual([[2_000, 5]]);
  });
});
