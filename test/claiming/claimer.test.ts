/** The claimer on a store in memory, under a clock that stands still until it is moved. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionOfExecution } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { app, type App, type TaskContext } from '../../src/index.js';
import type { CommandResult } from '../../src/backend/backend.js';
import { Claimer, type ClaimerOptions } from '../../src/claiming/claimer.js';
import { newId } from '../../src/engine/ids.js';
import { CountingClock, watched, type Watched } from './support.js';

const PARTITIONS = 16;
const NOTHING = { ok: true, outcome: { kind: 'no_work', reclaimCapExceeded: [] } } as unknown as CommandResult;

class Setting {
  readonly clock = new CountingClock();
  readonly store: Watched = watched({ partitions: { count: PARTITIONS }, now: () => this.clock.now() });
  readonly claimed: ClaimedExecution[] = [];
  readonly errors: unknown[] = [];
  minted = 0;

  claimer(options: Partial<ClaimerOptions> = {}): Claimer {
    const claimer: Claimer = new Claimer({
      backend: this.store.backend,
      clock: this.clock,
      ids: () => {
        this.minted++;
        return newId();
      },
      workerId: 'w',
      workerInstanceId: 'i',
      lanes: ['l'],
      capabilities: [],
      kinds: () => ['k'],
      slots: 1,
      claimAhead: 0,
      leaseTtlMs: 30_000,
      sweepIntervalMs: 5_000,
      onClaimed: (claimed) => this.claimed.push(claimed),
      onReclaimCapExceeded: () => undefined,
      onError: (error) => this.errors.push(error),
      onIdle: () => true,
      ...options,
    });
    return claimer;
  }

  async create(partition: number, laneId = 'l', executionKind = 'k', policy: object = {}): Promise<string> {
    const executionId = executionIdOf(partition, newId());
    await this.store.backend.createExecution({
      executionId,
      namespace: 'n',
      laneId,
      executionKind,
      creatorIdentity: 'c',
      policy,
    });
    return executionId;
  }
}

describe('an idle claimer', () => {
  it('reads every partition once in a sweep, whatever the number of lanes, and claims nothing', async () => {
    const s = new Setting();
    const lanes = Array.from({ length: 300 }, (_, i) => `lane${i}`);
    const claimer = s.claimer({ lanes, slots: 100 });
    await claimer.start();
    await s.clock.advance(5_000);
    expect(claimer.mode).toBe('idle');
    // 300 lanes do not fit into one read.
    const everyLane = PARTITIONS * 2;
    for (let sweep = 0; sweep < 3; sweep++) {
      s.store.reads.length = 0;
      await s.clock.advance(5_000);
      expect(new Set(s.store.reads.map(({ partition }) => partition)).size).toBe(PARTITIONS);
      expect(s.store.reads.length).toBeGreaterThanOrEqual(everyLane);
      expect(s.store.reads.length).toBeLessThanOrEqual(everyLane * 1.5);
    }
    expect(s.store.claims).toEqual([]);
    await claimer.stop();
    expect(s.clock.timers).toBe(0);
  });

  it('finds work in any lane within one sweep when its wake was lost', async () => {
    const s = new Setting();
    const lanes = Array.from({ length: 100 }, (_, i) => `lane${i}`);
    const claimer = s.claimer({ lanes });
    await claimer.start();
    await s.clock.advance(10);
    s.store.isDeaf = true;
    const executionId = await s.create(9, 'lane77');
    await s.clock.advance(5_000);
    expect(s.claimed.map((each) => each.executionId)).toEqual([executionId]);
    await claimer.stop();
  });

  it('reports an error of its answer handler', async () => {
    const s = new Setting();
    const claimer = s.claimer({
      onClaimed: () => {
        throw new Error('broken');
      },
    });
    await claimer.start();
    await s.clock.advance(10);
    await s.create(3);
    await s.clock.advance(10);
    expect(s.errors.map(String)).toEqual(['Error: broken']);
    await claimer.stop();
  });

  it('finds work repeatedly within one sweep when all wakes are lost', async () => {
    const s = new Setting();
    const claimer = s.claimer();
    await claimer.start();
    await s.clock.advance(10);
    s.store.isDeaf = true;
    for (let again = 0; again < 3; again++) {
      const executionId = await s.create(again * 5);
      await s.clock.advance(5_000);
      expect(s.claimed.at(-1)?.executionId).toBe(executionId);
      claimer.finished(`{fp:${again * 5}}`);
      claimer.pump();
    }
    await claimer.stop();
  });

  it.each([
    ['its own lane', 'later', ['later']],
    ['a lane that is served already', 'lane7', ['lane7']],
    ['a lane that is not served', 'other', []],
  ])('asks only %s for the work of a task that was defined later', async (_, laneId, read) => {
    const s = new Setting();
    const kinds = ['k'];
    const lanes = Array.from({ length: 300 }, (_, i) => `lane${i}`);
    const claimer = s.claimer({ lanes, kinds: () => kinds, slots: 100, sweepIntervalMs: 3_600_000 });
    await claimer.start();
    await s.clock.advance(5_000);
    // Its wake came to nobody.
    s.store.isDeaf = true;
    await s.create(1, laneId, 'new');
    s.store.isDeaf = false;
    s.store.reads.length = 0;
    kinds.push('new');
    if (laneId === 'other') claimer.kindsChanged([laneId]);
    else claimer.serve(laneId);
    await s.clock.advance(1_000);
    expect(s.claimed).toHaveLength(read.length);
    expect(new Set(s.store.reads.flatMap(({ laneIds }) => laneIds))).toEqual(new Set(read));
    await claimer.stop();
  });

  it('looks at every partition once, spread over a moment, after a new subscription', async () => {
    const s = new Setting();
    const claimer = s.claimer({ sweepIntervalMs: 600_000 });
    await claimer.start();
    await s.clock.advance(10);
    s.store.isDeaf = true;
    const executionId = await s.create(7);
    s.store.reads.length = 0;
    s.store.tell({ kind: 'resync' });
    expect(s.store.reads.length).toBe(0);
    await s.clock.advance(300);
    expect(s.claimed.map((each) => each.executionId)).toEqual([executionId]);
    expect(new Set(s.store.reads.map(({ partition }) => partition)).size).toBe(PARTITIONS);
    await claimer.stop();
    expect(s.clock.timers).toBe(0);
  });

  it('sets no timer while all slots are taken', async () => {
    const s = new Setting();
    await s.create(3);
    const claimer = s.claimer();
    await claimer.start();
    await s.clock.advance(10);
    expect(s.claimed).toHaveLength(1);
    expect(claimer.mode).toBe('full');
    expect(s.clock.timers).toBe(0);
    await claimer.stop();
  });
});

describe('metered work', () => {
  const keyedQuotas = [{ quotaPolicyId: '00000000-0000-4000-a000-0000000000f1', maxConcurrent: 1 }];

  /** A claimer of a deployment with meters, whose sweep comes late. */
  async function metering(options: Partial<ClaimerOptions> = {}) {
    const s = new Setting();
    const create = (partition: number): Promise<string> => s.create(partition, 'l', 'k', { keyedQuotas });
    const first = await create(0);
    const claimer = s.claimer({ slots: 4, sweepIntervalMs: 600_000, ...options });
    await claimer.start();
    await s.clock.advance(1_000);
    expect(s.claimed.map((each) => each.executionId)).toEqual([first]);
    /** The claimed work completes. */
    const complete = async (): Promise<void> => {
      const { executionId, leaseId, leaseEpoch, attemptId } = s.claimed.at(-1) as ClaimedExecution;
      await s.store.backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
      claimer.ended(leaseId, true);
      claimer.finished(partitionOfExecution(executionId));
    };
    return { s, create, claimer, complete };
  }

  it('that waits for room begins when its claimer pumps behind a completion', async () => {
    const { s, create, claimer, complete } = await metering();
    const second = await create(0);
    await s.clock.advance(10);
    expect(s.claimed).toHaveLength(1);
    await complete();
    claimer.pump();
    await s.clock.advance(10);
    expect(s.claimed.at(-1)?.executionId).toBe(second);
    await claimer.stop();
  });

  it('is looked for in every partition soon after a new subscription', async () => {
    const { s, create, claimer, complete } = await metering();
    await complete();
    claimer.pump();
    await s.clock.advance(10);
    s.store.isDeaf = true;
    const lost = await create(7);
    await s.clock.advance(10_000);
    expect(s.claimed).toHaveLength(1);
    s.store.tell({ kind: 'resync' });
    await s.clock.advance(300);
    expect(s.claimed.at(-1)?.executionId).toBe(lost);
    await claimer.stop();
  });

  it('of a lane that is added is looked for at once', async () => {
    const { s, claimer, complete } = await metering();
    await complete();
    claimer.pump();
    const early = await s.create(7, 'other', 'k', { keyedQuotas });
    await s.clock.advance(10_000);
    expect(s.claimed).toHaveLength(1);
    claimer.serve('other');
    await s.clock.advance(300);
    expect(s.claimed.at(-1)?.executionId).toBe(early);
    await claimer.stop();
  });

  it('is not claimed while claiming is paused', async () => {
    const { s, create, claimer, complete } = await metering();
    await complete();
    claimer.setPaused(true);
    claimer.pump();
    const second = await create(3);
    await s.clock.advance(60_000);
    expect(s.claimed).toHaveLength(1);
    claimer.setPaused(false);
    await s.clock.advance(10);
    expect(s.claimed.at(-1)?.executionId).toBe(second);
    await claimer.stop();
  });
});

