/** What happens in a run: turns of commands, made once on the memory backend, with the state after every turn. */
import { createHash } from 'node:crypto';
import type { Backend } from '../../src/backend/backend.js';
import { openOn, type EmbeddedOptions } from '../../src/embedded/backend.js';
import { canonicalOfMemory } from '../../src/testing/canonical/memory.js';
import { memoryStore } from '../../src/memory/machine.js';
import { seededRandom, type SimulatedDisk } from '../../src/testing/simulation/index.js';
import { seededUuids, testEngine } from '../../src/testing/index.js';
import type { Command } from '../../model/machine.js';

const START_AT = 1_700_000_000_000;

export interface Turn {
  readonly at: number;
  readonly commands: readonly Command[];
}

export interface Script {
  readonly partitions: number;
  readonly turns: readonly Turn[];
  /** Digest of what is stored before the first turn and after each. */
  readonly states: readonly string[];
}

const partitionKey = (index: number): string => `{fp:${index}}`;

/** What both machines are opened with: logs that are trimmed, and ends that are purged soon. */
const SETTINGS = { retentionMs: 60_000, logMaxEntries: 60 } as const;

/** Everything that is stored, as a digest; which loop applies due work is no state. */
function stateOf(backend: Backend, now: number): string {
  const partitions = Array.from({ length: backend.partitions.count }, (_, index) => {
    const store = memoryStore(backend, partitionKey(index));
    if (store === undefined) throw new Error('This backend is not in memory.');
    const { header, tables, ...rest } = canonicalOfMemory(store, now);
    const { generation, sequence, time } = header;
    const log = store.view.log.read(0, Number.POSITIVE_INFINITY);
    const { idempotency_key: keys, ...others } = tables;
    // Members in one order, whoever made the object.
    return {
      ...(sorted(rest) as object),
      tables: [sorted(others), sorted(keys)],
      header: { generation, sequence, time },
      log: sorted(log),
    };
  });
  return createHash('sha1').update(JSON.stringify(partitions)).digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

/** Says what a turn does; `claimed` are the fences of what runs. */
type Choice = (random: () => number, uuid: () => string, partition: string, running: Owned[]) => Command;

interface Owned {
  readonly executionId: string;
  readonly attemptIndex: number;
  readonly fence: { readonly leaseId: string; readonly leaseEpoch: number; readonly attemptId: string };
}

const bytesOf = (random: () => number): Uint8Array =>
  Uint8Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256));

const create: Choice = (random, uuid, partition) => ({
  name: 'createExecution',
  args: {
    executionId: `${partition}:${uuid()}`,
    namespace: 'crash',
    laneId: random() < 0.7 ? 'mail' : 'bulk',
    executionKind: 'kind',
    creatorIdentity: 'test',
    inputPayload: bytesOf(random),
    tags: random() < 0.3 ? { 'a.b': 'with\ttab\nand line \\ \x1f' } : {},
    ...(random() < 0.3 ? { idempotencyKey: `key ${Math.floor(random() * 5)}` } : {}),
    ...(random() < 0.3 ? { policy: { retryPolicy: { maxRetries: 2 }, streamPolicy: { retentionTtlMs: 0 } } } : {}),
  } as never,
});

const claim: Choice = (random, uuid, partition) => ({
  name: 'claimForWorker',
  args: {
    partition,
    laneId: random() < 0.7 ? 'mail' : 'bulk',
    workerId: 'worker',
    workerInstanceId: 'worker-1',
    leaseTtlMs: 40_000,
    claims: Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({ leaseId: uuid(), attemptId: uuid() })),
  },
});

const end: Choice = (random, uuid, partition, running) => {
  const owned = running.splice(Math.floor(random() * running.length), 1)[0];
  if (owned === undefined) return create(random, uuid, partition, running);
  if (random() < 0.2)
    return {
      name: 'failExecution',
      args: { ...owned, failureReason: 'it\nfailed', failureCategory: 'odd', jitter: 0.5 },
    };
  return { name: 'completeExecution', args: { ...owned, resultPayload: bytesOf(random) } };
};

