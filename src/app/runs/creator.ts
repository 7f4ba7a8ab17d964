/** Creates executions: chooses the partition, builds the arguments, and creates many executions in few calls. */
import { partitionOfExecution } from '../../../model/ids.js';
import { present } from '../../../model/core/present.js';
import type { EngineError } from '../../../model/errors.js';
import type { ArgsOf, OutcomeOf } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import { Placer } from '../../engine/placer.js';
import { ServerClock } from '../../engine/server-clock.js';
import { checkSameInput } from './own-ids.js';
import { RunDroppedError } from './dropped.js';
import { OWN_ID_TAG } from './tags.js';
import { namingLane } from '../drained-lane.js';
import { meteredPolicy } from '../metering/meters.js';
import { policyIdOf, roomOf, strictQuotaOf, type RunQuota } from '../metering/quota.js';
import { policyOfRun, startOf, timeOf } from '../tasks/policy.js';
import { patiently } from '../patience.js';
import type { RequestedRun } from './requested-run.js';
import { budgetsReady } from '../metering/task-budget.js';
import { KnownRun, type Run, type RunSurroundings } from './run.js';

type CreateArgs = ArgsOf<'createExecution'>;

export interface CreatorOptions {
  readonly surroundings: RunSurroundings;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly ids: () => string;
}

/** A requested run, with the arguments of the engine's call. */
interface Creation {
  readonly args: CreateArgs;
  readonly requested: RequestedRun;
}

/** The room of each quota that drops or cancels: read once for all runs of a batch. */
type Rooms = Map<string, Promise<number>>;

/** Most executions in one batch, which a server gets in calls of up to 250, and most bytes of their inputs. */
const MAX_CREATIONS_PER_BATCH = 500;
const MAX_BYTES_PER_BATCH = 4 * 1024 * 1024;

export class Creator {
  private readonly backend: Backend;
  private readonly serverClock: ServerClock;
  private readonly placer: Placer;

  constructor(private readonly options: CreatorOptions) {
    const { backend, clock } = options.surroundings;
    this.backend = backend;
    this.serverClock = new ServerClock(backend, clock);
    this.placer = new Placer(backend.partitions, clock.random);
  }

  /** Creates one run. @throws RunIdConflictError, RunDroppedError, BudgetExceededError, EngineError */
  async create(requested: RequestedRun): Promise<KnownRun<unknown>> {
    const creation = await this.creationOf(requested);
    // A repeated call is safe: an execution with the same id is a duplicate of itself.
    const outcome = await namingLane(`Task "${requested.task.name}"`, () =>
      patiently(this.options.surroundings, () => this.backend.createExecution(creation.args)),
    );
    if (outcome.kind === 'dropped') throw new RunDroppedError(requested.task.name, [undefined]);
    return this.runOf(creation, outcome);
  }

  /** Creates many runs, in the order of the requests. @throws the same */
  async createMany(requested: readonly RequestedRun[]): Promise<Run<unknown>[]> {
    const rooms: Rooms = new Map();
    const all = await Promise.all(requested.map((one) => this.creationOf(one, rooms)));
    const runs = new Map<Creation, Run<unknown>>();
    await Promise.all(
      [...groupByPartition(all).values()].map(async (group) => {
        for (const chunk of chunksOf(group))
          await namingLane(`Task "${present(requested[0]).task.name}"`, () => this.createChunk(chunk, runs));
      }),
    );
    const created = all.map((creation) => runs.get(creation));
    const [first] = requested;
    if (first !== undefined && created.includes(undefined)) throw new RunDroppedError(first.task.name, created);
    return created as Run<unknown>[];
  }

  private async createChunk(chunk: readonly Creation[], runs: Map<Creation, Run<unknown>>): Promise<void> {
    const outcomes = new Map<Creation, OutcomeOf<'createExecution'>>();
    // Creations that failed with a temporary fault are retried; the outcome of the others in their call is final.
    await patiently(this.options.surroundings, async () => {
      const tried = chunk.filter((creation) => !outcomes.has(creation));
      const results = await this.backend.execute(tried.map(({ args }) => ({ name: 'createExecution' as const, args })));
      const faults: EngineError[] = [];
      tried.forEach((creation, index) => {
        const result = present(results[index]);
        if (result.ok) outcomes.set(creation, result.outcome);
        else faults.push(result.error);
      });
      const fault = faults.find(({ retryable }) => !retryable) ?? faults[0];
      if (fault !== undefined) throw fault;
    });
    await Promise.all(
      [...outcomes].map(async ([creation, outcome]) => {
        if (outcome.kind !== 'dropped') runs.set(creation, await this.runOf(creation, outcome));
      }),
    );
  }