describe('a claim that met a fault', () => {
  it.each([
    ['of one lane', () => [{ ok: false, error: new EngineError('call_timeout', 'late.') } satisfies CommandResult]],
    [
      'as a whole',
      () => {
        throw new EngineError('transport_failed', 'no.');
      },
    ],
  ])('%s does not hide the work: it is claimed a moment later', async (_, fault) => {
    const s = new Setting();
    const claimer = s.claimer({ sweepIntervalMs: 600_000 });
    await claimer.start();
    await s.clock.advance(10);
    let faults = 3;
    s.store.intercept = () => (faults-- > 0 ? fault() : undefined);
    const executionId = await s.create(2);
    await s.clock.advance(1_000);
    expect(s.errors).toHaveLength(3);
    expect(s.claimed.map((each) => each.executionId)).toEqual([executionId]);
    await claimer.stop();
  });

  it('in its second part reduces only the requests for the late lane', async () => {
    const s = new Setting();
    const lanes = ['l', 'm'];
    const claimer = s.claimer({ lanes, slots: 64, sweepIntervalMs: 600_000 });
    await claimer.start();
    await s.clock.advance(10);
    const late: CommandResult = { ok: false, error: new EngineError('call_timeout', 'late.') };
    s.store.intercept = (commands) => commands.map((_, index) => (index === 0 && commands.length > 1 ? NOTHING : late));
    for (const laneId of lanes) await s.create(2, laneId);
    s.store.claims.length = 0;
    await s.clock.advance(60_000);
    expect(s.store.claims.filter(({ laneId }) => laneId === 'm').at(-1)?.count).toBe(1);
    s.store.intercept = undefined;
    await s.clock.advance(60_000);
    expect(s.claimed).toHaveLength(2);
    await claimer.stop();
  });

  it('frees the slots that it reserved', async () => {
    const s = new Setting();
    const claimer = s.claimer({ slots: 4 });
    s.store.intercept = () => {
      throw new Error('broken');
    };
    await claimer.start();
    await s.clock.advance(30_000);
    s.store.intercept = undefined;
    for (let partition = 0; partition < 4; partition++) await s.create(partition);
    await s.clock.advance(15_000);
    expect(s.claimed).toHaveLength(4);
    await claimer.stop();
    expect(s.clock.timers).toBe(0);
  });
});

