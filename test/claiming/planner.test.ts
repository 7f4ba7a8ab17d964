import { describe, expect, it } from 'vitest';
import { Abilities } from '../../src/claiming/abilities.js';
import { Focus } from '../../src/claiming/focus.js';
import { Leads } from '../../src/claiming/leads.js';
import type { PlaceName } from '../../src/claiming/place.js';
import type { LaneAnswer, PlannedClaim, PlannerOptions, WorkWake } from '../../src/claiming/plan.js';
import { Planner } from '../../src/claiming/planner.js';

const PARTITIONS = ['p0', 'p1', 'p2'];
const SWEEP_MS = 5_000;

/** A planner, the time, and short ways to tell it what happened. */
class Situation {
  now = 0;
  readonly leads: Leads;
  readonly planner: Planner;

  constructor(options: Partial<PlannerOptions> = {}) {
    this.leads = options.leads ?? new Leads();
    this.planner = new Planner({
      leads: this.leads,
      abilities: new Abilities([]),
      slots: 1,
      claimAhead: 0,
      lanes: ['a'],
      partitions: PARTITIONS,
      sweepIntervalMs: SWEEP_MS,
      // Back-offs are as long as they can be, and the sweep begins at the first partition.
      chance: () => 0,
      ...options,
    });
  }

  wake(laneId: string, partition: string, news: Partial<WorkWake> = {}): void {
    this.planner.woken({ kind: 'work', laneId, partition, requiredCapabilities: [], ...news }, this.now);
  }

  /** Every partition of these lanes has work. */
  wakeAll(...lanes: string[]): void {
    for (const laneId of lanes) for (const partition of PARTITIONS) this.wake(laneId, partition);
  }

  claims(): readonly PlannedClaim[] {
    return this.planner.plan(this.now).claims;
  }

  claim(): PlannedClaim {
    const [claim, ...others] = this.claims();
    if (claim === undefined || others.length > 0) throw new Error(`expected one claim, not ${others.length}`);
    return claim;
  }

  answer(claim: PlannedClaim, ...got: (number | LaneAnswer | undefined)[]): void {
    const answers = got.map((each) => (typeof each === 'number' ? { got: each } : each));
    this.planner.answered(claim, answers, this.now);
  }

  /** Executions of a lane's part of a claim come, and end at once. */
  complete(claim: PlannedClaim, lastPriority?: number): void {
    const answers = claim.lanes.map(({ count }) => ({ got: count, lastPriority }));
    this.planner.answered(claim, answers, this.now);
    for (const { count } of claim.lanes) this.planner.finished(claim.partition, count);
  }

  get mode(): string {
    return this.planner.mode;
  }
}

const shape = (claim: PlannedClaim | undefined): unknown =>
  claim && [claim.partition, ...claim.lanes.map(({ place, count }) => `${place.laneId}:${count}`)];

