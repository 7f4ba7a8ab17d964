import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/engine/clock.js';
import { KnownWork } from '../../src/engine/known-work.js';
import { ClaimMachine, type Ask, type ClaimMachineOptions } from '../../src/worker/claim-machine.js';
import { WorkHints } from '../../src/worker/hints.js';

class ManualClock implements Clock {
  time = 0;
  now = (): number => this.time;
  after = (): (() => void) => () => undefined;
  random = (): number => 1 - Number.EPSILON;
}

function machineOf(options: Partial<ClaimMachineOptions> = {}): { machine: ClaimMachine; clock: ManualClock } {
  const clock = new ManualClock();
  return {
    clock,
    machine: new ClaimMachine({
      slots: 1,
      claimAhead: 0,
      lanes: ['a'],
      partitions: ['p0', 'p1', 'p2'],
      clock,
      ...options,
    }),
  };
}

function finish(machine: ClaimMachine, partition: string, count = 1): void {
  for (let i = 0; i < count; i++) machine.finished(partition);
}

const shape = (ask: Ask | undefined): unknown =>
  ask && [ask.partition, ...ask.lanes.map(({ laneId, count }) => `${laneId}:${count}`)];

describe('hints', () => {
  it('let lanes take turns, and partitions within a lane', () => {
    const hints = new WorkHints(['a', 'b'], ['p0', 'p1']);
    hints.mark('a', 'p0');
    hints.mark('a', 'p1');
    hints.mark('b', 'p1');
    const served = Array.from({ length: 6 }, () => hints.next(() => true)).map(
      (pair) => pair && pair.laneId + pair.partition,
    );
    expect(served).toEqual(['ap0', 'bp1', 'ap1', 'bp1', 'ap0', 'bp1']);
  });

  it('forget only what was known when the claim was sent', () => {
    const hints = new WorkHints(['a'], ['p0']);
    hints.mark('a', 'p0');
    const sent = hints.marks.moment;
    hints.mark('a', 'p0');
    hints.marks.foundShort('a', 'p0', sent);
    expect(hints.size).toBe(1);
    hints.marks.foundShort('a', 'p0', hints.marks.moment);
    expect(hints.size).toBe(0);
    hints.marks.foundShort('a', 'p0', hints.marks.moment);
    expect(hints.size).toBe(0);
  });

  it('are shared: who found nothing spares those who could not find more', () => {
    const known = new KnownWork();
    const of = (...capabilities: string[]): WorkHints => new WorkHints(['a'], ['p0'], known.marksFor(capabilities));
    const [none, x, sameAsX, y, both] = [of(), of('x'), of('x'), of('y'), of('y', 'x')];
    for (const hints of [none, x, y, both]) hints.mark('a', 'p0');
    expect(sameAsX.size).toBe(1);
    x.marks.foundShort('a', 'p0', x.marks.moment);
    expect([none, x, sameAsX, y, both].map(({ size }) => size)).toEqual([0, 0, 0, 1, 1]);
    y.mark('a', 'p0');
    both.marks.foundShort('a', 'p0', y.marks.moment - 1);
    expect([y.size, both.size]).toEqual([1, 0]);
  });

  it('say what the work needs: who could have done it clears it for all others, and nothing else', () => {
    const known = new KnownWork();
    const of = (...capabilities: string[]): WorkHints => new WorkHints(['a'], ['p0'], known.marksFor(capabilities));
    const [xy, xz] = [of('x', 'y'), of('z', 'x')];
    for (const hints of [xy, xz]) hints.mark('a', 'p0', ['x']);
    xy.marks.foundShort('a', 'p0', xy.marks.moment);
    expect([xy.size, xz.size]).toEqual([0, 0]);
    xz.mark('a', 'p0', ['x']);
    xz.mark('a', 'p0', ['x', 'z']);
    xy.marks.foundShort('a', 'p0', xy.marks.moment);
    expect([xy.size, xz.size]).toEqual([0, 1]);
  });

  it('let one look, and more each time that work was found', () => {
    const known = new KnownWork();
    const of = (...capabilities: string[]): WorkHints => new WorkHints(['a'], ['p0'], known.marksFor(capabilities));
    const [x, y, xy] = [of('x'), of('y'), of('x', 'y')];
    for (const hints of [x, xy]) hints.mark('a', 'p0', ['x']);
    const first = x.marks.look('a', 'p0');
    expect([x, xy].map(({ marks }) => marks.isCrowded('a', 'p0'))).toEqual([true, true]);
    for (const hints of [y, xy]) hints.mark('a', 'p0', ['y']);
    expect([x, y, xy].map(({ marks }) => marks.isCrowded('a', 'p0'))).toEqual([true, false, false]);
    x.marks.looked(first);
    x.marks.foundAll('a', 'p0');
    expect([x, y].map(({ marks }) => marks.isRich('a', 'p0'))).toEqual([true, false]);
    x.marks.look('a', 'p0');
    expect(x.marks.isCrowded('a', 'p0')).toBe(false);
    x.marks.look('a', 'p0');
    expect(x.marks.isCrowded('a', 'p0')).toBe(true);
  });

  it('count every pair once and ignore lanes that are not served', () => {
    const hints = new WorkHints(['a', 'b'], ['p0', 'p1', 'p2']);
    hints.mark('other', 'p0');
    expect(hints.size).toBe(0);
    hints.markAll();
    hints.markAll();
    expect(hints.size).toBe(6);
    expect(hints.hasElsewhere('p0')).toBe(true);
    expect(hints.lanesAt('p1')).toEqual(['a', 'b']);
  });
});

