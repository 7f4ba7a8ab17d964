/** Long bytes move part by part over a link that they share, under a virtual clock. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { Transfers } from '../../src/valkey/bytes/transfers.js';

const MIB = 1024 * 1024;
const PART = LIMITS.maxPartBytes;
const TTL_MS = 60_000;
const TIMEOUT_MS = 5_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Transfers over a link with a rate, to nodes of which some do not answer. */
function setUp({
  bytesPerSecond = 4 * MIB,
  nodeOf = (_key: string): string => '',
  dead = '',
  lateAs = 'call_timeout' as ErrorCode,
} = {}) {
  const state = { dead, mostBytes: 0, moved: [] as string[], stored: new Map<string, Buffer>(), fault: '' };
  let freeAt = 0;
  let inFlight = 0;
  const carry = async (key: string, bytes: number): Promise<void> => {
    state.mostBytes = Math.max(state.mostBytes, (inFlight += bytes));
    if (state.dead !== '' && key.startsWith(state.dead)) return new Promise(() => undefined);
    freeAt = Math.max(Date.now(), freeAt) + (bytes / bytesPerSecond) * 1_000;
    await new Promise((resolve) => setTimeout(resolve, freeAt - Date.now()));
    inFlight -= bytes;
    if (key === state.fault) throw new EngineError('server_refused', 'no.');
    state.moved.push(key);
  };
  const append = async (key: string, bytes: Buffer): Promise<number> => {
    await carry(key, bytes.length);
    const whole = Buffer.concat([state.stored.get(key) ?? Buffer.alloc(0), bytes]);
    state.stored.set(key, whole);
    return whole.length;
  };
  const client = {
    getrangeBuffer: async (key: string, from: number, to: number) => {
      await carry(key, to + 1 - from);
      return state.stored.get(key)?.subarray(from, to + 1) ?? Buffer.alloc(0);
    },
    set: append,
    append,
    pexpire: () => Promise.resolve(),
    unlink: () => Promise.resolve(),
  };
  const within = <Value>(call: () => Promise<Value>): Promise<Value> =>
    new Promise((resolve, reject) => {
      setTimeout(() => reject(new EngineError(lateAs, 'late.')), TIMEOUT_MS);
      call().then(resolve, reject);
    });
  const retrier = {
    make: within,
    read: within,
    fromNow: () => Date.now() + TIMEOUT_MS,
    isOver: (deadline: number) => Date.now() >= deadline,
  };
  const transfers = new Transfers({ client: () => client, inOneWrite: (send) => send(), retrier, nodeOf });
  /** Stores bytes, and notes when and how it ended. */
  const store = (key: string, bytes: number): { end?: string; at?: number } => {
    const ended: { end?: string; at?: number } = {};
    const note = (end: string): void => void Object.assign(ended, { end, at: Date.now() - startedAt });
    transfers.store(key, Buffer.alloc(bytes), TTL_MS).then(
      (isWhole) => note(isWhole ? 'stored' : 'not stored'),
      ({ code }: EngineError) => note(code),
    );
    return ended;
  };
  /** Reads a page, and notes when it came. In place of one for which there is no room comes its length. */
  const readPage = (key: string, bytes: number): { at?: number; fault?: string } => {
    const ended: { at?: number; fault?: string } = {};
    const answer = async (mostBytes: number) => {
      await carry(key, bytes > mostBytes ? 0 : bytes);
      return bytes > mostBytes ? bytes : [0, [Buffer.alloc(bytes)]];
    };
    transfers
      .readPage(key, (mostBytes) => within(() => answer(mostBytes)))
      .then(
        () => void (ended.at = Date.now() - startedAt),
        ({ code }: EngineError) => void (ended.fault = code),
      );
    return ended;
  };
  const startedAt = Date.now();
  return { state, transfers, store, readPage };
}

