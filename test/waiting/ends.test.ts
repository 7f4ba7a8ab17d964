/** Which ends of waits are stored before the handler goes on, to the millisecond. */
import { describe, expect, it } from 'vitest';
import type { Checkpoints } from '../../src/worker/checkpoints/checkpoints.js';
import type { Blocked, End } from '../../src/worker/waits/blocked.js';
import { WaitEnds } from '../../src/worker/waits/ends.js';
import { KnownWaits } from '../../src/worker/waits/known.js';
import type { Over } from '../../src/worker/waits/over.js';

const NOW = 1_000;

class Situation {
  readonly blocked = new Set<Blocked>();
  /** The ends that were stored, by name. */
  readonly stored: [name: string, until: number][] = [];
  /** The ends that earlier runs stored. */
  readonly earlier = new Map<string, number>();
  readonly failures: unknown[] = [];
  /** Names of which the end was looked for. */
  readonly looked: string[] = [];
  fault: Error | undefined;
  readonly ends: WaitEnds;

  constructor() {
    const checkpoints = {
      passed: async (_kind: string, name: string) => {
        this.looked.push(name);
        if (name === 'broken') throw new Error('broken');
        const value = this.earlier.get(name);
        return value === undefined ? undefined : { failed: false, value };
      },
      recordEnd: async ({ name }: { name: string }, until: number) => {
        if (this.fault !== undefined) throw this.fault;
        this.stored.push([name, until]);
      },
    } as unknown as Checkpoints;
    this.ends = new WaitEnds({
      checkpoints: () => checkpoints,
      knownWaits: async () => new KnownWaits(),
      blocked: this.blocked,
      failAll: (error) => this.failures.push(error),
    });
  }

  /** A wait that was called, and does not block the handler. */
  called(name: string, asked?: number): End {
    const end = endOf(name, asked);
    this.ends.add(end);
    return end;
  }

  /** A wait that blocks the handler until a time. */
  waits(name: string, until: number, more: Partial<Blocked> = {}): Blocked {
    const wait = { place: 0, keys: [], until, end: endOf(name, until), ...more } as unknown as Blocked;
    this.blocked.add(wait);
    return wait;
  }

  async store(by = NOW): Promise<string[]> {
    await this.ends.store(by, undefined);
    return this.stored.splice(0).map(([name]) => name);
  }
}

const endOf = (name: string, asked: number | undefined): End => ({ kind: 'sleep', wait: { name, use: 0 }, asked });

describe('the end of a wait that does not block the handler', () => {
  it('is stored once its time has come, with that time, and once', async () => {
    const s = new Situation();
    s.called('before', NOW - 1);
    s.called('now', NOW);
    s.called('later', NOW + 1);
    s.called('without end');
    await s.ends.store(NOW, undefined);
    expect(s.stored).toEqual([
      ['before', NOW - 1],
      ['now', NOW],
    ]);
    s.stored.length = 0;
    expect(s.ends.store(NOW, undefined)).toBeUndefined();
    expect(await s.store(NOW + 1)).toEqual(['later']);
  });

  it('is not stored if an earlier run did, and counts no longer', async () => {
    const s = new Situation();
    s.earlier.set('a', 7);
    const end = s.called('a', NOW);
    s.called('b', NOW);
    s.called('c');
    expect(s.ends.timed.map(({ wait }) => wait.name)).toEqual(['a', 'b']);
    await s.ends.read(s.ends.timed);
    expect(s.ends.timed.map(({ wait }) => wait.name)).toEqual(['b']);
    expect([end.isKept, (await s.ends.earlierOf(end)).until]).toEqual([true, 7]);
    expect(await s.store()).toEqual(['b']);
    expect(s.looked).toEqual(['a', 'b']);
  });

  it('that cannot be read or stored is left to the wait', async () => {
    const s = new Situation();
    s.called('broken', NOW);
    await s.ends.read(s.ends.timed);
    expect(s.ends.timed).toEqual([]);
    s.called('b', NOW);
    s.fault = new Error('no');
    expect(await s.store()).toEqual([]);
    expect([s.ends.timed, s.failures]).toEqual([[], []]);
  });

  it('is no longer stored with the others once the wait blocks the handler', async () => {
    const s = new Situation();
    s.ends.blocks(s.called('a', NOW));
    expect(await s.store()).toEqual([]);
  });
});

describe('the end of a wait that blocks the handler', () => {
  it('is stored once its time has come', async () => {
    const s = new Situation();
    s.waits('before', NOW - 1);
    s.waits('now', NOW);
    s.waits('later', NOW + 1);
    expect(await s.store()).toEqual(['before', 'now']);
    // They are kept now.
    expect(s.ends.store(NOW, undefined)).toBeUndefined();
  });

  it('fails the waits if it cannot be stored', async () => {
    const s = new Situation();
    s.waits('a', NOW);
    s.fault = new Error('no');
    await s.store();
    expect(s.failures).toEqual([s.fault]);
  });

  it.each<[boolean, string, Partial<Blocked>, Partial<Over>]>([
    [true, 'it ended by time', {}, {}],
    [true, 'it had ended when it was called, beside another', { isInstant: true }, {}],
    [false, 'it is kept already', { end: { ...endOf('a', NOW), isKept: true } }, {}],
    [false, 'it has no end of its own', { end: undefined }, {}],
    [false, 'a signal ended it', {}, { signals: [] }],
    [false, 'it ended at another time', {}, { at: NOW - 1 }],
    [false, 'an operator ended it', { endedAt: NOW }, {}],
  ])('must be stored: %s, when %s', (must, _, more, over) => {
    const s = new Situation();
    s.waits('other', NOW);
    const wait = s.waits('a', NOW, more);
    expect(s.ends.mustStore({ wait, at: NOW, signals: undefined, ...over })).toBe(must);
  });

  it('need not be stored for one that had ended when it was called, and is alone', () => {
    const s = new Situation();
    const wait = s.waits('a', NOW, { isInstant: true });
    expect(s.ends.mustStore({ wait, at: NOW, signals: undefined })).toBe(false);
  });
});
