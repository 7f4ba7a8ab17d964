/** Creating executions: where each goes, what it carries, and many of them in few calls. */
import { partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import type { Backend, CommandResult } from '../backend.js';
import type { Clock } from '../engine/clock.js';
import { Placer } from '../engine/placer.js';
import { withRetries } from '../engine/retry.js';
import { ServerClock } from '../engine/server-clock.js';
import { encode } from './codec.js';
import { durationMs } from './duration.js';
import { InvalidDefinitionError, InvalidInputError } from './errors.js';
import { CALL_PATIENCE_MS, KnownRun, type Run } from './run.js';
import { validate } from './schema.js';
import { checkRunOptions, policyOfRun, type RunOptions, type TaskDefinition } from './task.js';

type CreateArgs = ArgsOf<'createExecution'>;

export interface CreatorOptions {
  readonly backend: Backend;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly ids: () => string;
  readonly clock: Clock;
}

/** Most executions, and most bytes of their inputs, that one call carries. */
const MAX_CREATIONS_PER_CALL = 500;
const MAX_BYTES_PER_CALL = 4 * 1024 * 1024;

export class Creator {
  private readonly serverClock: ServerClock;
  private readonly placer: Placer;

  constructor(private readonly options: CreatorOptions) {
    const { backend, clock } = options;
    this.serverClock = new ServerClock(backend, clock);
    this.placer = new Placer(backend.partitions, clock.random);
  }

  /** Creates one run. @throws InvalidInputError, EngineError */
  async create(task: TaskDefinition, input: unknown, options: RunOptions): Promise<Run<unknown>> {
    const args = await this.argsOf(task, input, options);
    const { backend, clock } = this.options;
    // Repeating is safe: the same id again is a duplicate of itself.
    const outcome = await withRetries(clock, CALL_PATIENCE_MS, () => backend.createExecution(args));
    return this.runOf(args, outcome);
  }

  /** Creates many runs; in the order of the inputs. @throws InvalidInputError, EngineError */
  async createMany(
    task: TaskDefinition,
    inputs: readonly unknown[],
    optionsOf: (index: number) => RunOptions,
  ): Promise<Run<unknown>[]> {
    const all = await Promise.all(inputs.map((input, index) => this.argsOf(task, input, optionsOf(index))));
    const runs = new Map<CreateArgs, Run<unknown>>();
    await Promise.all(
      [...groupByPartition(all).values()].map(async (group) => {
        for (const chunk of chunksOf(group)) await this.createChunk(chunk, runs);
      }),
    );
    return all.map((args) => runs.get(args) as Run<unknown>);
  }

  private async createChunk(chunk: readonly CreateArgs[], runs: Map<CreateArgs, Run<unknown>>): Promise<void> {
    const { backend, clock } = this.options;
    const commands = chunk.map((args): Command => ({ name: 'createExecution', args }));
    const results = await withRetries(clock, CALL_PATIENCE_MS, () => backend.execute(commands));
    chunk.forEach((args, index) => {
      const result = results[index] as CommandResult<'createExecution'>;
      if (!result.ok) throw result.error;
      runs.set(args, this.runOf(args, result.outcome));
    });
  }

  private runOf(args: CreateArgs, outcome: { readonly executionId: string }): Run<unknown> {
    const { backend, clock } = this.options;
    // The id of our own earlier try is no duplicate.
    return new KnownRun(backend, clock, outcome.executionId, outcome.executionId !== args.executionId);
  }

  /** The time of the store; asked for as patiently as the creation that needs it is made. */
  private serverNow(): Promise<number> {
    return withRetries(this.options.clock, CALL_PATIENCE_MS, () => this.serverClock.now());
  }

  private async argsOf(task: TaskDefinition, input: unknown, options: RunOptions): Promise<CreateArgs> {
    checkRunOptions(task.name, options);
    const validated = await validate(task.input, input);
    if (!validated.ok) throw new InvalidInputError(task.name, validated.problem);
    // The input goes as it was given: the worker applies the schema, once.
    const { bytes, encoding } = encode(input);
    const { namespace, creatorIdentity, ids } = this.options;
    const idempotencyKey = keyOf(task, options);
    return {
      executionId: this.placer.executionId({
        uuid: ids(),
        namespace,
        laneId: task.lane,
        idempotencyKey,
        inputBytes: bytes?.byteLength,
      }),
      namespace,
      laneId: task.lane,
      executionKind: task.name,
      creatorIdentity,
      ...(bytes === undefined ? {} : { inputPayload: bytes, payloadEncoding: encoding }),
      priority: options.priority ?? task.priority,
      idempotencyKey,
      ...(options.tags === undefined ? {} : { tags: { ...options.tags } }),
      policy: policyOfRun(task.policy, options),
      delayUntil: options.delay === undefined ? undefined : (await this.serverNow()) + durationMs(options.delay),
      executionDeadlineAt: options.deadline instanceof Date ? options.deadline.getTime() : undefined,
    };
  }
}

/**
 * The key of the engine: an id belongs to its task, a key to the whole namespace. No two of them have the same one,
 * whatever characters they consist of: the length says where a name ends.
 */
function keyOf({ name }: TaskDefinition, { id, idempotencyKey }: RunOptions): string | undefined {
  if (id !== undefined && idempotencyKey !== undefined)
    throw new InvalidDefinitionError(`Run of task "${name}": give an id or an idempotencyKey, not both`);
  if (id !== undefined) return bounded(name, 'id', `id:${name.length}:${name}:`, id);
  // An empty key is none.
  return idempotencyKey === undefined || idempotencyKey === ''
    ? undefined
    : bounded(name, 'idempotencyKey', 'key:', idempotencyKey);
}

function bounded(taskName: string, what: string, before: string, text: string): string {
  const most = LIMITS.maxIdempotencyKeyBytes - Buffer.byteLength(before);
  if (Buffer.byteLength(text) <= most) return before + text;
  throw new InvalidDefinitionError(
    `Run of task "${taskName}": its ${what} may have ${Math.max(0, most)} bytes at most, and has ${Buffer.byteLength(text)}`,
  );
}

function groupByPartition(all: readonly CreateArgs[]): Map<string, CreateArgs[]> {
  const groups = new Map<string, CreateArgs[]>();
  for (const args of all) {
    const partition = partitionOfExecution(args.executionId);
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [args]);
    else group.push(args);
  }
  return groups;
}

function* chunksOf(group: readonly CreateArgs[]): Generator<CreateArgs[]> {
  let chunk: CreateArgs[] = [];
  let bytes = 0;
  for (const args of group) {
    const size = args.inputPayload?.byteLength ?? 0;
    if (chunk.length === MAX_CREATIONS_PER_CALL || (chunk.length > 0 && bytes + size > MAX_BYTES_PER_CALL)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(args);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