  private async runOf(
    { args, requested }: Creation,
    outcome: { readonly executionId: string },
  ): Promise<KnownRun<unknown>> {
    const { task, input, options } = requested;
    const { surroundings } = this.options;
    const { executionId } = outcome;
    // An execution that an earlier try of this call created is no duplicate.
    const deduplicated = executionId !== args.executionId;
    if (deduplicated) await checkSameInput(surroundings, executionId, input, options);
    return new KnownRun(surroundings, executionId, deduplicated, task);
  }

  private async creationOf(requested: RequestedRun, rooms: Rooms = new Map()): Promise<Creation> {
    const { task, options, input, idempotencyKey, meters } = requested;
    const { bytes, encoding } = input;
    const { namespace, creatorIdentity, ids } = this.options;
    const { laneId } = task;
    if (meters.budgets.length > 0)
      await budgetsReady(this.options.surroundings, meters.budgets, task.budget?.isRefusing === true);
    const quota = strictQuotaOf(meters.quotas);
    const whenFull = quota && { strategy: quota.whenFull, room: await this.roomOf(quota, rooms) };
    const tags = { ...options.tags, ...(options.id === undefined ? {} : { [OWN_ID_TAG]: options.id }) };
    const args: CreateArgs = {
      executionId: this.placer.executionId({
        uuid: ids(),
        namespace,
        laneId,
        // Runs of a quota with a limited waiting line are all in the partition of the quota.
        idempotencyKey: quota === undefined ? idempotencyKey : policyIdOf(namespace, quota),
        inputBytes: bytes?.byteLength,
      }),
      namespace,
      laneId,
      executionKind: task.name,
      creatorIdentity,
      ...(bytes === undefined ? {} : { inputPayload: bytes, payloadEncoding: encoding }),
      priority: options.priority ?? task.priority,
      idempotencyKey,
      ...(idempotencyKey === undefined ? {} : { holdsKey: true }),
      ...(Object.keys(tags).length === 0 ? {} : { tags }),
      policy: meteredPolicy(policyOfRun(task.policy, options), namespace, meters),
      delayUntil: options.delay === undefined ? undefined : startOf(options.delay, await this.serverNow()),
      executionDeadlineAt: timeOf(options.deadline),
      ...(whenFull === undefined ? {} : { whenFull }),
      ...(options.hold === true ? { initialBlock: { blockingReason: 'paused_by_operator' } } : {}),
    };
    return { args, requested };
  }

  private roomOf(quota: RunQuota, rooms: Rooms): Promise<number> {
    const { namespace } = this.options;
    const policyId = policyIdOf(namespace, quota);
    let room = rooms.get(policyId);
    if (room === undefined) {
      room = patiently(this.options.surroundings, () => roomOf(this.backend, namespace, quota));
      rooms.set(policyId, room);
    }
    return room;
  }

  /** The time of the store, read with the same retries as the creation that needs it. */
  private serverNow(): Promise<number> {
    return patiently(this.options.surroundings, () => this.serverClock.now());
  }
}

function groupByPartition(all: readonly Creation[]): Map<string, Creation[]> {
  const groups = new Map<string, Creation[]>();
  for (const creation of all) {
    const partition = partitionOfExecution(creation.args.executionId);
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [creation]);
    else group.push(creation);
  }
  return groups;
}

function* chunksOf(group: readonly Creation[]): Generator<Creation[]> {
  let chunk: Creation[] = [];
  let bytes = 0;
  for (const creation of group) {
    const size = creation.args.inputPayload?.byteLength ?? 0;
    if (chunk.length === MAX_CREATIONS_PER_BATCH || (chunk.length > 0 && bytes + size > MAX_BYTES_PER_BATCH)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(creation);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
