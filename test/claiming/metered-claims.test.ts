/** Claims of metered work over a store in memory and under virtual time: what is asked, when, and what is given back. */
import { describe, expect, it } from 'vitest';
import { partitionKeyOf } from '../../model/ids.js';
import { RETURN_GRACE_MS } from '../../model/limits.js';
import { meterSetOf, metersOf, type KeyedQuota } from '../../model/metering/meters.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { Abilities } from '../../src/claiming/abilities.js';
import type { MeteredPlace } from '../../src/claiming/admissions.js';
import { MeteredClaims } from '../../src/claiming/metered-claims.js';
import { seededUuids } from '../../src/testing/index.js';
import { CountingClock, watched } from './support.js';

type Limits = Omit<Partial<KeyedQuota>, 'quotaPolicyId'>;

const WORKER = '00000000-0000-4000-a000-0000000000a1';
const LANE = 'mail';
const SWEEP_MS = 30_000;

/** A worker with so much room for metered work, and what it got. */
class Situation {
  readonly clock = new CountingClock(1_700_000_000_000);
  readonly ids = seededUuids('metered claims');
  readonly store = watched({ partitions: { count: 3 }, now: this.clock.now });
  readonly got: string[] = [];
  readonly errors: unknown[] = [];
  readonly claims: MeteredClaims;
  /** Claims that were made of the policy, in order: how many were asked for. */
  readonly asked: number[] = [];
  /** Called before an answer to a claim is given. */
  beforeAnswer: () => Promise<void> = async () => undefined;
  lanes = [LANE];
  /** Lanes of which no more may be on its way. */
  readonly fullLanes = new Set<string>();
  /** Number of reads of queues, and what their answers wait for. */
  reads = 0;
  beforeHeads: Promise<void> | undefined;
  failsNext: Error | undefined;
  /** Whether a policy is at its limit for a day, whatever the store says. */
  refuses: (quotaPolicyId: string) => boolean = () => false;
  private readonly claimed = new Map<string, ClaimedExecution>();
  private readonly flights = new Set<Promise<void>>();

  private constructor(
    private room: number,
    capabilities: readonly string[],
  ) {
    const inner = this.store.backend;
    const backend = Object.assign(Object.create(inner) as typeof inner, {
      checkAdmission: async (args: Parameters<typeof inner.checkAdmission>[0]) => {
        this.asked.push(args.admissionIds.length);
        if (this.refuses(args.quotaPolicyId)) return { kind: 'rate_exceeded', retryAfterMs: 86_400_000 } as const;
        const error = this.failsNext;
        this.failsNext = undefined;
        if (error !== undefined) throw error;
        return inner.checkAdmission(args);
      },
      listMeteredHeads: async (args: Parameters<typeof inner.listMeteredHeads>[0]) => {
        this.reads++;
        await this.beforeHeads;
        return inner.listMeteredHeads(args);
      },
      claimForWorker: async (args: Parameters<typeof inner.claimForWorker>[0]) => {
        const outcome = await inner.claimForWorker(args);
        await this.beforeAnswer();
        return outcome;
      },
    });
    const claimant = {
      workerId: 'w',
      workerInstanceId: WORKER,
      workerCapabilities: [...capabilities],
      leaseTtlMs: 60_000,
    };
    this.claims = new MeteredClaims({
      ...{ backend, clock: this.clock, ids: this.ids, workerInstanceId: WORKER, sweepIntervalMs: SWEEP_MS },
      lanes: () => this.lanes,
      claimant: () => claimant,
      abilities: () => new Abilities(capabilities),
      hasRoom: () => this.room > 0,
      reserve: ({ laneId }, wanted) => (this.fullLanes.has(laneId) ? 0 : this.reserved(wanted)),
      settle: (_, count, got) => (this.room += count - got),
      onClaimed: (claimed) => {
        this.claimed.set(claimed.executionId, claimed);
        this.got.push(claimed.executionId);
      },
      onAnswer: () => undefined,
      onReclaimCapExceeded: () => undefined,
      onError: (error) => this.errors.push(error),
      onRoom: () => this.claims.pump(),
      track: (flight) => {
        this.flights.add(flight);
        void flight.finally(() => this.flights.delete(flight));
      },
    });
  }

