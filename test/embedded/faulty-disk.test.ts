/**
 * A disk that fails at random while turns are so large that they are written before they are over: every call is
 * answered, what is in memory is what is in the files, and nothing that was answered is lost.
 */
import { expect, test } from 'vitest';
import { present } from '../../model/core/present.js';
import type { EngineError } from '../../model/errors.js';
import type { FsyncMode } from '../../src/embedded/journal.js';
import { abandon, compact } from '../../src/embedded/backend.js';
import { memoryStore } from '../../src/memory/machine.js';
import { seededRandom, SimulatedDisk, type DiskChange } from '../../src/testing/simulation/index.js';
import { openStore, type Opened, type Script } from './script.js';

/** `npm run prove -- embedded` does far more. */
const ROUNDS = Math.ceil(Number(process.env['EMBEDDED_KILLS'] ?? 60) / 4);
const TURNS = 3;
/** Turns of the event loop in which everything that this disk does is done. */
const LONGEST_WAIT = 3_000;
const SCRIPT: Script = { partitions: 1, turns: [], states: [] };
const MODES: readonly FsyncMode[] = ['always', 'everysec', 'never'];
const REFUSALS: ReadonlySet<string> = new Set(['execution_not_found', 'execution_not_active', 'budget_not_found']);
/** A write of this size is a frame, or a part of a snapshot. */
const LARGE_BYTES = 100_000;

type Random = () => number;
type Answer = 'done' | 'refused' | 'failed';

const uuid = (index: number): string => `00000000-0000-4000-a000-${String(index).padStart(12, '0')}`;

