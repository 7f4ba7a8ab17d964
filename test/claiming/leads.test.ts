import { describe, expect, it } from 'vitest';
import { Abilities } from '../../src/claiming/abilities.js';
import { Leads } from '../../src/claiming/leads.js';
import type { Place, PlaceName } from '../../src/claiming/place.js';

const HERE: PlaceName = { laneId: 'a', partition: 'p0' };
const TRUST = 8;

/** The leads, and the place as a listener sees it. */
function known(leads = new Leads()): { leads: Leads; place: () => Place | undefined; leadsAt: () => number } {
  let place: Place | undefined;
  leads.onChange((changed) => {
    if (changed.laneId === HERE.laneId && changed.partition === HERE.partition) place = changed;
  });
  return { leads, place: () => place, leadsAt: () => place?.leads.size ?? 0 };
}

const full = (leads: Leads, got = 1, lastPriority?: number): Parameters<Leads['foundAll']>[2] => ({
  number: leads.lastNumber,
  got,
  lastPriority,
});

describe('abilities', () => {
  it('cover work of their kinds that needs no more capabilities than they have', () => {
    const any = new Abilities(['x', 'y']);
    const some = new Abilities(['x'], ['mail', 'sms']);
    expect(any.covers(any.needFor(['y'], 'whatever'))).toBe(true);
    expect(any.covers(any.needFor(['z'], undefined))).toBe(false);
    expect(any.covers(some.need)).toBe(true);
    expect(some.covers(some.needFor(['x'], 'sms'))).toBe(true);
    expect(some.covers(some.needFor([], 'fax'))).toBe(false);
    expect(some.covers(some.needFor(['y'], 'sms'))).toBe(false);
    // Of work of any kind it would find only a part.
    expect(some.covers(new Abilities(['x']).need)).toBe(false);
    // A wake that names no kind means to each worker the kinds that it runs.
    expect(some.covers(some.needFor([], undefined))).toBe(true);
  });

  it('are equal when their sets are equal, in any order', () => {
    expect(new Abilities(['y', 'x', 'x']).need.key).toBe(new Abilities(['x', 'y']).need.key);
    expect(new Abilities([], ['b', 'a']).need.key).toBe(new Abilities([], ['a', 'b']).need.key);
    expect(new Abilities([], ['a']).need.key).not.toBe(new Abilities(['a']).need.key);
    expect(new Abilities([], []).need.key).not.toBe(undefined);
  });
});

