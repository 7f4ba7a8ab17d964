import { describe, expect, it } from 'vitest';
import { Sweep, type SweepOptions } from '../../src/claiming/sweep.js';

const names = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${letter}${i}`);

function sweepOf(lanes: number, partitions: number, options: Partial<SweepOptions> = {}): Sweep {
  return new Sweep({
    lanes: names('l', lanes),
    partitions: names('p', partitions),
    intervalMs: 5_000,
    chance: () => 0.5,
    ...options,
  });
}

interface Look {
  readonly at: number;
  readonly place: string;
  readonly reason: string;
}

/** What the sweep looks at from one time to another, by a timer that is never late. */
function run(sweep: Sweep, from: number, to: number): Look[] {
  const looks: Look[] = [];
  for (let now = Math.max(from, sweep.nextAt); now < to; now = sweep.nextAt) {
    sweep.due(now, true, ({ laneId, partition }, reason) =>
      looks.push({ at: now, place: `${laneId} ${partition}`, reason }),
    );
    expect(sweep.nextAt).toBeGreaterThan(now);
  }
  return looks;
}

const placesOf = (looks: readonly Look[], reason: string): Set<string> =>
  new Set(looks.filter((look) => look.reason === reason).map(({ place }) => place));

describe('the safety sweep', () => {
  it.each([
    [1, 1],
    [1, 16],
    [6, 16],
  ])('visits each of %i lanes in %i partitions within its interval, evenly spread', (lanes, partitions) => {
    const sweep = sweepOf(lanes, partitions);
    sweep.start(0);
    run(sweep, 0, 1);
    const looks = run(sweep, 1, 5_001).filter(({ reason }) => reason === 'sweep');
    expect(placesOf(looks, 'sweep').size).toBe(lanes * partitions);
    const perSecond = [0, 1, 2, 3, 4].map((s) => looks.filter(({ at }) => Math.floor(at / 1_000) === s).length);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(Math.ceil((lanes * partitions) / 5) + 5);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(20);
  });

  it.each([
    [100, 16],
    [1_500, 16],
    [1, 50_000],
  ])('makes at most 20 looks a second for %i lanes in %i partitions, and starves none', (lanes, partitions) => {
    const sweep = sweepOf(lanes, partitions);
    sweep.start(0);
    const settledAt = 200_000;
    run(sweep, 0, settledAt);
    const looks = run(sweep, settledAt, settledAt + 100_000);
    expect(placesOf(looks, 'round').size).toBe(0);
    for (let second = 0; second < 100; second++) {
      const from = settledAt + second * 1_000;
      expect(looks.filter(({ at }) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(20);
    }
    // Each place once before any comes again.
    expect(placesOf(looks, 'sweep').size).toBe(Math.min(looks.length, lanes * partitions));
    expect(looks.length).toBeGreaterThan(1_400);
  });

  it('is at most its interval away, with a random part so that workers do not run in step', () => {
    for (const chance of [0, 0.999]) {
      const sweep = sweepOf(1, 1, { chance: () => chance });
      sweep.start(0);
      run(sweep, 0, 1);
      expect(sweep.nextAt).toBeLessThanOrEqual(5_000);
      expect(sweep.nextAt).toBeGreaterThanOrEqual(4_000);
    }
  });

  it('begins with a look at every place, in bursts', () => {
    const sweep = sweepOf(100, 16);
    sweep.start(0);
    const looks = run(sweep, 0, 3_000);
    expect(placesOf(looks, 'round').size).toBe(1_600);
    expect(looks.filter(({ at }) => at === 0).length).toBe(64);
  });

  it('postpones its rounds while there are enough leads, and skips none of their places', () => {
    const sweep = sweepOf(1, 100);
    sweep.start(0);
    let looks = 0;
    const count = (): void => void looks++;
    sweep.due(0, false, count);
    expect(looks).toBe(0);
    expect(sweep.nextAt).toBeGreaterThan(0);
    for (const now of [64, 128, 192]) sweep.due(now, true, count);
    expect(looks).toBeGreaterThanOrEqual(100);
  });

  it('looks at everything once soon after a new subscription, and at a lane that is added', () => {
    const sweep = sweepOf(2, 16);
    sweep.start(0);
    run(sweep, 0, 100);
    sweep.resync(100);
    sweep.resync(100);
    const looks = run(sweep, 100, 1_000).filter(({ reason }) => reason === 'round');
    expect(looks.length).toBe(32);
    expect(looks[0]?.at).toBe(225);
    sweep.add('new', 1_000);
    expect(run(sweep, 1_000, 1_500).filter(({ place }) => place.startsWith('new')).length).toBeGreaterThanOrEqual(16);
  });

  it('does nothing without lanes', () => {
    const sweep = sweepOf(0, 16);
    sweep.start(0);
    expect(run(sweep, 0, 20_000)).toEqual([]);
    sweep.add('first', 20_000);
    expect(placesOf(run(sweep, 20_000, 26_000), 'sweep').size).toBe(16);
  });
});