/** Fails if the promise is not settled soon: no clock is involved, so a slow machine makes no difference. */
async function settled(promise: Promise<unknown>, what: string): Promise<void> {
  let isOver = false;
  const over = (): void => void (isOver = true);
  promise.then(over, over);
  for (let wait = 0; !isOver; wait++) {
    if (wait > LONGEST_WAIT) throw new Error(`${what} is never answered`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

async function answerOf(call: Promise<unknown>): Promise<Answer> {
  try {
    await call;
    return 'done';
  } catch (error) {
    const { code } = error as EngineError;
    if (REFUSALS.has(code)) return 'refused';
    expect(code).toMatch(/^storage_(failed|full)$/);
    return 'failed';
  }
}

/** Faults of some kinds; most of those of writes strike frames. */
function faultsOf(random: Random): SimulatedDisk['faultOf'] {
  const chances = new Map<DiskChange, number>([['write', random()]]);
  if (random() < 0.5) chances.set('truncate', random());
  for (const change of ['create', 'sync', 'rename', 'remove'] as const)
    if (random() < 0.2) chances.set(change, random());
  return (change, bytes) => {
    const chance = chances.get(change) ?? 0;
    const isSmallWrite = change === 'write' && bytes < LARGE_BYTES;
    return random() < (isSmallWrite ? chance / 1_000 : chance) ? 'EIO' : undefined;
  };
}

/** The work of a round, and what was answered. */
class Work {
  /** Executions and budgets that are there for certain, with the state of the first. */
  readonly certain = new Map<string, string | undefined>();
  /** Those about which only failures were told. */
  readonly uncertain = new Set<string>();
  private next = 1;

  constructor(
    private readonly store: Opened,
    private readonly random: Random,
  ) {}

  /** Makes the calls of one turn at once. */
  async turn(): Promise<void> {
    const calls = Array.from({ length: 3 + Math.floor(this.random() * 6) }, () => this.call());
    if (this.random() < 0.2) calls.push(answerOf(compact(this.store.backend)).then(() => undefined));
    await settled(Promise.all(calls), 'a call');
    await Promise.all(calls);
  }

  private async call(): Promise<void> {
    const { backend } = this.store;
    const draw = this.random();
    if (draw < 0.15) {
      const budgetId = uuid(this.next++);
      this.note(
        budgetId,
        undefined,
        await answerOf(backend.createBudget({ budgetId, limits: { tokens: { hard: 1 } } })),
      );
    } else if (draw < 0.4 && this.next > 1) {
      const executionId = `{fp:0}:${uuid(1 + Math.floor(this.random() * (this.next - 1)))}`;
      const cancelled = backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
      this.note(executionId, 'cancelled', await answerOf(cancelled));
    } else {
      const executionId = `{fp:0}:${uuid(this.next++)}`;
      const bytes = this.random() < 0.6 ? 1_500_000 + this.random() * 1_500_000 : 100;
      const created = backend.createExecution({
        executionId,
        namespace: 'faulty',
        laneId: 'lane',
        executionKind: 'kind',
        creatorIdentity: 'test',
        inputPayload: Buffer.alloc(bytes, 1),
      });
      this.note(executionId, 'waiting', await answerOf(created));
    }
  }

  private note(id: string, state: string | undefined, answer: Answer): void {
    if (answer === 'failed') this.uncertain.add(id);
    if (answer !== 'done') return;
    // A cancellation may be answered before the creation.
    if (this.certain.get(id) !== 'cancelled') this.certain.set(id, state);
  }

  /** Whether a store holds everything that was answered; `isWhole` if it holds nothing else. */
  async expectIn({ backend }: Opened, isWhole: boolean): Promise<void> {
    for (const id of new Set([...this.certain.keys(), ...this.uncertain])) {
      const isBudget = !id.startsWith('{');
      const found = isBudget
        ? (await answerOf(backend.getBudgetStatus({ budgetId: id }))) === 'done' || undefined
        : await backend.readExecutionState({ executionId: id });
      if (!this.certain.has(id)) {
        if (isWhole) expect(found, `${id} failed`).toBeUndefined();
      } else if (isBudget) expect(found, id).toBeDefined();
      // One whose cancellation failed may be cancelled all the same, unless failures undo what they report.
      else if (isWhole || !this.uncertain.has(id)) expect(found, id).toBe(this.certain.get(id));
      else expect(found, id).toBeDefined();
    }
  }
}

/** How much a store has recorded; a digest of all its bytes would take far longer than the round. */
function heldBy({ backend }: Opened): unknown {
  const { sequence, time } = present(memoryStore(backend, '{fp:0}')).view.log.header;
  return { sequence, time, families: backend.settings.families };
}

async function round(seed: number): Promise<'stopped' | 'works'> {
  const random = seededRandom(seed);
  const disk = new SimulatedDisk();
  const fsync = MODES[seed % MODES.length] as FsyncMode;
  const store = openStore(disk, SCRIPT, { fsync, snapshotEveryBytes: random() < 0.5 ? 6_000_000 : 1_000_000_000 });
  const work = new Work(store, random);
  const faults = faultsOf(random);
  let works = true;
  for (let turn = 0; works && turn < TURNS; turn++) {
    disk.faultOf = faults;
    await work.turn();
    disk.faultOf = () => undefined;
    works = (await answerOf(store.backend.ping())) === 'done';
    if (works) await work.expectIn(store, true);
  }
  const held = heldBy(store);
  const closed = answerOf(store.backend.close());
  await settled(closed, 'close()');
  expect(await closed).toBe('done');
  const again = openStore(disk.afterKill(), SCRIPT);
  await work.expectIn(again, works);
  if (works) expect(heldBy(again)).toEqual(held);
  abandon(again.backend);
  return works ? 'works' : 'stopped';
}

test(`a disk that fails in ${ROUNDS} rounds of large turns leaves no call unanswered and no answered work lost`, {
  timeout: 240_000,
}, async () => {
  const ends = { stopped: 0, works: 0 };
  for (let seed = 1; seed <= ROUNDS; seed++) {
    try {
      ends[await round(seed)] += 1;
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(Math.min(ends.stopped, ends.works)).toBeGreaterThan(ROUNDS / 10);
});