  /** With policies that have this many slots each. */
  static async with(options: { room: number; slots: readonly number[]; capabilities?: readonly string[] }) {
    const s = new Situation(options.room, options.capabilities ?? []);
    for (const [index, maxConcurrent] of options.slots.entries())
      await s.store.backend.createQuotaPolicy({ quotaPolicyId: policyId(index), maxConcurrent });
    await s.hear();
    return s;
  }

  /** Wakes reach it, as a claimer passes them on. */
  private hear(): Promise<unknown> {
    return this.store.backend.onWake([LANE], (wake) => {
      if (wake.kind === 'resync') this.claims.resynced();
      else this.claims.woken(wake);
      this.claims.pump();
    });
  }

  private reserved(wanted: number): number {
    const count = Math.min(this.room, wanted);
    this.room -= count;
    return count;
  }

  get free(): number {
    return this.room;
  }

  /** An execution ends, and its room with it. */
  async end(executionId: string): Promise<void> {
    this.room++;
    await this.store.backend.releaseAdmission({
      quotaPolicyId: policyId(0),
      admissionIds: [(this.claimed.get(executionId) as ClaimedExecution).leaseId],
    });
  }

  /** Another worker asks the first policy for a slot, and waits when it is refused. */
  async askFor(worker: string, admissionId: string): Promise<void> {
    const meters = meterSetOf(metersOf({ quotaPolicyIds: [policyId(0)] }));
    await this.store.backend.checkAdmission({
      ...{
        quotaPolicyId: policyId(0),
        admissionIds: [admissionId],
        partition: partitionKeyOf(0),
        laneId: LANE,
        meters,
      },
      ...{ workerInstanceId: `00000000-0000-4000-a000-0000000000${worker}`, waiterTtlMs: 60_000 },
    });
  }

  async create(policy = 0, needs: readonly string[] = []): Promise<string> {
    const executionId = `${partitionKeyOf(0)}:${this.ids()}`;
    await this.store.backend.createExecution({
      ...{ executionId, namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'test' },
      policy: { quotaPolicyIds: [policyId(policy)], routingRequirements: { requiredCapabilities: [...needs] } },
    });
    return executionId;
  }

  /** Work of a tenant with limits: by default, one runs at a time. */
  async createFor(tenant: number, { partition = 0, limits = { maxConcurrent: 1 } as Limits } = {}): Promise<string> {
    const executionId = `${partitionKeyOf(partition)}:${this.ids()}`;
    const keyedQuotas = [{ quotaPolicyId: tenantId(tenant), ...limits }];
    await this.store.backend.createExecution({
      ...{ executionId, namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'test' },
      policy: { keyedQuotas },
    });
    return executionId;
  }

  /** A worker completes an execution, and says so. */
  async complete(executionId: string): Promise<void> {
    this.room++;
    const { leaseId, leaseEpoch, attemptId } = this.claimed.get(executionId) as ClaimedExecution;
    const fence = { leaseId, leaseEpoch, attemptId };
    await this.store.backend.completeExecution({ executionId, fence });
    this.claims.ended(leaseId, true);
    this.claims.flush();
    this.claims.pump();
  }

  async createAndRest(policy = 0): Promise<string> {
    const executionId = await this.create(policy);
    await this.rest();
    return executionId;
  }

  async heldOf(policy = 0): Promise<number> {
    return (await this.store.backend.readQuotaPolicyLimits({ quotaPolicyId: policyId(policy) }))?.held ?? 0;
  }

  /** Lets everything come to rest. */
  async rest(): Promise<void> {
    await this.clock.advance(1);
    while (this.flights.size > 0) await Promise.all(this.flights);
  }
}