describe('subscribing', () => {
  it('is repeated until it succeeds, and finds work that was created meanwhile', async () => {
    const s = new Setting();
    let tries = 0;
    const { onWake } = s.store.backend;
    s.store.backend.onWake = async (...args) => {
      if (++tries < 4) throw new EngineError('transport_failed', 'no.');
      return onWake(...args);
    };
    const claimer = s.claimer({ sweepIntervalMs: 600_000 });
    await claimer.start();
    await s.clock.advance(1);
    const executionId = await s.create(9);
    await s.clock.advance(5_000);
    expect(tries).toBe(4);
    expect(s.claimed.map((each) => each.executionId)).toEqual([executionId]);
    await claimer.stop();
    expect(s.clock.timers).toBe(0);
  });

  it('is not repeated after the claimer has stopped', async () => {
    const s = new Setting();
    let tries = 0;
    s.store.backend.onWake = async () => {
      tries++;
      throw new EngineError('transport_failed', 'no.');
    };
    const claimer = s.claimer();
    await claimer.start();
    await s.clock.advance(500);
    await claimer.stop();
    expect(s.clock.timers).toBe(0);
    const before = tries;
    await s.clock.advance(60_000);
    expect(tries).toBe(before);
  });

  it('ends with the claimer, also when it succeeds only afterwards', async () => {
    const s = new Setting();
    let ended = 0;
    let stand: () => void = () => undefined;
    s.store.backend.onWake = () =>
      new Promise((resolve) => {
        stand = () => resolve(() => void ended++);
      });
    const claimer = s.claimer();
    const starting = claimer.start();
    await claimer.stop();
    stand();
    await starting;
    expect(ended).toBe(1);
    expect(s.store.claims).toEqual([]);
    expect(s.clock.timers).toBe(0);
  });
});

