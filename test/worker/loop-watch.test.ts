/** A worker whose event loop stood still says so, and names the task. */
import { stat } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/engine/clock.js';
import { LoopWatch, type Block, type Watched } from '../../src/worker/event-loop/loop-watch.js';
import type { TaskContext } from '../../src/index.js';
import { block, collectingLog, memoryApp, pause } from '../app/support.js';
import { LoopClock } from './harness.js';
import { ManualClock } from './manual-clock.js';

const LEASE = 12_000;

const runOf = (executionKind: string): Watched => ({ claimed: { executionKind }, isOver: false });

const IDLE = { handler: () => undefined };

function setUp() {
  const clock = new ManualClock();
  const running: Watched[] = [];
  const said: Block<Watched>[] = [];
  const watch = new LoopWatch({
    clock,
    leaseTtlMs: LEASE,
    running: () => running,
    onBlocked: (block) => said.push(block),
  });
  /** Calls a handler that computes for so long. */
  const call = (of: Watched, ms = 0) =>
    watch.measure(of, ms === 0 ? IDLE : { handler: () => void (clock.time += ms) }, undefined);
  return { clock, running, said, watch, call };
}

describe('the watch on the event loop', () => {
  it('ignores blocks too short to cost a lease', async () => {
    const { clock, running, said, call } = setUp();
    running.push(runOf('t'));
    call(runOf('t'));
    for (let stretch = 0; stretch < 20; stretch++) {
      await clock.block(6_900);
      await clock.pass(stretch * 100);
    }
    expect(said).toEqual([]);
  });

  it('reports every block of two thirds of a lease, at any phase of its timer', async () => {
    for (let phase = 0; phase < 1_000; phase += 90) {
      const { clock, running, said, watch, call } = setUp();
      running.push(runOf('a'), runOf('b'), runOf('a'));
      call(runOf('a'));
      await clock.pass(phase);
      await clock.block(8_000);
      expect(said).toHaveLength(1);
      const [{ forMs, tasks, culprit }] = said as [Block<Watched>];
      expect(forMs).toBeGreaterThanOrEqual(7_000);
      expect(forMs).toBeLessThanOrEqual(8_000);
      expect(tasks).toEqual(['a', 'b']);
      expect(culprit).toBeUndefined();
      watch.stop();
    }
  });

  it('identifies the task that blocked in its call, even if it has ended by then', async () => {
    const { clock, running, said, call } = setUp();
    running.push(runOf('other'));
    call(runOf('other'));
    const culprit = runOf('culprit');
    call(culprit, 9_000);
    await clock.block(0);
    const known = { tasks: ['culprit'], culprit: 'culprit', hasOthers: true };
    expect(said).toEqual([
      { ...known, forMs: 9_000, blockers: new Map([[culprit, 9_000]]), holders: new Set([culprit]) },
    ]);
  });

  it('identifies the task whose runs together caused most of a block', async () => {
    const { clock, said, call } = setUp();
    const runs = [...Array.from({ length: 8 }, () => runOf('short')), runOf('other')];
    for (const run of runs) call(run, 1_000);
    call(runOf('brief'), 900);
    await clock.block(0);
    const known = { tasks: ['short'], culprit: 'short', hasOthers: true };
    expect(said).toEqual([{ ...known, forMs: 8_900, blockers: new Map(), holders: new Set(runs) }]);
  });

  it('identifies each of several runs that block one after another', async () => {
    const { clock, said, call } = setUp();
    const runs = [runOf('long'), runOf('long'), runOf('long')];
    for (const run of runs) call(run, 9_000);
    await clock.block(0);
    const [{ culprit, hasOthers, blockers }] = said as [Block<Watched>];
    expect([culprit, hasOthers, [...blockers.keys()]]).toEqual(['long', false, runs]);
  });

  it('counts another task for ten minutes after it ran', async () => {
    for (const [passMs, hasOthers] of [
      [590_000, true],
      [602_000, false],
    ] as const) {
      const { clock, running, said, call } = setUp();
      call(runOf('other'));
      await clock.pass(1_000);
      running.push(runOf('t'));
      await clock.pass(passMs);
      call(runOf('t'), 9_000);
      await clock.block(0);
      expect(said.map((each) => each.hasOthers)).toEqual([hasOthers]);
    }
  });

  it('names the task that was called long before as a candidate, even if its lease is lost by the time of the report', async () => {
    const { clock, running, said, watch, call } = setUp();
    running.push(runOf('culprit'), runOf('other'));
    call(runOf('culprit'));
    await clock.pass(5_000);
    running.shift();
    await clock.block(9_000);
    expect(said.map(({ tasks }) => [...tasks].sort())).toEqual([['culprit', 'other']]);
    watch.stop();
  });

  it('reports a block once when it is read before its timer fires', async () => {
    const { clock, running, said, watch, call } = setUp();
    running.push(runOf('t'));
    call(runOf('t'));
    watch.look();
    expect(said).toEqual([]);
    call(runOf('t'), 9_000);
    watch.look();
    expect(said).toHaveLength(1);
    watch.look();
    await clock.block(0);
    expect(said).toHaveLength(1);
    expect(clock.pending).toBe(1);
    watch.stop();
  });

  it('sets no timer while no handler runs', async () => {
    const { clock, running, call } = setUp();
    running.push(runOf('t'));
    call(runOf('t'));
    await clock.pass(5_000);
    expect(clock.pending).toBe(1);
    running.pop();
    await clock.pass(5_000);
    expect(clock.pending).toBe(0);
  });
});

