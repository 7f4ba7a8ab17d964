import { describe, expect, it } from 'vitest';
import { EngineError, type Backend, type ErrorCode } from '../../src/index.js';
import { LeaseKeeper, type HeldLease } from '../../src/worker/lease/lease-keeper.js';
import { ManualClock } from './manual-clock.js';

const TTL = 1_000;

interface Call {
  readonly at: number;
  readonly executionIds: string[];
  answer(refused?: readonly string[], code?: ErrorCode): Promise<void>;
  fail(): Promise<void>;
}

/** A keeper over a backend whose answers the test gives, or which answers at once. */
function setUp({ atOnce = false, latencyMs = undefined as number | undefined, chance = 0 } = {}) {
  const clock = new ManualClock(chance);
  const calls: Call[] = [];
  const errors: unknown[] = [];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const execute = (commands: readonly { args: { executionId: string } }[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const executionIds = commands.map(({ args }) => args.executionId);
      const call: Call = {
        at: clock.time,
        executionIds,
        answer: (refused = [], code = 'stale_lease') => {
          resolve(
            executionIds.map((id) =>
              refused.includes(id)
                ? { ok: false, error: new EngineError(code, 'x.') }
                : { ok: true, outcome: { kind: 'renewed', expiresAt: 0 } },
            ),
          );
          return settle();
        },
        fail: () => {
          reject(new EngineError('transport_failed', 'x.'));
          return settle();
        },
      };
      calls.push(call);
      if (atOnce) void call.answer();
      if (latencyMs !== undefined) clock.arrives(clock.time + latencyMs, () => void call.answer());
    });
  const backend = { execute } as unknown as Backend;
  const keeper = new LeaseKeeper({ backend, clock, leaseTtlMs: TTL, onError: (error) => errors.push(error) });
  const lost: [string, string, number][] = [];
  const hold = (executionId: string, partition = '{fp:0}'): HeldLease => {
    const held: HeldLease = {
      executionId,
      partition,
      fence: { leaseId: 'l', leaseEpoch: 1, attemptId: 'a' },
      onLost: (refusal) => lost.push([executionId, refusal?.code ?? 'clock', clock.time]),
    };
    keeper.add(held, clock.time);
    return held;
  };
  return { clock, calls, errors, keeper, lost, hold };
}