describe('kinds', () => {
  it('of the worker are named in its claims, including kinds added later', async () => {
    const s = new Setting();
    const named: unknown[] = [];
    s.store.intercept = (commands) => {
      for (const { name, args } of commands) if (name === 'claimForWorker') named.push(args.kinds);
      return undefined;
    };
    const kinds = ['k'];
    const claimer = s.claimer({ kinds: () => kinds });
    await claimer.start();
    await s.clock.advance(10);
    expect(named).toEqual([]);
    await s.create(1);
    await s.clock.advance(10);
    expect(named).toEqual([['k']]);
    claimer.finished('{fp:1}');
    kinds.push('later');
    claimer.serve('l');
    await s.create(2);
    await s.clock.advance(10);
    expect(named.at(-1)).toEqual(['k', 'later']);
    await claimer.stop();
  });
});

describe('workers', () => {
  let a: App | undefined;
  afterEach(() => a?.close());

  it('start urgent work of any partition next, within two rounds of their slots', async () => {
    for (const slots of [1, 10]) {
      const clock = new CountingClock();
      const store = watched({ partitions: { count: PARTITIONS }, now: () => clock.now() });
      a = app({ backend: store.backend, clock });
      const order: string[] = [];
      const task = a.task('t', async ({ input }: TaskContext<string>) => {
        order.push(input);
        await new Promise<void>((resolve) => clock.after(2, resolve));
      });
      const low = task.runMany(Array.from({ length: 600 }, () => 'low'));
      await clock.advance(0);
      await low;
      const starting = a.worker({ slots, engine: false });
      await clock.advance(0);
      await starting;
      while (order.length < 100) await clock.advance(1);
      await task.run('urgent', { priority: 9_000 });
      const before = order.length;
      while (!order.includes('urgent')) await clock.advance(1);
      expect(order.indexOf('urgent') - before).toBeLessThanOrEqual(2 * slots);
      const closing = a.close();
      await clock.advance(60_000);
      await closing;
      a = undefined;
    }
  });

  it('start all urgent work of a lane before other work that also waited before they began, in any partition', async () => {
    for (const slots of [1, 10]) {
      const clock = new CountingClock();
      const store = watched({ partitions: { count: PARTITIONS }, now: () => clock.now() });
      a = app({ backend: store.backend, clock });
      const order: string[] = [];
      const task = a.task('t', async ({ input }: TaskContext<string>) => {
        order.push(input);
        await new Promise<void>((resolve) => clock.after(2, resolve));
      });
      const created = Promise.all([
        task.runMany(Array.from({ length: 600 }, () => 'low')),
        task.runMany(
          Array.from({ length: 20 }, () => 'urgent'),
          { priority: 9_000 },
        ),
      ]);
      await clock.advance(0);
      await created;
      const starting = a.worker({ slots, engine: false });
      await clock.advance(0);
      await starting;
      const isUrgent = (each: string): boolean => each === 'urgent';
      while (order.filter(isUrgent).length < 20) await clock.advance(1);
      const low = order.slice(0, order.lastIndexOf('urgent')).filter((each) => !isUrgent(each));
      expect(low.length).toBeLessThanOrEqual(2 * slots);
      const closing = a.close();
      await clock.advance(60_000);
      await closing;
      a = undefined;
    }
  });

  it('that are closed are released by their app', async () => {
    a = app({ backend: watched({}).backend });
    a.task('t', () => 1);
    const closed = await (async (of: App) => {
      const worker = await of.worker({ engine: false });
      await worker.close();
      return new WeakRef(worker);
    })(a);
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    for (let turn = 0; turn < 10 && closed.deref() !== undefined; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      collectGarbage();
    }
    expect(closed.deref()).toBe(undefined);
  });
});