/** Holds the loop until leases are lost. */
const held = async (_before?: unknown): Promise<void> => block(150);

describe('after a block that no call explains', () => {
  /** A watch with real time, whose loop was blocked once by code of nobody. */
  async function traced() {
    const running: Watched[] = [];
    const said: Block<Watched>[] = [];
    const watch = new LoopWatch<Watched>({
      clock: systemClock,
      leaseTtlMs: 120,
      running: () => running,
      onBlocked: (each) => said.push(each),
    });
    onTestFinished(() => watch.stop());
    const call = <T>(of: Watched, handler: () => T): T => {
      running.push(of);
      return watch.measure(of, { handler }, undefined);
    };
    await call(runOf('first'), async () => {
      await pause(1);
      block(150);
    });
    await pause(30);
    // A busy machine may have stalled the process as well.
    const counted = said.splice(0);
    expect(counted.length).toBeGreaterThan(0);
    expect(counted.filter(({ culprit }) => culprit !== undefined)).toEqual([]);
    return { said, call, watch };
  }

  it.each([
    ['a timer', () => pause(1).then(held)],
    ['an await', async () => held(await pause(1)).then(() => pause(1))],
    ['an immediate', () => new Promise<void>((resolve) => void setImmediate(() => resolve(held())))],
    ['a microtask', () => new Promise<void>((resolve) => queueMicrotask(() => resolve(held())))],
    ['an answer of the system', () => stat('.').then(held)],
  ])('a handler that blocks after %s is identified', async (_, handler) => {
    const { said, call } = await traced();
    const culprit = runOf('culprit');
    await Promise.all([
      call(runOf('before'), () => pause(1)),
      call(culprit, handler),
      call(runOf('after'), () => pause(2)),
    ]);
    await pause(30);
    const [known, ...others] = said.filter(({ blockers }) => blockers.size > 0);
    expect(known).toMatchObject({ tasks: ['culprit'], culprit: 'culprit' });
    expect([...(known?.blockers.keys() ?? [])]).toEqual([culprit]);
    expect(others).toEqual([]);
  });

  it.each([
    ['known if it held the loop for a third of a lease before', [4_100, 9_000], true],
    ['a candidate at its first block otherwise', [9_000], false],
  ])('a handler is %s', async (_, stretches, isCertain) => {
    const clock = new LoopClock(0);
    const log = collectingLog();
    const blocks: unknown[] = [];
    const a = memoryApp({ clock, log: log.log }, { now: clock.now });
    const growing = a.task('growing', async ({ input }: TaskContext<number>) => {
      await new Promise((resolve) => void clock.after(10, resolve as () => void));
      clock.block(input);
      await new Promise((resolve) => void clock.after(10, resolve as () => void));
    });
    const steady = a.task('steady', () => new Promise<void>((resolve) => void clock.after(10_000, resolve)));
    const worker = await a.worker({ slots: 2, leaseTtl: 12_000 });
    worker.on('loopBlocked', (event) => blocks.push(event));
    await steady.runMany([undefined, undefined, undefined]);
    for (const ms of stretches) {
      void growing.run(ms);
      await clock.advance(20_000);
    }
    expect(blocks).toMatchObject([{ tasks: isCertain ? ['growing'] : ['steady', 'growing'], isCertain }]);
    const said = isCertain
      ? 'ms by task "growing".'
      : 'ms. Handlers of "steady", "growing" were running: one of them may';
    expect(log.lines.filter((line) => line.includes(said))).toHaveLength(1);
    const closing = a.close();
    await clock.advance(60_000);
    await closing;
  });

  it('is one warning of the process for a worker that has no log and whose program does not listen', async () => {
    const heard: string[] = [];
    const hear = ({ message }: Error): void => void (message.includes('event loop') && heard.push(message));
    process.on('warning', hear);
    for (const isHeard of [true, false]) {
      const clock = new LoopClock(0);
      const a = memoryApp({ clock }, { now: clock.now });
      const blocking = a.task('blocking', () => clock.block(9_000));
      const worker = await a.worker({ slots: 1, leaseTtl: 12_000 });
      if (isHeard) worker.on('loopBlocked', () => undefined);
      for (let times = 0; times < 2; times++) {
        void blocking.run(undefined);
        await clock.advance(400_000);
      }
      const closing = a.close();
      await clock.advance(60_000);
      await closing;
    }
    await new Promise(setImmediate);
    process.off('warning', hear);
    expect(heard).toEqual([expect.stringMatching(/^flowfabric: The event loop was blocked .* by task "blocking"/)]);
  });

  it.each([
    ['known', undefined],
    ['known, also if the step has a time', '1h'],
  ] as const)('a handler whose step blocks before its first await is %s', async (_, timeout) => {
    const clock = new LoopClock(0);
    const blocks: unknown[] = [];
    const a = memoryApp({ clock }, { now: clock.now });
    const computing = a.task('computing', async ({ step }: TaskContext<undefined>) => {
      await step('load', () => new Promise<void>((resolve) => void clock.after(10, resolve)));
      await step('compute', () => clock.block(9_000), { timeout });
      await new Promise<void>((resolve) => void clock.after(10, resolve));
    });
    const steady = a.task('steady', () => new Promise<void>((resolve) => void clock.after(10_000, resolve)));
    const worker = await a.worker({ slots: 2, leaseTtl: 12_000 });
    worker.on('loopBlocked', (event) => blocks.push(event));
    await steady.runMany([undefined, undefined, undefined]);
    void computing.run(undefined);
    await clock.advance(20_000);
    expect(blocks).toMatchObject([{ tasks: ['computing'], isCertain: true }]);
    const closing = a.close();
    await clock.advance(60_000);
    await closing;
  });

  it('a step in a traced handler is counted once', async () => {
    const { said, call, watch } = await traced();
    const culprit = runOf('culprit');
    let tookMs = 0;
    await call(culprit, async () => {
      await pause(1);
      const startedAt = systemClock.now();
      block(150);
      tookMs = systemClock.now() - startedAt;
      watch.held(culprit, tookMs);
    });
    await pause(30);
    const [known] = said.filter(({ blockers }) => blockers.size > 0);
    expect(known?.blockers.get(culprit)).toBeLessThan(1.5 * tookMs);
  });

  it('code outside of handlers is attributed to no handler, and neither is code that a handler left behind', async () => {
    const { said, call } = await traced();
    const over = { ...runOf('over'), isOver: false };
    await call(over, async () => void setTimeout(() => block(150), 20));
    over.isOver = true;
    await call(runOf('t'), () => pause(60));
    await pause(20);
    expect(said.length).toBeGreaterThan(0);
    const before = said.length;
    block(150);
    await pause(30);
    expect(said.length).toBeGreaterThan(before);
    expect(said.filter(({ culprit }) => culprit !== undefined)).toEqual([]);
  });
});