it('bytes are returned in order', async () => {
  const { state, transfers } = setUp();
  const bytes = Buffer.from(Array.from({ length: 5 * PART + 7 }, (_, place) => place % 251));
  const stored = transfers.store('k', bytes, TTL_MS);
  await vi.runAllTimersAsync();
  expect(await stored).toBe(true);
  expect(state.moved).toHaveLength(6);
  const fetched = transfers.fetch('k', bytes.length);
  await vi.runAllTimersAsync();
  expect((await fetched)?.equals(bytes)).toBe(true);
});

it('a key with too few bytes is reported as gone', async () => {
  const { state, transfers } = setUp();
  state.stored.set('k', Buffer.alloc(PART));
  const fetched = transfers.fetch('k', PART + 1);
  await vi.runAllTimersAsync();
  expect(await fetched).toBeUndefined();
});

it('at most a MiB is in flight, and 60 transfers of 2 MiB take turns without a timeout', async () => {
  const { state, store } = setUp();
  const all = Array.from({ length: 60 }, (_, each) => store(`k${each}`, 2 * MIB));
  await vi.runAllTimersAsync();
  expect(all.map(({ end }) => end)).toEqual(all.map(() => 'stored'));
  expect(state.mostBytes).toBe(MIB);
  expect(new Set(state.moved.slice(4, 64)).size).toBe(60);
});

it('a short transfer waits for a turn, and not for whole long transfers', async () => {
  const { state, store } = setUp();
  const long = Array.from({ length: 3 }, (_, each) => store(`long${each}`, 8 * MIB));
  await vi.advanceTimersByTimeAsync(1_000);
  const moved = state.moved.length;
  const short = store('short', PART);
  await vi.runAllTimersAsync();
  // Four parts were in flight, and each long transfer had a turn.
  expect(state.moved.indexOf('short') - moved).toBeLessThanOrEqual(4 + 3);
  expect([short, ...long].map(({ end }) => end)).toEqual(['stored', 'stored', 'stored', 'stored']);
});

it('a server that does not answer fails all transfers that have waited for the time of a call, and no newer ones', async () => {
  const { state, store } = setUp({ dead: 'k' });
  const all = Array.from({ length: 20 }, (_, each) => store(`k${each}`, 8 * MIB));
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS - 10);
  const young = store('k', 8 * MIB);
  state.dead = '';
  await vi.advanceTimersByTimeAsync(20);
  expect(all).toEqual(all.map(() => ({ end: 'call_timeout', at: TIMEOUT_MS })));
  expect(young).toEqual({});
  await vi.runAllTimersAsync();
  expect(young.end).toBe('stored');
});

it('a part that times out while others arrive fails its own transfer only', async () => {
  const { store } = setUp({ dead: 'dead' });
  const dead = store('dead', PART);
  const others = Array.from({ length: 4 }, (_, each) => store(`k${each}`, 8 * MIB));
  await vi.runAllTimersAsync();
  expect([dead, ...others].map(({ end }) => end)).toEqual(['call_timeout', 'stored', 'stored', 'stored', 'stored']);
});

it('a fault of a part ends its transfer at once, without its other parts, and no other transfer', async () => {
  const { state, store } = setUp();
  state.fault = 'refused';
  const refused = store('refused', 8 * MIB);
  const other = store('other', 8 * MIB);
  await vi.runAllTimersAsync();
  expect([refused.end, other.end]).toEqual(['server_refused', 'stored']);
  expect(state.moved).toHaveLength(32);
});

it('a part that is stored in the wrong place ends its transfer without the rest', async () => {
  const { state, store } = setUp();
  const stored = store('k', 8 * MIB);
  await vi.advanceTimersByTimeAsync(100);
  state.stored.delete('k');
  await vi.runAllTimersAsync();
  expect(stored.end).toBe('not stored');
  expect(state.moved.length).toBeLessThan(8);
});