describe('a plan', () => {
  it('has no claims without leads', () => {
    const s = new Situation();
    expect(s.claims()).toEqual([]);
    expect(s.mode).toBe('idle');
  });

  it('has one claim per wake, and none at a place with the maximum in flight', () => {
    const s = new Situation({ slots: 4 });
    s.wake('a', 'p1');
    const claim = s.claim();
    expect(shape(claim)).toEqual(['p1', 'a:4']);
    expect(s.mode).toBe('asking');
    expect(s.claims()).toEqual([]);
    s.answer(claim, 0);
    expect(s.claims()).toEqual([]);
    expect(s.mode).toBe('idle');
  });

  it('continues at a place that gave all that was requested, and leaves a place that did not', () => {
    const s = new Situation({ slots: 2 });
    s.wake('a', 'p0');
    s.answer(s.claim(), 2);
    expect(s.claims()).toEqual([]);
    expect(s.mode).toBe('full');
    s.planner.finished('p0');
    const again = s.claim();
    expect(shape(again)).toEqual(['p0', 'a:1']);
    s.answer(again, 0);
    expect(s.claims()).toEqual([]);
    expect(s.planner.hasLeads).toBe(false);
  });

  it('follows a wake that arrived while the claim was in flight', () => {
    const s = new Situation();
    s.wake('a', 'p0');
    const claim = s.claim();
    s.wake('a', 'p0');
    s.answer(claim, 0);
    expect(shape(s.claim())).toEqual(['p0', 'a:1']);
  });

  it('ignores lanes that are not served', () => {
    const s = new Situation();
    s.wake('other', 'p0');
    expect(s.claims()).toEqual([]);
    s.planner.serve('other', 0);
    expect(shape(s.claim())).toEqual(['p0', 'other:1']);
  });

  it('has one claim for a wake that several workers of the process receive', () => {
    const leads = new Leads();
    const workers = [new Situation({ leads }), new Situation({ leads })];
    const wake: WorkWake = { kind: 'work', laneId: 'a', partition: 'p0', requiredCapabilities: [] };
    const [first, second] = workers as [Situation, Situation];
    first.planner.woken(wake, 0);
    const claim = first.claim();
    second.planner.woken(wake, 0);
    expect(second.claims()).toEqual([]);
    first.answer(claim, 0);
    expect([first.claims(), second.claims()]).toEqual([[], []]);
  });

  it('starts with one execution of every place, before any place can fill the slots', () => {
    const s = new Situation({ slots: 8 });
    s.planner.start(0);
    expect(s.claims().map(shape)).toEqual([
      ['p0', 'a:1'],
      ['p1', 'a:1'],
      ['p2', 'a:1'],
    ]);
    const alone = new Situation({ slots: 8, partitions: ['p0'] });
    alone.planner.start(0);
    expect(shape(alone.claim())).toEqual(['p0', 'a:8']);
  });

  it('asks again at a place when a newer answer is full, although an older answer removed its leads', () => {
    const s = new Situation({ slots: 8 });
    s.wake('a', 'p0');
    s.answer(s.claim(), 8);
    s.planner.finished('p0', 8);
    const first = s.claim();
    s.leads.foundShort({ laneId: 'a', partition: 'p0' }, new Abilities([]), s.leads.lastNumber, 0);
    expect(s.planner.hasLeads).toBe(false);
    s.complete(first);
    expect(shape(s.claim())).toEqual(['p0', 'a:8']);
  });

  it('ignores partitions that the deployment does not have', () => {
    const s = new Situation();
    s.wake('a', 'p3');
    s.wake('a', 'garbage');
    expect(s.claims()).toEqual([]);
    const stranger: WorkWake = { kind: 'work', laneId: 'a', partition: 'p3', requiredCapabilities: [], arriving: 1 };
    expect(s.planner.arriving(stranger, 0)).toBe(undefined);
  });

  it('asks again where a claim ended executions, because more work may wait behind them', () => {
    const s = new Situation();
    s.wake('a', 'p0');
    s.answer(s.claim(), { got: 0, mayHaveMore: true });
    expect(shape(s.claim())).toEqual(['p0', 'a:1']);
  });

  it('refills work claimed ahead when half of its room is free', () => {
    const s = new Situation({ claimAhead: 9, slots: 1 });
    s.wake('a', 'p0');
    const claim = s.claim();
    expect(shape(claim)).toEqual(['p0', 'a:10']);
    s.answer(claim, 10);
    s.planner.finished('p0', 4);
    expect(s.claims()).toEqual([]);
    expect(s.mode).toBe('full');
    s.planner.finished('p0');
    expect(shape(s.claim())).toEqual(['p0', 'a:5']);
  });

  it('requests no more of a lane than the sizes of its inputs allow, over all claims together', () => {
    let most = 4;
    const s = new Situation({
      slots: 20,
      lanes: ['a', 'b'],
      maxAtOnce: (laneId) => (laneId === 'a' ? most : Infinity),
    });
    s.wakeAll('a');
    const claims = s.claims();
    expect(claims.map(shape)).toEqual([
      ['p0', 'a:2'],
      ['p1', 'a:1'],
      ['p2', 'a:1'],
    ]);
    s.wake('b', 'p0');
    expect(shape(s.claim())).toEqual(['p0', 'b:8']);
    s.answer(claims[0] as PlannedClaim, 2);
    s.planner.finished('p0', 2);
    most = 1;
    expect(s.claims()).toEqual([]);
    most = 8;
    expect(s.claim().lanes[0]?.place.laneId).toBe('a');
  });

  it('is not made again by a look of the sweep at a place that a claim in flight answers for', () => {
    const s = new Situation();
    s.wake('a', 'p0');
    const claim = s.claim();
    s.planner.start(s.now);
    // Every place is due; the other two get their leads.
    s.now += SWEEP_MS;
    s.claims();
    const sent = s.leads.lastNumber;
    expect(sent).toBe(3);
    s.answer(claim, 0);
    expect(s.claims().map(({ partition }) => partition)).not.toContain('p0');
  });

  it('has no claims once it is stopped', () => {
    const s = new Situation();
    s.wakeAll('a');
    s.planner.stop();
    expect(s.claims()).toEqual([]);
    expect(
      s.planner.arriving({ kind: 'work', laneId: 'a', partition: 'p0', requiredCapabilities: [], arriving: 1 }, 0),
    ).toBe(undefined);
    expect(s.planner.plan(0).pollAt).toBe(Infinity);
    expect(s.mode).toBe('stopped');
  });
});

