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

  it('keeps the last message where newer progress without one takes its place', async () => {
    const clock = new ManualClock();
    const sent: (string | undefined)[] = [];
    const faults = [false, true];
    const said = { late: () => {} };
    const progress = new Progress(clock, async ({ progressMessage }) => {
      sent.push(progressMessage);
      if (faults.shift() !== true) return true;
      await new Promise<void>((resolve) => (said.late = resolve));
      return false;
    });
    const say = (progressMessage?: string) => progress.say({ progressPct: 1, progressMessage });
    await say('first');
    await say('second');
    await say();
    await say('');
    await clock.pass(1_000); // this call meets a fault
    await say();
    said.late();
    await clock.pass(0);
    await clock.pass(1_000);
    expect(sent).toEqual(['first', 'second', 'second']);
    await say('third');
    await say();
    expect(progress.take()).toMatchObject({ progressMessage: 'third' });
  });
});
