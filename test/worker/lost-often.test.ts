/** Work that takes its worker down again and again does not hold up the work behind it. */
import { afterEach, describe, expect, it } from 'vitest';
import { partitionOfExecution } from '../../model/ids.js';
import { delay, type Backend } from '../../src/index.js';
import { Blockers } from '../../src/worker/lost-work/blockers.js';
import { pauseAfter } from '../../src/worker/lost-work/lost-often.js';
import { RestingKinds } from '../../src/worker/lost-work/resting-kinds.js';
import { harness, LoopClock, type Harness } from './harness.js';
import { ManualClock } from './manual-clock.js';

let h: Harness | undefined;
afterEach(async () => {
  await h?.close();
  h = undefined;
});

const uuid = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** Claims an execution for a worker that dies at once, and lets its lease lapse. */
async function claimedByDead(
  { backend, pass }: Harness,
  executionId: string,
  times: number,
  apartMs = 0,
): Promise<void> {
  for (let time = 1; time <= times; time++) {
    if (time > 1) await pass(apartMs);
    const [result] = await backend.execute([
      {
        name: 'claimForWorker',
        args: {
          ...{ partition: partitionOfExecution(executionId), laneId: 't', workerId: 'dead' },
          ...{ workerInstanceId: uuid(time), leaseTtlMs: 1_000 },
          claims: [{ leaseId: uuid(100 + time), attemptId: uuid(200 + time) }],
        },
      },
    ] as Parameters<Backend['execute']>[0]);
    expect(result).toMatchObject({ ok: true, outcome: { kind: 'claimed' } });
    await pass(1_001);
    await backend.execute([{ name: 'applyDue', args: { partition: partitionOfExecution(executionId) } }]);
  }
}