describe('the focus', () => {
  it('has two partitions, each for its turn, which is counted from its entry', () => {
    const focus = new Focus(3);
    focus.count('p0', 9);
    for (const partition of PARTITIONS) focus.enter(partition);
    focus.enter('p1');
    expect([focus.partitions, focus.hasRoom, focus.has('p2')]).toEqual([['p0', 'p1'], false, false]);
    focus.count('p0', 2);
    expect(focus.isTurnOver('p0')).toBe(false);
    focus.count('p0', 1);
    expect([focus.isTurnOver('p0'), focus.isTurnOver('p1')]).toEqual([true, false]);
    focus.leave('p2');
    focus.leave('p0');
    expect([focus.partitions, focus.hasRoom]).toEqual([['p1'], true]);
    focus.enter('p0');
    expect([focus.partitions, focus.isTurnOver('p0')]).toEqual([['p1', 'p0'], false]);
  });

  it('is on two partitions while they have work, and then moves on', () => {
    const s = new Situation({ slots: 8 });
    s.wakeAll('a');
    const first = s.claims();
    expect(first.map(shape)).toEqual([
      ['p0', 'a:4'],
      ['p1', 'a:4'],
    ]);
    for (const claim of first) s.answer(claim, 4);
    s.planner.finished('p0', 3);
    const second = s.claim();
    expect(shape(second)).toEqual(['p0', 'a:3']);
    // The next need not wait for that answer: there is work.
    s.planner.finished('p0');
    const third = s.claim();
    expect(shape(third)).toEqual(['p0', 'a:1']);
    s.planner.finished('p1', 4);
    expect(shape(s.claim())).toEqual(['p1', 'a:4']);
    s.answer(second, 3);
    s.answer(third, 0);
    s.planner.finished('p0', 3);
    expect(shape(s.claim())).toEqual(['p2', 'a:4']);
  });

  it('leaves a partition that always has work when others have had no turn', () => {
    const s = new Situation();
    s.wakeAll('a');
    const partitions: string[] = [];
    for (let claims = 0; claims < 150; claims++) {
      const claim = s.claim();
      if (partitions.at(-1) !== claim.partition) partitions.push(claim.partition);
      s.complete(claim);
    }
    expect(partitions.slice(0, 5)).toEqual(['p0', 'p1', 'p2', 'p0', 'p1']);
    expect(partitions.length).toBeLessThan(12);
  });

  it('keeps half of the room for other places while it waits for an answer', () => {
    const s = new Situation({ slots: 8 });
    s.wakeAll('a');
    expect(s.claims().map(shape)).toEqual([
      ['p0', 'a:4'],
      ['p1', 'a:4'],
    ]);
  });

  it('prefers the partition to which commands are leaving, for a caller with room of its own', () => {
    const s = new Situation({ slots: Infinity });
    s.wakeAll('a');
    expect(s.planner.claimFor(3, 'p2', 0)).toMatchObject({ partition: 'p2', lanes: [{ count: 3 }] });
    expect(s.planner.claimFor(1, 'p2', 0)?.partition).toBe('p0');
    expect(s.planner.claimFor(1, 'p1', 0)?.partition).toBe('p1');
    expect(s.planner.claimFor(1, undefined, 0)).toBe(undefined);
  });
});