describe('the claim machine', () => {
  it('asks for nothing while nothing says that there is work', () => {
    const { machine } = machineOf();
    expect(machine.ask()).toBeUndefined();
    expect(machine.phase).toBe('idle');
  });

  it('asks once per wake, and never twice at the same place at the same time', () => {
    const { machine } = machineOf({ slots: 4 });
    machine.hints.mark('a', 'p1');
    const ask = machine.ask() as Ask;
    expect(shape(ask)).toEqual(['p1', 'a:4']);
    expect(machine.phase).toBe('asking');
    expect(machine.ask()).toBeUndefined();
    machine.answered(ask, [0]);
    expect(machine.ask()).toBeUndefined();
    expect(machine.phase).toBe('idle');
  });

  it('learns nothing of the work of a lane whose claim met a fault, and leaves its partition alone for a while', () => {
    const { machine } = machineOf({ slots: 4 });
    machine.hints.mark('a', 'p1');
    expect(machine.answered(machine.ask() as Ask, [undefined])).toBeGreaterThan(0);
    expect(machine.hints.lanesAt('p1')).toEqual(['a']);
    expect(machine.ask()).toBeUndefined();
    expect(machine.phase).toBe('backing_off');
  });

  it('keeps the hint after a full answer and drops it after a short one', () => {
    const { machine } = machineOf({ slots: 2 });
    machine.hints.mark('a', 'p0');
    machine.answered(machine.ask() as Ask, [2]);
    expect(machine.phase).toBe('full');
    expect(machine.ask()).toBeUndefined();
    finish(machine, 'p0');
    const again = machine.ask() as Ask;
    expect(shape(again)).toEqual(['p0', 'a:1']);
    machine.answered(again, [0]);
    expect(machine.hints.size).toBe(0);
  });

  it('keeps a hint that came while the claim was under way', () => {
    const { machine } = machineOf();
    machine.hints.mark('a', 'p0');
    const ask = machine.ask() as Ask;
    machine.hints.mark('a', 'p0');
    machine.answered(ask, [0]);
    expect(shape(machine.ask())).toEqual(['p0', 'a:1']);
  });

  it('never asks for more than it has room for, whatever order things happen in', () => {
    const { machine } = machineOf({ slots: 3, claimAhead: 2 });
    const held: string[] = [];
    const flights: Ask[] = [];
    let seed = 7;
    const random = (n: number): number => (seed = (seed * 48_271) % 2_147_483_647) % n;
    for (let step = 0; step < 20_000; step++) {
      const what = random(5);
      if (what === 0) machine.hints.mark('a', `p${random(3)}`);
      if (what === 1 || what === 2) {
        const ask = what === 1 ? machine.ask() : machine.askAlong('a', `p${random(3)}`, random(4));
        if (ask !== undefined) flights.push(ask);
      }
      if (what === 3 && flights.length > 0) {
        const [ask] = flights.splice(random(flights.length), 1) as [Ask];
        if (random(4) === 0) machine.failed(ask);
        else {
          const got = ask.lanes.map(({ count }) => random(count + 1));
          for (let n = got.reduce((sum, each) => sum + each, 0); n > 0; n--) held.push(ask.partition);
          machine.answered(ask, got);
        }
      }
      if (what === 4 && held.length > 0) finish(machine, held.splice(random(held.length), 1)[0] as string);
      const asked = flights.reduce((sum, ask) => sum + ask.lanes.reduce((each, { count }) => each + count, 0), 0);
      expect(held.length + asked).toBeLessThanOrEqual(5);
    }
  });

  it('keeps its slots in two partitions as long as there is work, and then moves on', () => {
    const { machine } = machineOf({ slots: 8 });
    machine.hints.markAll();
    const first = [machine.ask(), machine.ask()] as [Ask, Ask];
    expect(first.map(shape)).toEqual([
      ['p0', 'a:4'],
      ['p1', 'a:4'],
    ]);
    for (const ask of first) machine.answered(ask, [4]);
    finish(machine, 'p0', 3);
    const second = machine.ask() as Ask;
    expect(shape(second)).toEqual(['p0', 'a:3']);
    // The next need not wait for that answer: there is work.
    finish(machine, 'p0', 1);
    const third = machine.ask() as Ask;
    expect(shape(third)).toEqual(['p0', 'a:1']);
    finish(machine, 'p1', 4);
    expect(shape(machine.ask())).toEqual(['p1', 'a:4']);
    machine.answered(second, [3]);
    machine.answered(third, [0]);
    finish(machine, 'p0', 3);
    expect(shape(machine.ask())).toEqual(['p2', 'a:4']);
  });

  it('claims along with work on its way, for free slots, and concludes nothing from getting it', () => {
    const { machine } = machineOf({ slots: 4 });
    const ask = machine.askAlong('a', 'p2', 2) as Ask;
    expect(shape(ask)).toEqual(['p2', 'a:2']);
    expect(shape(machine.askAlong('a', 'p1', 9))).toEqual(['p1', 'a:2']);
    expect(machine.askAlong('a', 'p0', 1)).toBeUndefined();
    machine.answered(ask, [2]);
    expect(machine.hints.size).toBe(0);
    finish(machine, 'p2');
    machine.hints.mark('a', 'p2');
    const more = machine.askAlong('a', 'p2', 5) as Ask;
    expect(shape(more)).toEqual(['p2', 'a:1']);
    machine.answered(more, [0]);
    expect(machine.hints.size).toBe(0);
  });

  it('leaves a partition that never runs dry when others have had no turn', () => {
    const { machine } = machineOf();
    machine.hints.markAll();
    const first = machine.ask() as Ask;
    machine.answered(first, [1]);
    const partitions: string[] = [];
    for (let claims = 0; claims < 150; claims++) {
      finish(machine, claims === 0 ? first.partition : (partitions.at(-1) as string));
      const ask = machine.ask() as Ask;
      if (partitions.at(-1) !== ask.partition) partitions.push(ask.partition);
      machine.answered(ask, [1]);
    }
    expect(partitions.slice(0, 5)).toEqual(['p0', 'p1', 'p2', 'p0', 'p1']);
    expect(partitions.length).toBeLessThan(12);
    expect(first.partition).toBe('p0');
  });

  it('serves several lanes of a partition in one call, each with a share', () => {
    const { machine } = machineOf({ lanes: ['a', 'b', 'c'], slots: 8 });
    for (const lane of ['a', 'b', 'c']) machine.hints.mark(lane, 'p0');
    const ask = machine.ask() as Ask;
    expect(shape(ask)).toEqual(['p0', 'a:4', 'b:2', 'c:2']);
    machine.answered(ask, [4, 0, 2]);
    expect(machine.hints.lanesAt('p0')).toEqual(['a', 'c']);
  });

  it('with one slot lets lanes take turns', () => {
    const { machine } = machineOf({ lanes: ['a', 'b'] });
    machine.hints.mark('a', 'p0');
    machine.hints.mark('b', 'p0');
    const lanes: string[] = [];
    for (let i = 0; i < 4; i++) {
      const ask = machine.ask() as Ask;
      lanes.push(ask.lanes[0]?.laneId as string);
      machine.answered(ask, [1]);
      finish(machine, 'p0');
    }
    expect(lanes).toEqual(['a', 'b', 'a', 'b']);
  });

  it('keeps half of its room for other places while it waits for one', () => {
    const { machine } = machineOf({ slots: 8 });
    machine.hints.markAll();
    const asks = [machine.ask(), machine.ask(), machine.ask()].map(shape);
    expect(asks).toEqual([['p0', 'a:4'], ['p1', 'a:4'], undefined]);
  });

  it('asks for no more of a lane at once than it may, in all calls together', () => {
    let most = 4;
    const { machine } = machineOf({
      slots: 20,
      lanes: ['a', 'b'],
      mostAtOnce: (laneId) => (laneId === 'a' ? most : Infinity),
    });
    for (const partition of ['p0', 'p1', 'p2']) machine.hints.mark('a', partition);
    const asks = [machine.ask(), machine.ask(), machine.ask()] as [Ask, Ask, Ask];
    expect(asks.map(shape)).toEqual([
      ['p0', 'a:2'],
      ['p1', 'a:1'],
      ['p2', 'a:1'],
    ]);
    machine.hints.mark('b', 'p0');
    expect(shape(machine.ask())).toEqual(['p0', 'b:8']);
    // As many came as were asked for: more may be there, and may be asked for when there is room for it on the way.
    machine.answered(asks[0], [2]);
    most = 1;
    expect(machine.ask()?.lanes.some(({ laneId }) => laneId === 'a')).not.toBe(true);
    machine.failed(asks[1]);
    machine.answered(asks[2], [0]);
    most = 3;
    const { machine: later } = machineOf({ slots: 20, mostAtOnce: () => most });
    later.hints.mark('a', 'p0');
    const first = later.ask() as Ask;
    expect(shape(first)).toEqual(['p0', 'a:3']);
    later.answered(first, [3]);
    expect(shape(later.ask())).toEqual(['p0', 'a:3']);
  });

  it('refills claimed-ahead work when half of the room is free', () => {
    const { machine } = machineOf({ claimAhead: 9, slots: 1 });
    machine.hints.mark('a', 'p0');
    const ask = machine.ask() as Ask;
    expect(shape(ask)).toEqual(['p0', 'a:10']);
    machine.answered(ask, [10]);
    finish(machine, 'p0', 4);
    expect(machine.ask()).toBeUndefined();
    finish(machine, 'p0');
    expect(shape(machine.ask())).toEqual(['p0', 'a:5']);
  });

  it('leaves a failing partition alone for longer and longer, and goes on with the others', () => {
    const { machine, clock } = machineOf({ slots: 2 });
    machine.hints.mark('a', 'p0');
    const delays: number[] = [];
    for (let i = 0; i < 3; i++) {
      const delayMs = machine.failed(machine.ask() as Ask);
      delays.push(Math.round(delayMs));
      expect(machine.ask()).toBeUndefined();
      expect(machine.phase).toBe('backing_off');
      clock.time += delayMs;
    }
    expect(delays).toEqual([100, 200, 400]);
    const ask = machine.ask() as Ask;
    machine.failed(ask);
    machine.hints.mark('a', 'p1');
    expect(machine.ask()?.partition).toBe('p1');
  });

  it('asks for nothing more once it is stopped', () => {
    const { machine } = machineOf();
    machine.hints.markAll();
    machine.stop();
    expect(machine.ask()).toBeUndefined();
    expect(machine.askAlong('a', 'p0', 1)).toBeUndefined();
    expect(machine.phase).toBe('stopped');
  });
});
