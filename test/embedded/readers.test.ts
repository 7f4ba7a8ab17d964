/**
 * A projection that follows a store in files across the deaths of its process, the loss of its power and the trim of its log:
 * at the end it shows what the store holds, or it would have been told.
 */
import { describe, expect, test } from 'vitest';
import type { EmbeddedOptions } from '../../src/embedded/backend.js';
import { abandon, openOn } from '../../src/embedded/backend.js';
import type { Backend } from '../../src/backend/backend.js';
import { decodeCursor, NOW } from '../../model/partition/cursor.js';
import { EngineError, Subscriptions, type Event } from '../../src/engine/index.js';
import { seededUuids } from '../../src/testing/index.js';
import { seededRandom, SimulatedDisk } from '../../src/testing/simulation/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';

const PARTITION = '{fp:0}';
/** `npm run prove -- embedded` does more. */
const RUNS = Math.max(6, Number(process.env['EMBEDDED_KILLS'] ?? 0) / 10);
const LIVES = 8;
const TURNS = 60;
const LOSSES = ['cursor_too_old', 'cursor_lost'];

const STATES: Readonly<Partial<Record<Event['type'], string>>> = {
  execution_created: 'waiting',
  execution_cancelled: 'cancelled',
};

/** What its owner keeps, with the place of which it is made, outside of the engine. */
class Projection {
  readonly states = new Map<string, string>();
  cursor = 'earliest';
  readonly told: string[] = [];
  /** Place of the entry that was given last, or that the snapshot had. */
  last = 0;
  unordered = 0;

  /** Follows for some deliveries, or to the end of the log. @throws what the store throws once it has died */
  async follow(backend: Backend, most: number): Promise<void> {
    const feeds = new Subscriptions(backend, new VirtualClock(0));
    const subscription = await feeds.events({ from: this.cursor });
    try {
      const end = await endOf(backend);
      for (let left = most; left > 0 && this.last !== end; left--) {
        const { value } = await subscription.next();
        if (value === undefined) return;
        if (value.event.type !== 'unknown') this.apply(value.event, value.sequence);
        this.cursor = value.cursor;
      }
    } catch (error) {
      if (!(error instanceof EngineError) || !LOSSES.includes(error.code)) throw error;
      this.told.push(error.code);
      await this.beginAnew(backend, feeds);
    } finally {
      await subscription.close();
    }
  }

  private apply(event: Event, sequence: number): void {
    if (sequence <= this.last) this.unordered += 1;
    this.last = sequence;
    const state = STATES[event.type];
    if (state !== undefined) this.states.set((event as { executionId: string }).executionId, state);
  }

  private async beginAnew(backend: Backend, feeds: Subscriptions): Promise<void> {
    this.states.clear();
    const snapshot = await feeds.snapshot();
    for await (const row of snapshot)
      if (row.kind === 'execution') this.states.set(row.execution.executionId, row.publicState);
    const subscription = await feeds.events({ from: snapshot });
    this.cursor = subscription.cursor;
    // Nothing happens meanwhile here.
    this.last = await endOf(backend);
    await subscription.close();
  }
}

const endOf = async (backend: Backend): Promise<number> =>
  decodeCursor((await backend.readLog({ partition: PARTITION, after: NOW })).end).sequence;

/** What the store holds. */
async function truthOf(backend: Backend): Promise<Map<string, string>> {
  const states = new Map<string, string>();
  for await (const row of await new Subscriptions(backend, new VirtualClock(0)).snapshot())
    if (row.kind === 'execution') states.set(row.execution.executionId, row.publicState);
  return states;
}

const byId = (states: ReadonlyMap<string, string>): [string, string][] =>
  [...states].sort(([a], [b]) => (a < b ? -1 : 1));

/** Lives of a store that end at any byte, or with the power, and a projection beside them. */
async function run(seed: number, fsync: NonNullable<EmbeddedOptions['fsync']>): Promise<Projection> {
  const random = seededRandom(seed);
  const uuid = seededUuids(`reader ${seed}`);
  const projection = new Projection();
  let disk = new SimulatedDisk();
  let now = 1_700_000_000_000;
  const ids: string[] = [];
  const open = (): Backend =>
    openOn(disk, { path: 'store', fsync, partitions: { count: 1 }, logMaxEntries: 20, now: () => now });
  for (let life = 0; life < LIVES; life++) {
    const backend = open();
    if (random() < 0.5) disk.stopAt = disk.done + Math.floor(random() * 20_000);
    try {
      for (let turn = 0; turn < TURNS; turn++) {
        now += 1 + Math.floor(random() * 5);
        // A disk that has stopped answers nothing more.
        const step = random() < 0.2 ? projection.follow(backend, Math.floor(random() * 40)) : change();
        if (!(await Promise.race([step.then(() => true), disk.stopped.then(() => false)]))) break;
      }
    } catch {
      // It stopped, and says so.
    }
    disk.halt();
    abandon(backend);
    disk = fsync !== 'never' && random() < 0.5 ? disk.afterPowerLoss(random) : disk.afterKill();

    async function change(): Promise<void> {
      const known = ids[Math.floor(random() * ids.length)];
      if (known !== undefined && random() < 0.4) {
        const args = { executionId: known, reason: 'r', source: 'operator_override' } as const;
        await backend.cancelExecution(args).catch((error: unknown) => unlessRefused(error));
        return;
      }
      const executionId = `${PARTITION}:${uuid()}`;
      await backend.createExecution({
        ...{ executionId, namespace: 'n', laneId: 'lane', executionKind: 'kind', creatorIdentity: 'test' },
      });
      ids.push(executionId);
    }
  }
  const backend = open();
  // Whoever asks for what comes next hears of a tail that was lost.
  await backend.createExecution({
    ...{ executionId: `${PARTITION}:${uuid()}`, namespace: 'n', laneId: 'lane', executionKind: 'kind' },
    creatorIdentity: 'test',
  });
  while (projection.last !== (await endOf(backend))) await projection.follow(backend, Number.POSITIVE_INFINITY);
  expect(byId(projection.states), `seed ${seed}`).toEqual(byId(await truthOf(backend)));
  expect(projection.unordered).toBe(0);
  await backend.close();
  return projection;
}

/** Ended before, or lost with the power: that is no end of the store. */
function unlessRefused(error: unknown): void {
  if (error instanceof EngineError && ['execution_not_active', 'execution_not_found'].includes(error.code)) return;
  throw error;
}

describe.each(['always', 'everysec', 'never'] as const)('with fsync %s', (fsync) => {
  test('a projection of the log matches the store after any crash', async () => {
    const told = new Map<string, number>();
    for (let seed = 1; seed <= RUNS; seed++)
      for (const code of (await run(seed, fsync)).told) told.set(code, (told.get(code) ?? 0) + 1);
    // Both ways to lose a place are met, where both can be.
    expect(told.get('cursor_too_old')).toBeGreaterThan(0);
    if (fsync === 'everysec') expect(told.get('cursor_lost')).toBeGreaterThan(0);
    else expect(told.get('cursor_lost')).toBeUndefined();
  });
});