describe('lanes', () => {
  it('of a partition are served in one call, each with a share', () => {
    const s = new Situation({ lanes: ['a', 'b', 'c'], slots: 8 });
    for (const lane of ['a', 'b', 'c']) s.wake(lane, 'p0');
    const claim = s.claim();
    expect(shape(claim)).toEqual(['p0', 'a:4', 'b:2', 'c:2']);
    s.answer(claim, 4, 0, 2);
    s.planner.finished('p0', 6);
    expect(shape(s.claim())).toEqual(['p0', 'a:4', 'c:4']);
  });

  it('get the same requests with several known kinds of work as with one', () => {
    const [one, several] = [new Situation({ slots: 8 }), new Situation({ slots: 8 })];
    for (const s of [one, several]) s.wakeAll('a');
    for (const executionKind of ['mail', 'sms'])
      for (const partition of PARTITIONS) several.wake('a', partition, { executionKind });
    expect(several.claims().map(shape)).toEqual(one.claims().map(shape));
  });

  it('take turns when there is one slot', () => {
    const s = new Situation({ lanes: ['a', 'b'] });
    s.wake('a', 'p0');
    s.wake('b', 'p0');
    const lanes = Array.from({ length: 4 }, () => {
      const claim = s.claim();
      s.complete(claim);
      return claim.lanes[0]?.place.laneId;
    });
    expect(lanes).toEqual(['a', 'b', 'a', 'b']);
  });
});

describe('priority', () => {
  it('makes the focus yield at once to a place with better work, and return afterwards', () => {
    const s = new Situation();
    s.wakeAll('a');
    for (let i = 0; i < 5; i++) s.complete(s.claim(), 0);
    s.wake('a', 'p2', { priority: 9_000 });
    const urgent = s.claim();
    expect(urgent.partition).toBe('p2');
    s.complete(urgent, 9_000);
    const more = s.claim();
    expect(more.partition).toBe('p2');
    s.complete(more, 0);
    expect(s.claim().partition).not.toBe('p2');
  });

  it('gives all of the room to a place with better work', () => {
    const s = new Situation({ slots: 8 });
    s.wakeAll('a');
    s.wake('a', 'p1', { priority: 1 });
    expect(s.claims().map(shape)).toEqual([['p1', 'a:8']]);
  });

  it('does not wait for the answer to a claim that was sent before the better work was known', () => {
    const s = new Situation({ slots: 8 });
    s.wakeAll('a');
    const [slow] = s.claims();
    expect(slow?.partition).toBe('p0');
    s.answer(s.claims()[1] ?? (slow as PlannedClaim), 4);
    s.planner.finished('p0', 1);
    s.wake('a', 'p0', { priority: 7 });
    expect(s.claim().partition).toBe('p0');
  });

  it('is claimed before half of the room ahead is free, and only for the free slots', () => {
    const s = new Situation({ slots: 1, claimAhead: 9 });
    s.wakeAll('a');
    const first = s.claims();
    for (const claim of first) s.answer(claim, claim.lanes[0]?.count ?? 0);
    s.planner.finished('p0', 3);
    expect(s.claims()).toEqual([]);
    s.wake('a', 'p2', { priority: 1 });
    expect(shape(s.claim())).toEqual(['p2', 'a:1']);
  });

  it('keeps the focus on the place with better work', () => {
    const partitions = ['p0', 'p1', 'p2', 'p3', 'p4'];
    const s = new Situation({ slots: 2, partitions });
    for (const partition of partitions) s.wake('a', partition);
    const first = s.claims();
    expect(first.map(({ partition }) => partition)).toEqual(['p0', 'p1']);
    for (const claim of first) s.complete(claim, 0);
    for (const partition of ['p2', 'p3', 'p4']) s.wake('a', partition, { priority: 5 });
    const worked = new Set<string>();
    for (let i = 0; i < 5; i++) {
      for (const claim of s.claims()) {
        worked.add(claim.partition);
        s.complete(claim, 5);
      }
    }
    expect([...worked]).toEqual(['p2', 'p3']);
  });

  it('of a lane gets a call of its own, before the other lanes of its partition', () => {
    const s = new Situation({ lanes: ['a', 'b'], slots: 4 });
    s.wake('a', 'p0');
    s.wake('b', 'p0', { priority: 5 });
    expect(s.claims().map(shape)).toEqual([['p0', 'b:4']]);
  });

  it('that cannot be claimed now does not split the claims for other work', () => {
    const s = new Situation({ slots: 1, claimAhead: 9 });
    s.wakeAll('a');
    for (const claim of s.claims()) s.answer(claim, claim.lanes[0]?.count ?? 0);
    s.planner.finished('p0', 2);
    s.wake('a', 'p2', { priority: 1 });
    const urgent = s.claim();
    expect(urgent.partition).toBe('p2');
    s.planner.failed(urgent, true, s.now);
    s.wake('a', 'p2', { priority: 2 });
    expect(s.claims()).toEqual([]);
    s.now += 10;
    expect(shape(s.claim())).toEqual(['p2', 'a:1']);
  });

  it('of one lane does not starve lanes whose work all has lower priority', () => {
    const s = new Situation({ lanes: ['a', 'b'] });
    s.wake('a', 'p0', { priority: 100 });
    s.wake('b', 'p1');
    const lanes = Array.from({ length: 10 }, () => {
      const claim = s.claim();
      const laneId = claim.lanes[0]?.place.laneId as string;
      s.complete(claim, laneId === 'a' ? 100 : 0);
      return laneId;
    });
    expect(lanes.filter((lane) => lane === 'b').length).toBe(5);
  });

  it('is trusted for one turn where claims report none', () => {
    const s = new Situation();
    s.wakeAll('a');
    s.complete(s.claim());
    s.wake('a', 'p2', { priority: 9_000 });
    const partitions = Array.from({ length: 40 }, () => {
      const claim = s.claim();
      s.complete(claim);
      return claim.partition;
    });
    expect(partitions.slice(0, 16)).toEqual(Array.from({ length: 16 }, () => 'p2'));
    expect(new Set(partitions.slice(16)).size).toBeGreaterThan(1);
  });

  it('is found by the sweep without wakes, while the slots are busy with other work', () => {
    const s = new Situation();
    s.planner.start(0);
    for (const partition of PARTITIONS) {
      const claim = s.claim();
      s.planner.answered(claim, [{ got: partition === claim.partition && partition !== 'p2' ? 1 : 0 }], 0);
      if (claim.partition !== 'p2') s.planner.finished(claim.partition);
    }
    // p2 was empty, p0 and p1 never run dry. The wake of new work in p2 is lost.
    const partitions: string[] = [];
    for (; s.now <= SWEEP_MS; s.now += 10) {
      const claim = s.claim();
      partitions.push(claim.partition);
      s.complete(claim, 0);
    }
    expect(partitions).toContain('p2');
  });
});