describe('leads', () => {
  const plain = new Abilities([]);

  it('are removed by a short claim that was sent after them, and kept by one that was sent before', () => {
    const { leads, leadsAt } = known();
    leads.note(HERE, plain.need, 0);
    const sent = leads.lastNumber;
    leads.note(HERE, plain.need, 0);
    leads.foundShort(HERE, plain, sent, 0);
    expect(leadsAt()).toBe(1);
    leads.foundShort(HERE, plain, leads.lastNumber, 0);
    expect(leadsAt()).toBe(0);
    expect(leads.size).toBe(0);
    leads.foundShort(HERE, plain, leads.lastNumber, 0);
    expect(leadsAt()).toBe(0);
  });

  it('stay if the claim could not have brought their work', () => {
    const { leads, place } = known();
    const [x, y, both] = [new Abilities(['x']), new Abilities(['y']), new Abilities(['x', 'y'])];
    for (const each of [plain, x, y, both]) leads.note(HERE, each.need, 0);
    leads.foundShort(HERE, x, leads.lastNumber, 0);
    expect([...(place()?.leads.keys() ?? [])]).toEqual([y.need.key, both.need.key]);
    leads.foundShort(HERE, both, leads.lastNumber, 0);
    expect(place()?.leads.size).toBe(0);
  });

  it("of another kind stay too: two workers of one lane do not remove each other's leads", () => {
    const { leads, place } = known();
    const [mail, sms] = [new Abilities([], ['mail']), new Abilities([], ['sms'])];
    leads.note(HERE, mail.needFor([], 'mail'), 0);
    leads.note(HERE, sms.needFor([], 'sms'), 0);
    leads.foundShort(HERE, mail, leads.lastNumber, 0);
    expect([...(place()?.leads.values() ?? [])].map(({ need }) => need.kinds)).toEqual([['sms']]);
  });

  it('allow one claim, twice as many after each full one, and one again after a short one', () => {
    const { leads, place } = known();
    leads.note(HERE, plain.need, 0);
    const followers = (): number => {
      const followed = [];
      for (;;) {
        const one = leads.follow(place() as Place, plain);
        if (one.length === 0) break;
        followed.push(one);
      }
      for (const one of followed) leads.release(one);
      return followed.length;
    };
    expect(followers()).toBe(1);
    for (let found = 0; found < 3; found++) leads.foundAll(HERE, plain, full(leads), TRUST, 0);
    expect(followers()).toBe(8);
    const { lastNumber } = leads;
    leads.note(HERE, plain.need, 0);
    leads.foundShort(HERE, plain, lastNumber, 0);
    expect(followers()).toBe(1);
  });

  it('count a wake once, however many workers receive it', () => {
    const { leads, leadsAt } = known();
    const source = {};
    leads.note(HERE, plain.need, 0, { source });
    const sent = leads.lastNumber;
    leads.note(HERE, plain.need, 0, { source });
    leads.foundShort(HERE, plain, sent, 0);
    expect(leadsAt()).toBe(0);
  });

  it('have the best known priority, and after a full claim that of its last execution', () => {
    const { leads, place } = known();
    const priority = (): number | undefined => [...(place()?.leads.values() ?? [])][0]?.priority;
    leads.note(HERE, plain.need, 0, { priority: 5 });
    leads.note(HERE, plain.need, 0, { priority: 3 });
    expect(priority()).toBe(5);
    const before = full(leads, 1, 2);
    leads.note(HERE, plain.need, 0, { priority: 9 });
    // The claim was sent before the better work was there.
    leads.foundAll(HERE, plain, before, TRUST, 0);
    expect(priority()).toBe(9);
    leads.foundAll(HERE, plain, full(leads, 1, 9), TRUST, 0);
    expect(priority()).toBe(9);
    leads.foundAll(HERE, plain, full(leads, 1, 4), TRUST, 0);
    expect(priority()).toBe(4);
  });

  it('lose their urgency after a while where claims report no priority', () => {
    const { leads, place } = known();
    leads.note(HERE, plain.need, 0, { priority: 5 });
    leads.foundAll(HERE, plain, full(leads, TRUST - 1), TRUST, 0);
    expect([...(place() as Place).leads.values()][0]?.priority).toBe(5);
    leads.foundAll(HERE, plain, full(leads, 1), TRUST, 0);
    expect([...(place() as Place).leads.values()][0]?.priority).toBe(0);
  });

  it('of a higher priority are followed at once, although a claim is in flight there', () => {
    const { leads, place } = known();
    leads.note(HERE, plain.need, 0);
    const first = leads.follow(place() as Place, plain);
    expect(leads.follow(place() as Place, plain)).toEqual([]);
    leads.note(HERE, plain.need, 0);
    expect(leads.follow(place() as Place, plain)).toEqual([]);
    leads.note(HERE, plain.need, 0, { priority: 1 });
    expect(leads.follow(place() as Place, plain)).toHaveLength(1);
    leads.release(first);
    expect([...(place() as Place).leads.values()].map(({ inFlight }) => inFlight)).toEqual([1]);
  });

  it('expire when they are old, and the oldest are dropped when there are too many', () => {
    const leads = new Leads();
    const open = new Set<Place>();
    leads.onChange((place) => (place.leads.size > 0 ? open.add(place) : open.delete(place)));
    for (let lane = 0; lane < 12_000; lane++)
      leads.note({ laneId: `l${lane}`, partition: 'p0' }, plain.need, lane / 100);
    expect(leads.size).toBe(10_000);
    expect(open.size).toBe(10_000);
    leads.note({ laneId: 'l11999', partition: 'p0' }, plain.need, 500_000);
    leads.note({ laneId: 'late', partition: 'p0' }, plain.need, 600_200);
    expect([...open].map(({ laneId }) => laneId)).toEqual(['l11999', 'late']);
  });

  it('remember for a while that another planner found nothing, for equal abilities', () => {
    const leads = new Leads();
    leads.foundShort(HERE, plain, 0, 100);
    const equal = new Abilities([]);
    expect(leads.isQuiet(HERE, equal, 100)).toBe(true);
    expect(leads.isQuiet(HERE, equal, 101)).toBe(false);
    expect(leads.isQuiet(HERE, plain, 0)).toBe(false);
    expect(leads.isQuiet(HERE, new Abilities(['x']), 0)).toBe(false);
    expect(leads.isQuiet({ laneId: 'a', partition: 'p1' }, equal, 0)).toBe(false);
  });
});