const placeOf = (tenant: number, partition: number): MeteredPlace => {
  const limits = { windowSeconds: 0, maxRequestsPerWindow: 0, maxConcurrent: 1 };
  const meters = meterSetOf(metersOf({ keyedQuotas: [{ quotaPolicyId: tenantId(tenant), ...limits }] }));
  return { laneId: LANE, partition: partitionKeyOf(partition), meters };
};
const HEAD = { executionKind: 'k', priority: 0, requiredCapabilities: [] };
const tenantId = (index: number): string => `00000000-0000-4000-a000-00000000${String(index).padStart(4, '0')}`;
const policyId = (index: number): string => `00000000-0000-4000-a000-0000000000f${index}`;

describe('metered claims', () => {
  it('send no calls and set no timer while the deployment has no meters', async () => {
    const s = await Situation.with({ room: 2, slots: [] });
    s.claims.start();
    s.claims.pump();
    await s.clock.advance(10 * SWEEP_MS);
    expect([s.asked, s.clock.timers]).toEqual([[], 0]);
  });

  it('follow a wake, and return admissions that were not used for a claim', async () => {
    const s = await Situation.with({ room: 3, slots: [5] });
    const id = await s.create();
    await s.rest();
    expect([s.got, s.asked, s.free, await s.heldOf()]).toEqual([[id], [3], 2, 1]);
    expect(s.clock.timers).toBe(0);
  });

  it('pass over a lane of which enough is on its way', async () => {
    const s = await Situation.with({ room: 3, slots: [5] });
    s.fullLanes.add('large');
    const meters = meterSetOf(metersOf({ quotaPolicyIds: [policyId(0)] }));
    s.claims.woken({ kind: 'metered', laneId: 'large', partition: partitionKeyOf(0), meters, ...HEAD });
    // The set that was announced last gets every second turn only.
    const ids = [await s.createFor(1), await s.createFor(2), await s.createFor(3)];
    await s.rest();
    expect(s.got).toEqual(ids);
  });

  it('notice work that is created while a call is answered', async () => {
    const s = await Situation.with({ room: 3, slots: [5] });
    let second: string | undefined;
    s.beforeAnswer = async () => {
      second ??= await s.create();
    };
    const first = await s.create();
    await s.rest();
    expect(s.got).toEqual([first, second]);
  });

  it('do not ask again for a refused set until its policy announces room', async () => {
    const s = await Situation.with({ room: 3, slots: [1] });
    const ids = [await s.createAndRest(), await s.createAndRest()];
    expect(s.got).toEqual(ids.slice(0, 1));
    const asked = s.asked.length;
    s.claims.pump();
    await s.clock.advance(4_000);
    expect(s.asked.length).toBe(asked);
    await s.end(ids[0] as string);
    await s.rest();
    expect(s.got).toEqual(ids);
  });

  it('ask again for a refused set after five seconds without an announcement, and not earlier', async () => {
    const s = await Situation.with({ room: 3, slots: [1] });
    const ids = [await s.createAndRest(), await s.createAndRest()];
    const asked = s.asked.length;
    s.store.isDeaf = true;
    await s.end(ids[0] as string);
    await s.clock.advance(4_900);
    expect([s.got.length, s.asked.length]).toEqual([1, asked]);
    await s.clock.advance(200);
    await s.rest();
    expect(s.got).toEqual(ids);
  });

  it('start work within five seconds where room was announced to dead workers only', async () => {
    const s = await Situation.with({ room: 3, slots: [1] });
    const admissionId = s.ids();
    await s.askFor('f0', admissionId);
    for (const dead of ['d1', 'd2', 'd3']) await s.askFor(dead, s.ids());
    await s.rest();
    const id = await s.createAndRest();
    await s.store.backend.releaseAdmission({ quotaPolicyId: policyId(0), admissionIds: [admissionId] });
    await s.rest();
    expect([s.got, await s.heldOf()]).toEqual([[], 0]);
    await s.clock.advance(5_000);
    await s.rest();
    expect(s.got).toEqual([id]);
  });

  it('start work within five seconds where a freed rate was announced to a dead worker only', async () => {
    const s = await Situation.with({ room: 3, slots: [] });
    const limits = { windowSeconds: 3_600, maxRequestsPerWindow: 1 };
    await s.store.backend.createQuotaPolicy({ quotaPolicyId: policyId(0), ...limits });
    const admissionId = s.ids();
    await s.askFor('f0', admissionId);
    await s.askFor('d1', s.ids());
    await s.rest();
    const id = await s.createAndRest();
    await s.store.backend.releaseAdmission({
      ...{ quotaPolicyId: policyId(0), admissionIds: [admissionId], unused: true },
    });
    await s.rest();
    expect(s.got).toEqual([]);
    await s.clock.advance(5_000);
    await s.rest();
    expect(s.got).toEqual([id]);
  });

  it('ask again at once for a set that was refused while its policy announced room', async () => {
    const s = await Situation.with({ room: 3, slots: [] });
    const first = await s.createFor(1);
    await s.rest();
    let isAsked = false;
    s.refuses = () => {
      if (!isAsked) s.claims.woken({ kind: 'room_for', ...placeOf(1, 0), workerInstanceId: WORKER, wanted: 1 });
      const isFirst = !isAsked;
      isAsked = true;
      return isFirst;
    };
    await s.complete(first);
    const second = await s.createFor(1);
    await s.rest();
    expect(isAsked).toBe(true);
    expect(s.got).toEqual([first, second]);
    expect(s.clock.timers).toBeLessThanOrEqual(1);
  });

  it('ask again for each refused set at its own time, with one timer', async () => {
    const s = await Situation.with({ room: 9, slots: [] });
    s.failsNext = new Error('no answer');
    // A fault is over after one second, a refusal after five.
    const failed = await s.createFor(1);
    await s.rest();
    s.refuses = (quotaPolicyId) => quotaPolicyId === tenantId(2);
    const refused = await s.createFor(2);
    await s.rest();
    expect([s.got, s.clock.timers]).toEqual([[], 1]);
    s.refuses = () => false;
    await s.clock.advance(900);
    expect(s.got).toEqual([]);
    await s.clock.advance(200);
    await s.rest();
    expect([s.got, s.clock.timers]).toEqual([[failed], 1]);
    await s.clock.advance(3_800);
    expect(s.got).toEqual([failed]);
    await s.clock.advance(200);
    await s.rest();
    expect([s.got, s.clock.timers]).toEqual([[failed, refused], 0]);
  });

  it('ask rarely for each of many refused sets: a hundred times a second in all', async () => {
    const s = await Situation.with({ room: 800, slots: [] });
    const limits = { windowSeconds: 3_600, maxRequestsPerWindow: 1 };
    for (let tenant = 0; tenant < 700; tenant++)
      for (const _ of ['runs', 'waits']) await s.createFor(tenant, { limits });
    await s.rest();
    expect(s.got.length).toBe(700);
    // Those that were refused first leave their sets alone for less: not many were known yet.
    await s.clock.advance(7_100);
    await s.rest();
    const asked = s.asked.length;
    await s.clock.advance(14_000);
    await s.rest();
    expect(s.asked.length - asked).toBe(1_400);
  });

  it('ask again at once when wakes may have been lost', async () => {
    const s = await Situation.with({ room: 3, slots: [1] });
    const ids = [await s.createAndRest(), await s.createAndRest()];
    s.store.isDeaf = true;
    await s.end(ids[0] as string);
    s.store.tell({ kind: 'resync' });
    await s.rest();
    expect(s.got).toEqual(ids);
  });

  it('give one set no more than the room, and take sets in turn', async () => {
    const s = await Situation.with({ room: 1, slots: [5, 5] });
    const ids: string[] = [];
    for (const policy of [0, 0, 0, 1]) ids.push(await s.createAndRest(policy));
    expect([s.got, s.free]).toEqual([ids.slice(0, 1), 0]);
    for (let ended = 0; ended < 3; ended++) {
      await s.end(s.got[ended] as string);
      s.claims.pump();
      await s.rest();
    }
    const [a, b, c, other] = ids;
    expect(s.got).toEqual([a, b, other, c]);
  });

  it('do not delay a tenant with room behind any number of tenants at their limits', async () => {
    const s = await Situation.with({ room: 42, slots: [] });
    for (let tenant = 0; tenant < 40; tenant++) for (const _ of ['runs', 'waits']) await s.createFor(tenant);
    await s.rest();
    expect([s.got.length, s.free]).toEqual([40, 2]);
    // Every set is asked again, all of them in vain.
    s.store.tell({ kind: 'resync' });
    const asked = s.asked.length;
    const free = await s.createFor(99);
    await s.rest();
    expect(s.got.at(-1)).toBe(free);
    expect(s.asked.length - asked).toBe(1);
  });

  it('start the work of a tenant with room, however many sets of other tenants are refused for a day', async () => {
    const s = await Situation.with({ room: 20, slots: [] });
    s.refuses = (quotaPolicyId) => quotaPolicyId < tenantId(9_000);
    for (let tenant = 0; tenant < 626; tenant++)
      for (let partition = 0; partition < 16; partition++)
        s.claims.woken({ kind: 'metered', ...placeOf(tenant, partition), ...HEAD });
    s.claims.pump();
    await s.rest();
    const told = await s.createFor(9_001);
    await s.rest();
    s.store.isDeaf = true;
    const withRoom = await s.createFor(9_002);
    s.claims.woken({ kind: 'room_for', ...placeOf(9_002, 0), workerInstanceId: WORKER, wanted: 1 });
    s.claims.pump();
    await s.rest();
    const found = await s.createFor(9_003);
    s.claims.start();
    s.claims.pump();
    await s.rest();
    expect(s.got).toEqual([told, withRoom, found]);
  });

  it('start as many runs per window as the rate admits, however many earlier runs still run', async () => {
    const s = await Situation.with({ room: 50, slots: [] });
    const limits = { windowSeconds: 1, maxRequestsPerWindow: 2 };
    for (let run = 0; run < 8; run++) await s.createFor(1, { limits });
    await s.rest();
    const started = [s.got.length];
    for (let window = 0; window < 3; window++) {
      await s.clock.advance(1_000);
      await s.rest();
      started.push(s.got.length);
    }
    expect([started, Math.max(...s.asked)]).toEqual([[2, 4, 6, 8], 2]);
  });

  it('ask for a tenant in another partition as soon as a call used less than it reserved', async () => {
    const s = await Situation.with({ room: 5, slots: [] });
    const limits = { maxConcurrent: 3 };
    const ids = [];
    for (const partition of [0, 1, 2]) ids.push(await s.createFor(1, { partition, limits }));
    await s.rest();
    expect([[...s.got].sort(), s.free]).toEqual([[...ids].sort(), 2]);
  });

  it('ask for a tenant in another partition as soon as a call failed', async () => {
    const s = await Situation.with({ room: 5, slots: [] });
    const limits = { maxConcurrent: 2 };
    s.failsNext = new Error('no answer');
    const failed = await s.createFor(1, { limits });
    const other = await s.createFor(1, { partition: 1, limits });
    await s.rest();
    expect(s.got).toEqual([other]);
    await s.clock.advance(1_100);
    await s.rest();
    expect(s.got).toEqual([other, failed]);
  });

  it('return the slot of completed work at once, and settle it well before its outbox entry is due', async () => {
    const s = await Situation.with({ room: 2, slots: [] });
    const ids = [await s.createFor(1), await s.createFor(1)];
    await s.rest();
    const asked = s.asked.length;
    await s.complete(s.got[0] as string);
    await s.rest();
    // The release leaves with the ask: no wake is needed between them.
    expect([[...s.got].sort(), s.asked.length]).toEqual([[...ids].sort(), asked + 1]);
    await s.clock.advance(RETURN_GRACE_MS - 1);
    await s.rest();
    const due = await s.store.backend.applyDue({ partition: partitionKeyOf(0) });
    expect(due).toMatchObject({ kind: 'applied', deliveries: [] });
    expect(s.errors).toEqual([]);
  });

  it('pause for a second after a fault, report it, and hold no slots meanwhile', async () => {
    const s = await Situation.with({ room: 2, slots: [5] });
    s.failsNext = new Error('no answer');
    const id = await s.create();
    await s.rest();
    expect([s.errors.map(String), s.got, s.free]).toEqual([['Error: no answer'], [], 2]);
    await s.clock.advance(900);
    expect(s.got).toEqual([]);
    await s.clock.advance(200);
    await s.rest();
    expect(s.got).toEqual([id]);
  });

  it('look for work repeatedly without wakes, once there are meters', async () => {
    const s = await Situation.with({ room: 2, slots: [5] });
    s.store.isDeaf = true;
    s.claims.start();
    s.claims.pump();
    await s.rest();
    const id = await s.create();
    await s.clock.advance(SWEEP_MS / 3 - 1_000);
    expect(s.got).toEqual([]);
    await s.clock.advance(SWEEP_MS);
    await s.rest();
    expect(s.got).toEqual([id]);
    const later = await s.create();
    await s.clock.advance(SWEEP_MS);
    await s.rest();
    expect(s.got).toEqual([id, later]);
  });

  it.each([
    [100, 1],
    [1_000, 4],
  ])(
    'read all queues of %i lanes of a partition with %i reads, and one partition after another',
    async (lanes, pages) => {
      const s = await Situation.with({ room: 2, slots: [5] });
      s.lanes = Array.from({ length: lanes }, (_, index) => `${LANE}${index}`);
      s.claims.start();
      s.claims.pump();
      await s.rest();
      const atStart = 3 * pages;
      expect(s.reads).toBe(atStart);
      await s.clock.advance(SWEEP_MS / 3);
      expect(s.reads - atStart).toBe(pages);
      let answer = (): void => undefined;
      s.beforeHeads = new Promise((resolve) => (answer = resolve));
      await s.clock.advance(10 * SWEEP_MS);
      expect(s.reads - atStart).toBe(2 * pages);
      answer();
      await s.clock.advance(SWEEP_MS);
      expect(s.reads - atStart).toBeGreaterThanOrEqual(5 * pages);
    },
  );

  it('find work of a lane that was added, before the sweep comes to it', async () => {
    const s = await Situation.with({ room: 2, slots: [5] });
    s.lanes = ['other'];
    s.claims.start();
    s.claims.pump();
    await s.rest();
    s.store.isDeaf = true;
    const id = await s.create();
    s.lanes = ['other', LANE];
    s.claims.look();
    await s.clock.advance(300);
    await s.rest();
    expect(s.got).toEqual([id]);
  });

  it('skip work whose needs they lack, announced or found', async () => {
    const s = await Situation.with({ room: 2, slots: [5], capabilities: ['cpu'] });
    await s.create(0, ['gpu']);
    s.claims.start();
    s.claims.pump();
    await s.clock.advance(3 * SWEEP_MS);
    expect([s.asked, s.got]).toEqual([[], []]);
    const id = await s.create(0, ['cpu']);
    await s.rest();
    expect(s.got).toEqual([id]);
  });

  it('send nothing and set no timers once they are stopped', async () => {
    const s = await Situation.with({ room: 3, slots: [1] });
    s.claims.start();
    await s.create();
    await s.create();
    await s.rest();
    expect(s.clock.timers).toBeGreaterThan(0);
    s.claims.stop();
    const asked = s.asked.length;
    expect(s.clock.timers).toBe(0);
    s.claims.pump();
    await s.clock.advance(10 * SWEEP_MS);
    expect(s.asked.length).toBe(asked);
  });
});