describe('a fault', () => {
  it("in one lane's part of a call does not remove its leads, and pauses claims from that place only", () => {
    const s = new Situation({ slots: 4, lanes: ['a', 'b'] });
    s.wake('a', 'p1');
    s.wake('b', 'p1');
    const claim = s.claim();
    s.answer(claim, undefined, 2);
    expect(s.planner.hasLeads).toBe(true);
    const others = s.claim();
    expect(shape(others)).toEqual(['p1', 'b:2']);
    s.answer(others, 0);
    expect(s.claims()).toEqual([]);
    s.now += 10;
    expect(shape(s.claim())).toEqual(['p1', 'a:2']);
  });

  it('of a whole call pauses claims from its partition, longer each time, and not from others', () => {
    const s = new Situation({ slots: 2, chance: () => 1 - Number.EPSILON });
    s.wake('a', 'p0');
    const delays: number[] = [];
    for (let i = 0; i < 3; i++) {
      s.planner.failed(s.claim(), true, s.now);
      const { claims, pollAt } = s.planner.plan(s.now);
      expect(claims).toEqual([]);
      expect(s.mode).toBe('backing_off');
      delays.push(Math.round(pollAt - s.now));
      s.now = pollAt;
    }
    expect(delays).toEqual([100, 200, 400]);
    s.planner.failed(s.claim(), true, s.now);
    s.wake('a', 'p1');
    expect(s.claim().partition).toBe('p1');
  });

  it('of a part of a call pauses claims from its partition if it concerns the partition', () => {
    for (const wide of [true, false]) {
      const s = new Situation({ slots: 4, lanes: ['a', 'b'], chance: () => 1 - Number.EPSILON });
      s.wake('a', 'p0');
      s.wake('b', 'p0');
      s.planner.answered(s.claim(), [{ got: 0 }, undefined], s.now, wide);
      s.wake('a', 'p0');
      expect(s.claims()).toHaveLength(wide ? 0 : 1);
    }
  });

  it('is forgotten after the next successful claim', () => {
    const s = new Situation({ chance: () => 1 - Number.EPSILON });
    const delayOfFault = (wide: boolean): number => {
      s.wake('a', 'p0');
      s.planner.failed(s.claim(), wide, s.now);
      const { pollAt } = s.planner.plan(s.now);
      const delay = Math.round(pollAt - s.now);
      s.now = pollAt;
      return delay;
    };
    for (const wide of [true, false]) {
      expect([delayOfFault(wide), delayOfFault(wide)]).toEqual([100, 200]);
      s.answer(s.claim(), 0);
    }
    expect(delayOfFault(true)).toBe(100);
    s.answer(s.claim(), 0);
    expect(delayOfFault(false)).toBe(100);
  });

  it('moves the focus to a partition that works', () => {
    const s = new Situation({ slots: 8, partitions: ['p0', 'p1', 'p2', 'p3'], chance: () => 1 - Number.EPSILON });
    for (const partition of ['p0', 'p1', 'p2', 'p3']) s.wake('a', partition);
    const [bad, good] = s.claims() as [PlannedClaim, PlannedClaim];
    s.planner.failed(bad, true, 0);
    s.answer(good, 4);
    const next = s.claim();
    expect(next.partition).toBe('p2');
    s.answer(next, 4);
    s.planner.finished('p2');
    expect(s.claim().partition).toBe('p2');
  });

  it.each([[['bad', 'good']], [['good', 'bad']]])(
    'of a call for several lanes separates them, so that one bad lane does not affect the others',
    (lanes) => {
      const s = new Situation({ slots: 4, lanes, chance: () => 1 - Number.EPSILON });
      s.wake('bad', 'p0');
      s.wake('good', 'p0');
      let served = 0;
      for (; s.now < 10_000; s.now += 10) {
        for (const claim of s.claims()) {
          if (claim.lanes.some(({ place }) => place.laneId === 'bad')) s.planner.failed(claim, false, s.now);
          else {
            served++;
            s.complete(claim);
          }
        }
      }
      expect(served).toBeGreaterThan(900);
    },
  );
});