/** A frame of each mode; its writer stays the owner. */
const append: Choice = (random, uuid, partition, running) => {
  const owned = running[Math.floor(random() * running.length)];
  if (owned === undefined) return create(random, uuid, partition, running);
  const draw = random();
  const content =
    draw < 0.3
      ? { patch: `{"n":${Math.floor(random() * 9)},"größe":{"k${Math.floor(random() * 3)}":null}}` }
      : { payload: bytesOf(random), ...(draw < 0.5 ? { bestEffort: { ttlMs: 1_000, maxlenFloor: 2 } } : {}) };
  return { name: 'appendFrame', args: { ...owned, attemptIndex: owned.attemptIndex, ...content } };
};

/** A step, and perhaps one that was recorded before. */
const recordStep: Choice = (random, uuid, partition, running) => {
  const owned = running[Math.floor(random() * running.length)];
  if (owned === undefined) return create(random, uuid, partition, running);
  const { executionId, fence } = owned;
  const value = random() < 0.2 ? {} : { value: bytesOf(random), encoding: 'bytes' };
  const step = {
    stepName: random() < 0.5 ? 'größe' : 'pay',
    stepIndex: Math.floor(random() * 4),
    failed: random() < 0.2,
  };
  return { name: 'recordStep', args: { executionId, fence, ...step, ...value } };
};

const due: Choice = (_random, _uuid, partition) => ({ name: 'applyDue', args: { partition, jitter: 0.5 } });

const CHOICES: readonly Choice[] = [
  create,
  create,
  claim,
  claim,
  claim,
  end,
  end,
  end,
  append,
  append,
  recordStep,
  recordStep,
  due,
  due,
];

/** A script of so many turns; the same seed gives the same. */
export async function scriptOf(seed: number, turns: number, partitions = 1): Promise<Script> {
  const random = seededRandom(seed);
  const uuid = seededUuids(`crash ${seed}`);
  const engine = await testEngine({ ...SETTINGS, startAt: START_AT, partitions: { count: partitions } });
  const running = Array.from({ length: partitions }, (): Owned[] => []);
  const done: Turn[] = [];
  const states = [stateOf(engine.backend, engine.now())];
  for (let turn = 0; turn < turns; turn++) {
    if (random() < 0.15) engine.setTime(engine.now() + Math.floor(random() * 90_000));
    const commands: Command[] = [];
    const count = 1 + Math.floor(random() * 3);
    for (let index = 0; index < count; index++) {
      const at = Math.floor(random() * partitions);
      const choice = CHOICES[Math.floor(random() * CHOICES.length)] as Choice;
      const command = choice(random, uuid, partitionKey(at), running[at] as Owned[]);
      commands.push(command);
      const outcome = await (engine.backend[command.name] as (args: object) => Promise<never>)(command.args).catch(
        () => undefined,
      );
      running[at]?.push(...ownedBy(outcome));
    }
    done.push({ at: engine.now(), commands });
    states.push(stateOf(engine.backend, engine.now()));
  }
  await engine.close();
  return { partitions, turns: done, states };
}

function ownedBy(outcome: unknown): Owned[] {
  const { kind, executions } = (outcome ?? {}) as { kind?: string; executions?: readonly Record<string, never>[] };
  if (kind !== 'claimed') return [];
  return (executions ?? []).map(({ executionId, attemptIndex, leaseId, leaseEpoch, attemptId }) => ({
    executionId: executionId as unknown as string,
    attemptIndex: attemptIndex as unknown as number,
    fence: { leaseId, leaseEpoch, attemptId } as unknown as Owned['fence'],
  }));
}

export interface Opened {
  readonly backend: Backend;
  /** Does a turn: all of its commands at once. Answers whether all of them were answered, by an outcome or a refusal. */
  turn(turn: Turn): Promise<boolean>;
  state(): string;
}

/** Opens a store on a disk in memory, under a clock that the turns set. */
export function openStore(
  disk: SimulatedDisk,
  { partitions }: Script,
  options: Partial<EmbeddedOptions> = {},
  startAt = START_AT,
): Opened {
  let now = startAt;
  const backend = openOn(disk, {
    path: 'store',
    fsync: 'never',
    partitions: { count: partitions },
    now: () => now,
    ...SETTINGS,
    ...options,
  });
  return {
    backend,
    async turn({ at, commands }) {
      now = at;
      const answers = await Promise.allSettled(
        commands.map(({ name, args }) => (backend[name] as (args: object) => Promise<unknown>)(args)),
      );
      return answers.every(
        (answer) => answer.status === 'fulfilled' || !/^storage_|^backend_closed/.test(String(answer.reason.code)),
      );
    },
    state: () => stateOf(backend, now),
  };
}