it('a node of a cluster that does not answer delays the bytes of its own partitions only', async () => {
  const { store } = setUp({ nodeOf: (key) => key.slice(0, key.indexOf('}')), dead: '{fp:0}' });
  const dead = Array.from({ length: 4 }, (_, each) => store(`{fp:0}:${each}`, 8 * MIB));
  const other = store('{fp:1}', MIB);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(other).toEqual({ end: 'stored', at: 250 });
  await vi.runAllTimersAsync();
  expect(dead).toEqual(dead.map(() => ({ end: 'call_timeout', at: TIMEOUT_MS })));
});

it('partitions of one node share its link', async () => {
  const { state, store } = setUp({ bytesPerSecond: 2 * MIB, nodeOf: (key) => (key.startsWith('{fp:1') ? 'a' : 'b') });
  const all = Array.from({ length: 64 }, (_, each) => store(`{fp:${each}}:k`, MIB));
  await vi.runAllTimersAsync();
  expect(all.map(({ end }) => end)).toEqual(all.map(() => 'stored'));
  expect(state.mostBytes).toBe(2 * MIB);
});

it('transfers to an unreachable server fail together, after the time of a call', async () => {
  const { store } = setUp({ dead: 'k', lateAs: 'transport_failed' });
  const all = Array.from({ length: 20 }, (_, each) => store(`k${each}`, MIB));
  await vi.runAllTimersAsync();
  expect(all).toEqual(all.map(() => ({ end: 'transport_failed', at: TIMEOUT_MS })));
});

it('long pages take turns, four at a time, without a timeout', async () => {
  const { state, readPage } = setUp({ bytesPerSecond: MIB });
  const pages = Array.from({ length: 40 }, (_, each) => readPage(`k${each}`, PART));
  await vi.runAllTimersAsync();
  const times = pages.map(({ at = 0 }) => at);
  // All of them have come when the link has carried their bytes once.
  expect(Math.max(...times)).toBeLessThanOrEqual(40 * 250);
  expect(state.mostBytes).toBe(MIB);
});

it('pages do not wait for parts, and short pages hardly wait for each other', async () => {
  const { state, store, readPage } = setUp({ dead: 'long' });
  const long = store('long', 8 * MIB);
  const short = Array.from({ length: 60 }, (_, each) => readPage(`k${each}`, 1));
  await vi.advanceTimersByTimeAsync(10);
  expect(short.every(({ at }) => at !== undefined)).toBe(true);
  expect(state.moved).toHaveLength(60);
  await vi.runAllTimersAsync();
  expect(long.end).toBe('call_timeout');
});

it('long pages after many short ones leave as few at a time as without them', async () => {
  const { state, readPage } = setUp();
  for (let each = 0; each < 10; each++) readPage(`k${each}`, 1);
  await vi.advanceTimersByTimeAsync(10);
  const long = Array.from({ length: 100 }, (_, each) => readPage(`long${each}`, PART));
  await vi.runAllTimersAsync();
  expect(state.mostBytes).toBeLessThanOrEqual(MIB);
  expect(long.filter(({ at }) => at === undefined)).toEqual([]);
});

it('a page that needs more than all of the room is read alone', async () => {
  const { state, readPage } = setUp();
  const pages = [readPage('k0', PART), readPage('k1', 3 * MIB), readPage('k2', PART)];
  await vi.runAllTimersAsync();
  expect(pages.filter(({ at }) => at === undefined)).toEqual([]);
  expect(state.mostBytes).toBe(3 * MIB);
});

it('pages of a server that does not answer fail together, and no part fails with them', async () => {
  const { store, readPage } = setUp({ dead: 'dead' });
  const pages = Array.from({ length: 20 }, (_, each) => readPage(`dead${each}`, 1));
  const other = store('k', 8 * MIB);
  await vi.runAllTimersAsync();
  expect(pages).toEqual(pages.map(() => ({ fault: 'call_timeout' })));
  expect(other.end).toBe('stored');
});