describe('work that leaves this process', () => {
  const leaving = (partition: string, arriving: number, news: Partial<WorkWake> = {}): WorkWake => ({
    kind: 'work',
    laneId: 'a',
    partition,
    requiredCapabilities: [],
    arriving,
    ...news,
  });

  it('is claimed in the same call, for free slots, and its claim says nothing about other work', () => {
    const s = new Situation({ slots: 4 });
    const claim = s.planner.arriving(leaving('p2', 2), 0) as PlannedClaim;
    expect(shape(claim)).toEqual(['p2', 'a:2']);
    expect(shape(s.planner.arriving(leaving('p1', 9), 0))).toEqual(['p1', 'a:2']);
    expect(s.planner.arriving(leaving('p0', 1), 0)).toBe(undefined);
    s.answer(claim, 2);
    expect(s.planner.hasLeads).toBe(false);
    s.planner.finished('p2');
    s.wake('a', 'p2');
    const more = s.planner.arriving(leaving('p2', 5), 0) as PlannedClaim;
    expect(shape(more)).toEqual(['p2', 'a:1']);
    s.answer(more, 0);
    expect(s.planner.hasLeads).toBe(false);
  });

  it('is not claimed by a worker that cannot run it', () => {
    const s = new Situation({ abilities: new Abilities(['x'], ['mail']) });
    expect(s.planner.arriving(leaving('p0', 1, { requiredCapabilities: ['y'] }), 0)).toBe(undefined);
    expect(s.planner.arriving(leaving('p0', 1, { executionKind: 'sms' }), 0)).toBe(undefined);
    expect(s.planner.arriving(leaving('p0', 1, { laneId: 'other' }), 0)).toBe(undefined);
    expect(
      s.planner.arriving(leaving('p0', 1, { executionKind: 'mail', requiredCapabilities: ['x'] }), 0),
    ).toBeDefined();
  });
});