describe('the lease keeper', () => {
  it('renews all leases of a partition in one call, every third of their length', async () => {
    const { clock, calls, hold, lost } = setUp({ atOnce: true });
    hold('a');
    hold('b');
    hold('c', '{fp:1}');
    await clock.pass(5 * TTL);
    expect(calls.slice(0, 2).map(({ executionIds }) => executionIds)).toEqual([['a', 'b'], ['c']]);
    expect(calls.length).toBe(2 * 15);
    expect(lost).toEqual([]);
  });

  it('gives a lease up at 90 % of its length when the renewal was sent in time and not answered', async () => {
    const { clock, lost, hold } = setUp();
    hold('a');
    await clock.pass(5 * TTL);
    expect(lost).toEqual([['a', 'clock', 900]]);
  });

  it('repeats a failed renewal soon, and gives the lease up in time all the same', async () => {
    const { clock, calls, errors, lost, hold } = setUp();
    hold('a');
    await clock.pass(400);
    await calls[0]?.fail();
    expect(errors).toHaveLength(1);
    await clock.pass(100);
    expect(calls).toHaveLength(2);
    await calls[1]?.answer();
    // Renewed at 500 at the latest, by a request that started then.
    await clock.pass(300);
    expect(lost).toEqual([]);
    await clock.pass(5 * TTL);
    expect(lost).toHaveLength(1);
    expect(lost[0]?.[2]).toBeGreaterThan(1_300);
    expect(lost[0]?.[2]).toBeLessThanOrEqual(1_400);
  });

  it('counts a lease from the request of its renewal, however late the answer is', async () => {
    const { clock, calls, lost, hold } = setUp();
    hold('a');
    await clock.pass(850);
    expect(calls[0]?.at).toBeLessThan(334);
    await calls[0]?.answer();
    await clock.pass(5 * TTL);
    expect(lost).toEqual([['a', 'clock', (calls[0]?.at as number) + 900]]);
  });

  it('sends a missed renewal in the last tenth after a stall, and accepts its answer', async () => {
    const { clock, calls, lost, hold } = setUp();
    hold('a');
    await clock.stall(950);
    expect(calls).toHaveLength(1);
    expect(lost).toEqual([]);
    await calls[0]?.answer();
    await clock.pass(500);
    expect(lost).toEqual([]);
  });

  it('gives the lease up at its end if that renewal is not answered', async () => {
    const { clock, lost, hold } = setUp();
    hold('a');
    await clock.stall(950);
    await clock.pass(TTL);
    expect(lost).toEqual([['a', 'clock', 1_000]]);
  });

  it('gives the lease up at once after a stall past its end', async () => {
    const { clock, lost, hold } = setUp();
    hold('a');
    await clock.stall(1_001);
    expect(lost).toEqual([['a', 'clock', 1_001]]);
  });

  it('reports a refusal at once, and only for its own lease', async () => {
    const { clock, calls, lost, hold } = setUp();
    hold('a');
    hold('b');
    await clock.pass(340);
    await calls[0]?.answer(['b']);
    expect(lost).toEqual([['b', 'stale_lease', 340]]);
    await clock.pass(340);
    expect(calls[1]?.executionIds).toEqual(['a']);
  });

  it('ignores finished work, also when its renewal was under way', async () => {
    const { clock, calls, keeper, lost, hold } = setUp();
    const held = hold('a');
    await clock.pass(340);
    keeper.remove(held);
    await calls[0]?.answer(['a']);
    await clock.pass(5 * TTL);
    expect(lost).toEqual([]);
    expect(calls).toHaveLength(1);
    expect(keeper.lastsUntil(held)).toBe(-Infinity);
  });

  it('does not confuse two leases of the same execution', async () => {
    const { clock, calls, keeper, lost, hold } = setUp();
    const first = hold('a');
    await clock.pass(340);
    const second = hold('a');
    keeper.remove(first);
    await calls[0]?.answer(['a']);
    expect(lost).toEqual([]);
    expect(keeper.lastsUntil(second)).toBe(1_340);
  });

  it('keeps a new lease when the answer for an earlier one of the same execution is late', async () => {
    const { clock, calls, keeper, lost, hold } = setUp();
    const held = hold('a');
    await clock.pass(340);
    keeper.remove(held);
    keeper.add(held, clock.time);
    await calls[0]?.answer(['a']);
    expect(lost).toEqual([]);
    expect(keeper.lastsUntil(held)).toBe(1_340);
    await clock.pass(340);
    expect(calls).toHaveLength(2);
    keeper.remove(held);
    await clock.pass(5 * TTL);
    expect([calls.length, lost.length]).toEqual([2, 0]);
  });

  it('keeps two leases of the same execution apart', async () => {
    const { clock, calls, keeper, lost, hold } = setUp();
    const first = hold('x');
    clock.time += 10;
    const second = hold('x');
    expect(keeper.lastsUntil(second) - keeper.lastsUntil(first)).toBe(10);
    await clock.pass(400);
    expect(calls[0]?.executionIds).toEqual(['x', 'x']);
    keeper.remove(second);
    expect(keeper.lastsUntil(second)).toBe(-Infinity);
    await calls[0]?.answer(['x']);
    expect(lost.map(([id, code]) => `${id} ${code}`)).toEqual(['x stale_lease']);
    expect(keeper.lastsUntil(first)).toBe(-Infinity);
  });

  it.each([['transport_failed', 'call_timeout', 'server_memory_full', 'server_refused']].flat() as ErrorCode[])(
    'repeats a renewal after a fault of one command: %s',
    async (code) => {
      const { clock, calls, errors, lost, hold } = setUp();
      hold('a');
      hold('b');
      await clock.pass(340);
      await calls[0]?.answer(['a'], code);
      expect(errors).toMatchObject([{ code }]);
      await clock.pass(110);
      // The other lease is not asked for before its time.
      expect(calls[1]?.executionIds).toEqual(['a']);
      await calls[1]?.answer();
      await clock.pass(400);
      expect(lost).toEqual([]);
    },
  );

  it('repeats a renewal until shortly before the end of the lease, and then gives it up', async () => {
    const { clock, calls, lost, hold } = setUp();
    hold('a');
    await clock.pass(340);
    for (let tries = 0; tries < 20; tries++) {
      await calls.at(-1)?.answer(['a'], 'call_timeout');
      await clock.pass(100);
    }
    expect(calls.length).toBeGreaterThanOrEqual(6);
    expect(calls.every(({ at }) => at < TTL)).toBe(true);
    expect(lost).toEqual([['a', 'clock', 900]]);
    expect(clock.pending).toBe(0);
  });

  it('has one timer, for the earliest renewal, and none once it is closed', async () => {
    const { clock, keeper, hold } = setUp({ atOnce: true });
    await clock.pass(200);
    const late = hold('late');
    // Its request began before that of the other: its renewal comes first.
    keeper.add({ ...late, executionId: 'early' }, clock.time - 200);
    expect(clock.pending).toBe(1);
    await clock.pass(50);
    await keeper.close();
    expect(clock.pending).toBe(0);
  });

  describe('when handlers hold the event loop', () => {
    it.each([0.1, 0.3, 0.5, 0.6, 0.66])(
      'for %f of the lease at a time, with one turn between, loses nothing',
      async (share) => {
        for (const chance of [0, 0.5, 0.999]) {
          for (const phase of [0, 0.2, 0.33, 0.34]) {
            const { clock, lost, hold } = setUp({ latencyMs: 1, chance });
            hold('a', '{fp:0}');
            hold('b', '{fp:1}');
            await clock.pass(phase * TTL);
            for (let stretch = 0; stretch < 40; stretch++) await clock.block(share * TTL);
            expect(lost).toEqual([]);
          }
        }
      },
    );

    it('at two places of every turn, each for nearly two thirds of the lease, loses nothing', async () => {
      const shares = [0, 0.1, 0.2, 0.33, 0.34, 0.5, 0.6, 0.65];
      for (const first of shares)
        for (const second of shares) {
          for (const latencyMs of [1, 15]) {
            const { clock, keeper, lost, hold } = setUp({ latencyMs, chance: 0.2 });
            hold('a', '{fp:0}');
            hold('b', '{fp:1}');
            clock.eachTurn(() => {
              keeper.sendDue();
              return true;
            });
            for (let turn = 0; turn < 30; turn++) await clock.blockTwice(first * TTL, second * TTL);
            expect([first, second, latencyMs, lost]).toEqual([first, second, latencyMs, []]);
          }
        }
    });

    it('reads the socket before it judges a lease by a timer', async () => {
      const { clock, lost, hold } = setUp({ latencyMs: 1 });
      hold('a');
      await clock.block(500);
      // Sent at 500, answered at 501, read after the timers of 1 000: by then the first grant is over.
      await clock.block(500);
      expect(lost).toEqual([]);
    });

    it('gives up a lease that no answer in the socket extends', async () => {
      const { clock, lost, hold } = setUp();
      hold('a');
      await clock.block(500);
      await clock.block(500);
      expect(lost).toEqual([['a', 'clock', 1_000]]);
    });

    it('detects a lease whose grant was read late, and renews it before its handler starts', async () => {
      const { clock, calls, keeper, hold } = setUp();
      const fresh = hold('fresh');
      expect(keeper.isStale(fresh)).toBe(false);
      await clock.pass(330);
      expect(keeper.isStale(fresh)).toBe(false);
      await clock.pass(70);
      expect(keeper.isStale(fresh)).toBe(true);
      const confirmed = keeper.confirm(fresh);
      expect(calls).toHaveLength(1);
      await calls[0]?.answer();
      expect(await confirmed).toBe(true);
      expect(keeper.isStale(fresh)).toBe(false);
      const later = keeper.confirm(fresh);
      await calls[1]?.answer(['fresh']);
      expect(await later).toBe(false);
    });
  });
});
