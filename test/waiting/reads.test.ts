/** What a handler must read of signals and of the ends of children before a wait is decided, to the millisecond. */
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../../src/index.js';
import type { Attempt } from '../../src/worker/attempt/attempt.js';
import type { Blocked, ChildrenWait } from '../../src/worker/waits/blocked.js';
import { KnownWaits } from '../../src/worker/waits/known.js';
import type { Over } from '../../src/worker/waits/over.js';
import { WaitReads } from '../../src/worker/waits/reads.js';
import type { Received } from '../../src/worker/waits/signals.js';

const CLAIMED_AT = 500;
const NOW = 1_000;

const signal = (id: string): Received => ({ id, at: NOW }) as Received;

class Situation {
  now = NOW;
  /** Ends of children that are known. */
  endCount = 0;
  readonly blocked = new Set<Blocked>();
  readonly known = new KnownWaits();
  /** The cursors of the reads of signals, and the ids that each of them brings. */
  readonly cursors: (string | undefined)[] = [];
  readonly limits: (number | undefined)[] = [];
  pages: string[][] = [[]];
  /** Called while a read is answered. */
  meanwhile = (): void => undefined;
  readonly reads: WaitReads;

  constructor() {
    const listSignals = async ({ cursor, limit }: { cursor?: string | undefined; limit?: number }) => {
      this.cursors.push(cursor);
      this.limits.push(limit);
      this.meanwhile();
      const ids = this.pages.shift() ?? [];
      const signals = ids.map((signalId) => ({ signalId, signalName: 's', waitpointKey: '', acceptedAt: NOW }));
      return { signals, nextCursor: this.pages.length > 0 ? ids.at(-1) : undefined };
    };
    this.reads = new WaitReads({
      attempt: { executionId: 'x', claimedAt: CLAIMED_AT, serverNow: () => this.now } as Attempt,
      backend: { listSignals } as unknown as Backend,
      asked: (call) => call(),
      blocked: this.blocked,
    });
  }

  readonly children: ChildrenWait = {
    decided: () => undefined,
    seenCount: () => this.endCount,
    neededCount: () => 1,
    isGroup: () => false,
    look: async () => this.meanwhile(),
  };

  /** The handler waits for a signal too. */
  listen(): this {
    this.blocked.add({ condition: { type: 'name', name: 's' } } as unknown as Blocked);
    return this;
  }

  awaitChildren(): this {
    this.blocked.add({ children: this.children } as Blocked);
    return this;
  }

  readSignals(endAt?: number): Promise<void> {
    return this.reads.readSignals(this.known, endAt);
  }

  readChildren(endAt?: number): Promise<void> {
    return this.reads.readChildren(this.children, this.known, endAt);
  }

  /** Whether signals must be read before a wait that ended by time at these times. */
  mustReadAt(...times: number[]): boolean[] {
    return times.map((at) => this.reads.mustReadSignals(byTime(at)));
  }

  /** Whether ends of children must be read before a wait that was over at a time, with a signal or without. */
  mustLook(at: number, last?: Received): boolean {
    const over = { wait: {}, at, signals: last && [last] } as Over;
    return this.reads.mustReadChildren(over, this.known) !== undefined;
  }
}

const byTime = (at: number): Over => ({ wait: {}, at, signals: undefined }) as Over;
const byChildren = (at: number, order: number): Over =>
  ({ wait: { children: { decided: () => ({ at, order }) } }, at, signals: undefined }) as unknown as Over;