describe('an execution that lost its worker', () => {
  it('is taken over at once the first time, and later after a pause that grows to a minute', () => {
    expect([0, 1, 2, 3, 4, 7, 8, 100].map(pauseAfter)).toEqual([0, 0, 1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
  });

  it.each([
    [1, 0],
    [2, 500],
    [4, 2_000],
  ])('%i times runs again %i ms after its lease at the earliest, in the same attempt', async (times, earliestMs) => {
    h = harness();
    const seen: [at: number, attempt: number][] = [];
    const { clock } = h;
    const task = h.a.task('t', ({ attempt }) => void seen.push([clock.now(), attempt]));
    const run = await task.run();
    await claimedByDead(h, run.id, times);
    const from = clock.now();
    const worker = await h.worker();
    await h.flow(run.result());
    expect(seen).toHaveLength(1);
    const [[at, attempt]] = seen as [[number, number]];
    expect(at - from).toBeGreaterThanOrEqual(earliestMs);
    expect(at - from).toBeLessThanOrEqual(3 * earliestMs + 100);
    expect(attempt).toBe(times + 1);
    expect(worker.stats()).toMatchObject({ completed: 1, delayed: earliestMs > 0 ? 1 : 0, lost: 0 });
    expect(h.said.some(([, text]) => text.includes(`has lost its worker ${times} times`))).toBe(earliestMs > 0);
  });

  it('is explained with its losses while it is parked, and an hour later without them', async () => {
    h = harness();
    const task = h.a.task('t', ({ attempt }) => (attempt > 3 ? 1 : delay('3h')));
    const run = await task.run();
    await claimedByDead(h, run.id, 2);
    await h.worker();
    await h.until(async () => (await run.state()) === 'delayed');
    const parked = await run.explain();
    expect(parked).toMatchObject({ because: 'waiting_for_delay' });
    expect(parked.sentence).toMatch(
      /^It is delayed until \S+\. It has lost its worker 2 times lately: its handler may /,
    );
    await h.pass(3_601_000);
    expect((await run.explain()).sentence).toMatch(/^It is delayed until \S+\.$/);
  });

  it('runs without a pause when its losses lie more than an hour apart', async () => {
    h = harness();
    const task = h.a.task('t', () => 1);
    const run = await task.run();
    await claimedByDead(h, run.id, 4, 3_600_000);
    await h.pass(3_600_000);
    const worker = await h.worker();
    await h.flow(run.result());
    expect((await run.info()).execution).toMatchObject({ leaseReclaimCount: 4, recentLossCount: 1 });
    expect(worker.stats()).toMatchObject({ completed: 1, delayed: 0 });
  });

  it('runs without a pause when its losses cannot be read', async () => {
    h = harness(() => ({ readExecutionInfo: () => Promise.reject(new Error('no')) }));
    const task = h.a.task('t', () => 1);
    const run = await task.run();
    await claimedByDead(h, run.id, 3);
    const worker = await h.worker();
    await h.flow(run.result());
    expect(worker.stats()).toMatchObject({ completed: 1, delayed: 0 });
  });
});

describe('a task that blocked the event loop', () => {
  it('is not claimed for four times as long, a minute at most, and is claimed again afterwards', async () => {
    const clock = new ManualClock();
    const changes: (readonly string[] | undefined)[] = [];
    const resting: RestingKinds = new RestingKinds(clock, () => changes.push(resting.without(['a', 'b'])));
    expect(resting.rest('a', 3_000)).toBe(12_000);
    expect(resting.without(undefined)).toBeUndefined();
    await clock.pass(6_000);
    expect(resting.rest('a', 100_000)).toBe(60_000);
    await clock.pass(59_999);
    expect(changes).toEqual([['b'], ['b']]);
    await clock.pass(1);
    expect(changes.at(-1)).toEqual(['a', 'b']);
    resting.rest('b', 1);
    resting.close();
    expect(clock.pending).toBe(0);
  });

  it('does not cause a pause for runs beside it, even if they end before the timers after the block', async () => {
    const clock = new LoopClock(1_700_000_000_000);
    h = harness(undefined, { clock });
    let blocks = 0;
    const bad = h.a.task('bad', () => {
      blocks++;
      clock.block(1_200);
    });
    const healthy = h.a.task('healthy', async ({ signal, attempt }) => {
      if (attempt < 4) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      signal.throwIfAborted();
      return attempt;
    });
    const worker = await h.worker({ slots: 4, leaseTtl: 1_000 });
    const run = await healthy.run();
    await h.until(() => worker.stats().running === 1);
    for (let each = 1; each < 4; each++) {
      const { id } = await bad.run();
      await h.until(() => blocks === each);
      await h.a.get(id).cancel();
      // The rest of the task.
      await h.pass(5_000);
      expect((await run.info()).execution?.leaseReclaimCount).toBe(each);
    }
    expect(await h.flow(run.result())).toBe(4);
    expect(h.said.filter(([, text]) => text.includes('attempted again in'))).toEqual([]);
  });
});

describe('the record of blockers', () => {
  it('parks a blocker for four times as long as all parked ones blocked, doubled each time, five minutes at most', () => {
    const blockers = new Blockers(new ManualClock());
    expect(blockers.knows('a')).toBe(false);
    expect(blockers.park('a')).toBeUndefined();
    blockers.blocked('a', 1_000);
    blockers.blocked('b', 2_000);
    expect([blockers.park('a'), blockers.park('b')]).toEqual([4_000, 12_000]);
    const pauses = Array.from({ length: 6 }, () => {
      blockers.blocked('a', 1_000);
      return blockers.park('a');
    });
    expect(pauses).toEqual([12_000, 24_000, 48_000, 96_000, 192_000, 300_000]);
    // Lost again without another block.
    blockers.park('b');
    expect(blockers.park('b')).toBe(12_000);
    blockers.forget('a');
    expect(blockers.knows('a')).toBe(false);
  });

  it('ignores blocks of executions that did not return, and blocks of ten minutes ago', () => {
    const clock = new ManualClock();
    const blockers = new Blockers(clock);
    const blocked = (id: string) => blockers.blocked(id, 1_000);
    // As when the ending is accepted before the block is known.
    blockers.forget('ended');
    blocked('ended');
    blocked('parked');
    expect(blockers.park('parked')).toBe(4_000);
    clock.time = 600_000;
    blocked('next');
    expect(blockers.park('next')).toBe(8_000);
    clock.time = 600_001;
    blocked('last');
    expect(blockers.park('last')).toBe(8_000);
  });

  it('excuses one loss of a run beside a blocker, and no loss of the blocker', () => {
    const blockers = new Blockers(new ManualClock());
    blockers.blocked('bad', 1_000);
    blockers.ranBeside('bad');
    blockers.ranBeside('healthy');
    expect(blockers.park('bad')).toBe(4_000);
    expect(blockers.knows('healthy')).toBe(true);
    expect(blockers.park('healthy')).toBe(0);
    expect(blockers.park('healthy')).toBeUndefined();
  });

  it.each([
    ['one run blocked the loop', 'bad', { bad: 1_000 }, { bad: 1_000, short: 300 }, { bad: 4_000, beside: 0 }],
    ['runs blocked it only together', 'bad', {}, { bad: 300, short: 300 }, {}],
    ['most of the block is not explained', undefined, { bad: 1_000 }, { bad: 1_000 }, { bad: 4_000 }],
  ])('excuses only runs that held no part of the loop, when %s', (_, culprit, blocks, stretches, pauses) => {
    const blockers = new Blockers(new ManualClock());
    const runs = { bad: { executionId: 'bad' }, short: { executionId: 'short' } };
    const runsOf = (named: object) =>
      Object.entries(named).map(([id, ms]) => [runs[id as 'bad'], ms as number] as const);
    const block = { forMs: 2_000, tasks: ['bad'], culprit, hasOthers: false };
    const holders = new Set(runsOf(stretches).map(([run]) => run));
    const inHand = ['bad', 'short', 'beside'];
    blockers.blame({ ...block, blockers: new Map(runsOf(blocks)), holders }, inHand);
    expect(Object.fromEntries(inHand.map((id) => [id, blockers.park(id)]))).toEqual(pauses);
  });

  it('excuses a loss of work that was claimed during the block, because the answer waited for its end', () => {
    const clock = new ManualClock();
    const blockers = new Blockers(clock);
    blockers.arrived('before any block', 0);
    clock.time = 1_000;
    const run = { executionId: 'bad' };
    const block = { forMs: 900, tasks: ['t'], culprit: 't', hasOthers: false, holders: new Set([run]) };
    blockers.blame({ ...block, blockers: new Map([[run, 900]]) }, []);
    blockers.arrived('on its way', 999);
    blockers.arrived('later', 1_000);
    expect(['before any block', 'on its way', 'later'].map((id) => blockers.park(id))).toEqual([
      undefined,
      0,
      undefined,
    ]);
  });

  it('covers a thousand executions', () => {
    const blockers = new Blockers(new ManualClock());
    for (let id = 0; id <= 1_000; id++) blockers.blocked(String(id), 1);
    expect([blockers.knows('0'), blockers.knows('1'), blockers.knows('1000')]).toEqual([false, true, true]);
  });
});