describe('kinds', () => {
  it('that the worker cannot run are not followed, and other workers follow them', () => {
    const leads = new Leads();
    const mail = new Situation({ leads, abilities: new Abilities([], ['mail']) });
    const sms = new Situation({ leads, abilities: new Abilities([], ['sms']) });
    for (const each of [mail, sms]) each.wake('a', 'p0', { executionKind: 'sms' });
    expect(mail.claims()).toEqual([]);
    for (const each of [mail, sms]) each.wake('a', 'p0', { executionKind: 'mail' });
    mail.answer(mail.claim(), 0);
    expect(sms.planner.hasLeads).toBe(true);
    expect(shape(sms.claim())).toEqual(['p0', 'a:1']);
  });

  it('that are added make the planner look at its lanes again and follow known leads of those kinds', () => {
    const leads = new Leads();
    const other = new Situation({ leads, abilities: new Abilities([], ['sms']) });
    const s = new Situation({ leads, abilities: new Abilities([], ['mail']) });
    other.wake('a', 'p1', { executionKind: 'sms' });
    expect(s.claims()).toEqual([]);
    s.planner.setAbilities(new Abilities([], ['mail', 'sms']), 0);
    const claim = s.claim();
    s.answer(claim, 0);
    const seen = [claim.partition];
    for (const partition of seen) {
      const [next] = s.claims();
      if (next === undefined) break;
      s.answer(next, 0);
      seen.push(next.partition);
      expect(partition).toBeDefined();
    }
    expect(seen.sort()).toEqual(PARTITIONS);
  });

  it('added later do not count in the answer to an earlier claim', () => {
    const s = new Situation({ abilities: new Abilities([], ['mail']) });
    s.wake('a', 'p0', { executionKind: 'mail' });
    const sent = s.claim();
    s.planner.setAbilities(new Abilities([], ['mail', 'sms']), 0);
    s.leads.note({ laneId: 'a', partition: 'p0' }, new Abilities([], ['sms']).need, 0);
    const late = { ...sent, number: s.leads.lastNumber };
    s.answer(late, 0);
    expect(s.planner.hasLeads).toBe(true);
  });
});

describe('yielding', () => {
  const place: PlaceName = { laneId: 'a', partition: 'p0' };

  it('leaves a place with its leads to other workers for a moment, and then claims there itself', () => {
    const leads = new Leads();
    const [s, other] = [new Situation({ leads }), new Situation({ leads })];
    s.wake('a', 'p0');
    s.complete(s.claim());
    s.planner.yieldTo(place, s.now);
    const { claims, pollAt } = s.planner.plan(s.now);
    expect(claims).toEqual([]);
    expect(s.mode).toBe('idle');
    expect(pollAt).toBe(25);
    expect(shape(other.claim())).toEqual(['p0', 'a:1']);
    s.now = 25;
    s.leads.note(place, new Abilities([]).need, s.now, { priority: 1 });
    expect(shape(s.claim())).toEqual(['p0', 'a:1']);
  });

  it('gives other workers a head start at wakes of the lane for some minutes, in every partition', () => {
    const s = new Situation();
    s.planner.yieldTo(place, 0);
    s.now = 1_000;
    s.answer(s.claim(), 0);
    s.wake('a', 'p1');
    expect(s.claims()).toEqual([]);
    s.now = 1_024;
    s.wake('a', 'p1');
    expect(s.claims()).toEqual([]);
    s.now = 1_025;
    expect(shape(s.claim())).toEqual(['p1', 'a:1']);
    s.now = 600_001;
    s.wake('a', 'p2');
    expect(s.planner.hasLeads).toBe(true);
  });
});

describe('a worker with reduced capacity', () => {
  it('makes no claims while it rests, and follows its leads afterwards', () => {
    const s = new Situation();
    s.wake('a', 'p0');
    s.planner.pause();
    expect(s.planner.plan(0)).toEqual({ claims: [], reads: [], pollAt: Infinity });
    expect(s.mode).toBe('resting');
    s.wake('a', 'p1');
    s.planner.resume();
    expect(s.claim().partition).toBe('p0');
    s.planner.stop();
    s.planner.resume();
    s.planner.pause();
    expect(s.mode).toBe('stopped');
  });

  it('claims no more ahead than it can start in time', () => {
    const s = new Situation({ slots: 2, claimAhead: 10 });
    s.planner.limitAhead(3);
    s.wake('a', 'p0');
    expect(shape(s.claim())).toEqual(['p0', 'a:5']);
    const other = new Situation({ slots: 2, claimAhead: 1 });
    other.planner.limitAhead(3);
    other.wake('a', 'p0');
    expect(shape(other.claim())).toEqual(['p0', 'a:3']);
  });
});

describe('the time of the next plan', () => {
  it('is at most the sweep interval away while there is room, and never while there is none', () => {
    const s = new Situation();
    s.planner.start(0);
    for (let claim = s.claims()[0]; claim !== undefined; claim = s.claims()[0]) s.answer(claim, 0);
    expect(s.planner.plan(0).pollAt).toBeLessThanOrEqual(SWEEP_MS);
    s.wake('a', 'p0');
    s.answer(s.claim(), 1);
    expect(s.planner.plan(0).pollAt).toBe(Infinity);
  });
});