describe('signals', () => {
  it('are read before a wait is over by time, unless they are known up to its end', async () => {
    const s = new Situation().listen();
    expect(s.mustReadAt(1, CLAIMED_AT)).toEqual([true, true]);
    s.reads.broughtByClaim();
    expect(s.mustReadAt(CLAIMED_AT, CLAIMED_AT + 1)).toEqual([false, true]);
    await s.readSignals();
    expect(s.mustReadAt(NOW, NOW + 1)).toEqual([false, true]);
    // The store knows an end that the worker's clock has not come to.
    await s.readSignals(NOW + 5);
    expect(s.mustReadAt(NOW + 5, NOW + 6)).toEqual([false, true]);
    s.now = NOW + 9;
    await s.readSignals(NOW + 5);
    expect(s.mustReadAt(NOW + 9, NOW + 10)).toEqual([false, true]);
  });

  it('are known up to the time at which their read began', async () => {
    const s = new Situation().listen();
    s.meanwhile = () => (s.now += 100);
    await s.readSignals();
    expect(s.mustReadAt(NOW, NOW + 1)).toEqual([false, true]);
  });

  it('are not read where no wait listens, nor before a wait that is over by one', async () => {
    const s = new Situation().awaitChildren();
    expect(s.mustReadAt(NOW)).toEqual([false]);
    s.listen();
    expect(s.mustReadAt(NOW)).toEqual([true]);
    expect(s.reads.mustReadSignals({ ...byTime(NOW), signals: [signal('a')] })).toBe(false);
  });

  it('are read before children decide a wait, as far as their order does not tell', async () => {
    const s = new Situation().listen().awaitChildren();
    const mustRead = (at: number, order: number): boolean => s.reads.mustReadSignals(byChildren(at, order));
    expect(mustRead(1, 1)).toBe(true);
    s.endCount = 2;
    s.meanwhile = () => (s.endCount = 3);
    await s.readSignals();
    expect([mustRead(NOW - 1, 3), mustRead(NOW, 2), mustRead(NOW, 3), mustRead(NOW + 1, 2)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });

  it('are read before a suspension, once a wait listens that began after the last read', async () => {
    const s = new Situation().listen();
    const mustRead = (): boolean => s.reads.mustReadSignals(undefined);
    expect(mustRead()).toBe(false);
    s.reads.listens();
    expect(mustRead()).toBe(true);
    await s.readSignals();
    expect(mustRead()).toBe(false);
    s.meanwhile = () => s.reads.listens();
    await s.readSignals();
    expect(mustRead()).toBe(true);
  });

  it('are read page by page, from the last known one on', async () => {
    const s = new Situation();
    s.pages = [['a', 'b'], ['c']];
    await s.readSignals();
    s.pages = [[]];
    await s.readSignals();
    expect(s.cursors).toEqual([undefined, 'b', 'c']);
    expect([s.known.signalCount, s.known.lastSignal]).toEqual([3, 'c']);
    // A page reads all waits of the run, so pages are as long as they can be.
    expect(new Set(s.limits)).toEqual(new Set([LIMITS.maxPageSize]));
  });
});

describe('ends of children', () => {
  it('are read before a wait is over by time, unless they are known up to its end', async () => {
    const s = new Situation().awaitChildren();
    expect([s.mustLook(CLAIMED_AT), s.mustLook(CLAIMED_AT + 1)]).toEqual([false, true]);
    s.meanwhile = () => (s.now += 100);
    await s.readChildren();
    expect([s.mustLook(NOW), s.mustLook(NOW + 1)]).toEqual([false, true]);
    await s.readChildren(NOW + 500);
    expect([s.mustLook(NOW + 500), s.mustLook(NOW + 501)]).toEqual([false, true]);
  });

  it('are read before a wait is over by a signal, unless the signal was known before the last read of them', async () => {
    const s = new Situation().awaitChildren();
    const [first, second] = [signal('a'), signal('b')];
    s.known.add([first]);
    expect([s.mustLook(CLAIMED_AT - 1, first), s.mustLook(CLAIMED_AT, first)]).toEqual([false, true]);
    s.meanwhile = () => s.known.add([second]);
    await s.readChildren();
    expect([s.mustLook(NOW, first), s.mustLook(NOW, second), s.mustLook(NOW - 1, second)]).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('are not read where no wait is for them, nor before a wait that they decided', () => {
    const s = new Situation().listen();
    expect(s.mustLook(NOW)).toBe(false);
    s.awaitChildren();
    expect(s.reads.mustReadChildren(byTime(NOW), s.known)).toBe(s.children);
    expect(s.reads.mustReadChildren(byChildren(NOW, 1), s.known)).toBeUndefined();
  });
});
