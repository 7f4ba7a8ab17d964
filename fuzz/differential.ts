/**
 * The differential run: the same actions on the specification and on backends. After every step outcomes and events
 * must be equal; at checkpoints and at the end the whole canonical state, the reads, and every invariant.
 */
import { isDeepStrictEqual } from 'node:util';
import { parseCommand } from '../src/backend/boundary.js';
import { canonicalByDefinition, canonicalTables } from '../src/testing/canonical/index.js';
import type { TestEngine } from '../src/testing/engine.js';
import { EngineError, isRejectionCode } from '../model/errors.js';
import type { Event, LoggedEvent } from '../model/events.js';
import { fold } from '../model/evolve.js';
import { partitionIn, type Family } from '../model/families.js';
import { compareBytes, partitionKeyOf } from '../model/ids.js';
import { encodeCursor } from '../model/partition/cursor.js';
import { DEFAULTS, LIMITS } from '../model/limits.js';
import {
  operationNamed,
  partitionOfCommand,
  QUERIES,
  type AnyDecision,
  type Command,
  type QueryName,
} from '../model/machine.js';
import { WaitpointToken } from '../model/signing/token.js';
import type { FullFence } from '../model/lease/fence.js';
import { evolve } from '../model/specification/evolve.js';
import { violations } from '../model/specification/invariants.js';
import { SpecMachine } from '../model/specification/machine.js';
import { contentViolations } from '../model/stream/content-invariants.js';
import { ONE_OF_EACH } from '../model/partition.js';
import {
  emptyState,
  ENTITY_KINDS,
  entityNamed,
  type EntityKind,
  type Partition,
  type PartitionState,
  type Tables,
} from '../model/state.js';
import { readsOf, resolve, type Action } from './actions/index.js';
import { chosenId, resolveMoment, type World } from './actions/world.js';
import { claimedIn } from './claimed.js';
import { RunningSnapshot, snapshotTables } from './snapshots.js';
import { stateClassOf, type StateClass } from './state-class.js';

/** One executed action and its result, for the story of a failure and for coverage. */
export interface Step {
  readonly at: number;
  readonly action: Action['do'];
  readonly command: Command | undefined;
  /** Class of the execution that the command names, before the command; `-` when it names none. */
  readonly situation: StateClass | '-';
  /** The kind of the outcome, or the code of the refusal. */
  readonly result: string;
  readonly decision: AnyDecision | undefined;
  /** The recorded events, with those that follow from them. */
  readonly events: readonly Event[];
  /** Classes, before the call, of the executions that a claim took or ended. */
  readonly taken: readonly (readonly [string, StateClass])[];
}

/** A difference between the specification and a backend, with the steps that led to it. */
export class Divergence extends Error {
  override readonly name = 'Divergence';
  constructor(
    readonly backend: string,
    readonly what: string,
    readonly expected: unknown,
    readonly got: unknown,
    readonly steps: readonly Step[],
  ) {
    super(`${backend} differs in ${what}`);
  }
}

export interface Subject {
  readonly name: string;
  readonly engine: TestEngine;
  /** Whether it can crash and restart in the middle of a run. */
  readonly restarts?: true;
}

export interface RunOptions {
  /** Steps between two comparisons of the whole state. */
  readonly checkpointEvery: number;
  readonly retentionMs?: number;
}

/** The partition of executions. */
const PARTITION = partitionKeyOf(0);

/** The partitions of the arena: one per family. */
const ARENA: Readonly<Record<Family, string>> = {
  flow: PARTITION,
  budget: partitionIn('budget', 0),
  quota: partitionIn('quota', 0),
  worker: partitionIn('worker', 'n'),
};

/** The indexed tags of all deployments. */
export const INDEXED_TAGS = ['team.name', 'z.a'] as const;

/** Calls that can be repeated. */
const MAX_RECENT = 8;

/** Plain data: bytes as text, no undefined members, no prototypes. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key, member: unknown) {
      const raw = this[key];
      if (raw instanceof WaitpointToken) return raw.reveal();
      if (member instanceof Uint8Array) return `bytes:${Buffer.from(member).toString('hex')}`;
      if (typeof member === 'object' && member !== null && (member as { type?: unknown }).type === 'Buffer')
        return `bytes:${Buffer.from((member as unknown as { data: number[] }).data).toString('hex')}`;
      return member;
    }) ?? 'null',
  );
}

/** A decision as a caller sees it. */
function visible(decision: AnyDecision): unknown {
  return decision.ok
    ? { ok: true, outcome: decision.outcome }
    : { ok: false, code: decision.code, detail: decision.detail };
}

/** A refusal in comparable form. Other errors show their messages, for the story. */
function failed(error: EngineError): unknown {
  const { code, detail, message } = error;
  return isRejectionCode(code) ? { ok: false, code, detail } : { ok: false, code, detail, message };
}

async function settled(call: Promise<unknown>): Promise<unknown> {
  try {
    return { ok: true, outcome: await call };
  } catch (error) {
    if (error instanceof EngineError) return failed(error);
    throw error;
  }
}

/** Runs actions on the specification and on every subject. @throws Divergence at the first difference */
export async function runDifferential(
  actions: readonly Action[],
  subjects: readonly Subject[],
  options: RunOptions,
  startAt: number,
  uuid: () => string,
): Promise<Step[]> {
  const run = new DifferentialRun(subjects, options, startAt, uuid);
  try {
    for (const action of actions) await run.apply(action);
    await run.finish();
  } catch (error) {
    if (error instanceof Divergence) throw error;
    throw new Divergence(
      'something',
      'crashing',
      'an outcome or a typed error',
      error instanceof Error ? error.stack : String(error),
      run.steps,
    );
  }
  return run.steps;
}

class DifferentialRun {
  readonly steps: Step[] = [];
  /** By partition. */
  private readonly specs = new Map<string, SpecMachine>();
  /** The state of the partition of executions. */
  private readonly spec: SpecMachine;
  /** Partitions in which commands ran: only these are compared. */
  private readonly used = new Set([PARTITION]);
  private readonly fences = new Map<string, FullFence[]>();
  private readonly created: string[] = [];
  private readonly recent: Command[] = [];
  /** The log position read so far, per subject and partition. */
  private readonly cursors = new Map<string, string>();
  /** Number of compared entries, per partition. */
  private readonly seen = new Map<string, number>();
  /** Per subject, the snapshot that is read during the run. */
  private readonly snapshots = new Map<string, RunningSnapshot>();
  private sinceCheckpoint = 0;

  constructor(
    private readonly subjects: readonly Subject[],
    private readonly options: RunOptions,
    private now: number,
    private readonly uuid: () => string,
  ) {
    for (const partition of Object.values(ARENA)) {
      const settings = { retentionMs: options.retentionMs ?? DEFAULTS.retentionMs, indexedTags: INDEXED_TAGS };
      this.specs.set(partition, new SpecMachine(settings, partition));
    }
    this.spec = this.specOf(PARTITION);
    for (const { name, engine } of subjects) this.snapshots.set(name, new RunningSnapshot(engine, PARTITION));
    this.setTime(now);
  }

  async apply(action: Action): Promise<void> {
    switch (action.do) {
      case 'time':
        this.setTime(Math.max(this.now, resolveMoment(this.world(), action.to)));
        this.note(action.do, `time is ${this.now}`);
        break;
      case 'read':
        await this.compareReads(action);
        break;
      case 'restart':
        await this.restart();
        break;
      case 'batch':
        for (const commands of byPartition(resolve(this.world(), action))) await this.command(action, commands, true);
        break;
      default: {
        const commands = resolve(this.world(), action);
        await this.command(action, commands, commands.length > 1);
      }
    }
    if (++this.sinceCheckpoint < this.options.checkpointEvery) return;
    await this.checkpoint();
    await this.compareSnapshots((snapshot) => snapshot.step(2));
  }

  async finish(): Promise<void> {
    await this.checkpoint();
    await this.compareReplay();
    await this.compareSnapshots((snapshot) => snapshot.finish());
  }

  /** An acknowledged change must still be there after the restart. */
  private async restart(): Promise<void> {
    for (const { engine, restarts } of this.subjects) if (restarts) await engine.restart();
    this.note('restart', 'started anew');
  }

  private specOf(partition: string): SpecMachine {
    const spec = this.specs.get(partition);
    if (spec === undefined) throw new TypeError(`The arena has no partition ${partition}.`);
    return spec;
  }

  private world(): World {
    const executions = this.spec.partition.state.tables.execution;
    return {
      now: this.now,
      partition: PARTITION,
      places: Object.values(ARENA),
      // For each kind, the table in its family; kinds of every family are compared in that of executions.
      tables: Object.fromEntries(
        ENTITY_KINDS.map((kind) => [kind, this.specOf(arenaOf(kind)).partition.state.tables[kind]]),
      ) as unknown as Tables,
      headerOf: (partition) => this.specOf(partition).partition.header,
      readersOf: (partition) => [...this.specOf(partition).partition.state.tables.reader.keys()],
      executions: this.created.flatMap((id) => executions.get(id) ?? []),
      fences: this.fences,
      recent: this.recent,
      uuid: this.uuid,
    };
  }

  private setTime(at: number): void {
    this.now = at;
    for (const { engine } of this.subjects) engine.setTime(at);
  }

  /** Runs commands on all sides: one by one, or as one batch. */
  private async command(action: Action, commands: readonly Command[], asBatch: boolean): Promise<void> {
    if (commands.length === 0) return;
    const partition = partitionOf(commands[0] as Command);
    const spec = this.specOf(partition);
    this.used.add(partition);
    const expected = commands.map((command) => {
      const before = this.classOf(command);
      const classes = command.name === 'claimForWorker' ? this.classes() : undefined;
      const logged = spec.partition.log.length;
      const decision = spec.run(parseCommand(command.name, command.args, 'memory'), this.now);
      this.remember(command, decision);
      this.steps.push({
        at: this.now,
        action: action.do,
        command,
        situation: before,
        result: decision.ok ? decision.outcome.kind : decision.code,
        decision,
        events: spec.partition.log.slice(logged).map(({ event }) => event as Event),
        taken: classes === undefined ? [] : takenBy(decision).map((id) => [id, classes.get(id) ?? 'none'] as const),
      });
      return plain(visible(decision));
    });
    const seen = this.seen.get(partition) ?? 0;
    const logged = spec.partition.log.slice(seen);
    await this.onEach(async (subject) => {
      const answers = asBatch ? this.runBatch(subject, commands) : this.runOne(subject, commands[0] as Command);
      // The first use of a family is recorded before the command is sent, and long bytes are stored before it.
      if (partition !== PARTITION || commands.some(needsFamily) || commands.some(hasLongBytes)) await answers;
      // Both are sent together on one connection, and run in this order: one round trip.
      const [got, entries] = await Promise.all([answers, this.newEvents(subject, partition)]);
      got.forEach((result, i) =>
        this.expectEqual(subject, `the outcome of ${(commands[i] as Command).name}`, expected[i], plain(result)),
      );
      this.expectEqual(subject, 'the events', plain(inAnyPurgeOrder(logged)), plain(inAnyPurgeOrder(entries)));
    });
    this.seen.set(partition, seen + logged.length);
  }

  private async runOne({ engine }: Subject, { name, args }: Command): Promise<unknown[]> {
    return [await settled(engine.backend[name](args as never))];
  }

  private async runBatch({ engine }: Subject, commands: readonly Command[]): Promise<unknown[]> {
    const results = await engine.backend.execute(commands);
    return results.map((result) => (result.ok ? result : failed(result.error)));
  }

  private async compareReads({ pick, limit }: Extract<Action, { do: 'read' }>): Promise<void> {
    const world = this.world();
    const ids = this.spec.view.executions.ids(undefined, 1_000);
    const cursor = ids.length > 1 ? ids[pick.index % ids.length] : undefined;
    const queries: (readonly [QueryName, object])[] = [
      ...readsOf(world, { executionId: chosenId(world, pick), index: pick.index, limit }),
      ['listExecutions', { partition: PARTITION, limit }],
      ['listExecutions', { partition: PARTITION, limit, cursor }],
      ...[...this.used].map((partition) => {
        const after = this.cursorAt(partition, pick.index);
        return ['readLog', { partition, after, limit: Math.max(1, limit) }] as const;
      }),
    ];
    for (const [name, args] of queries) {
      const declaration = QUERIES[name];
      const parsed = declaration.args.parse(args);
      const spec = this.specOf(declaration.partition(parsed as never, ONE_OF_EACH));
      const decision = declaration.read(spec.view, parsed as never, {
        now: this.now,
        settings: { retentionMs: 0 },
      }) as AnyDecision;
      const expected = inAnyPurge(plain(visible(decision)));
      for (const subject of this.subjects) {
        const got = await settled(subject.engine.backend[name](args as never) as Promise<unknown>);
        this.expectEqual(subject, `the answer of ${name}`, expected, inAnyPurge(plain(got)));
      }
    }
    await this.compareSnapshots((snapshot) => snapshot.step(Math.max(1, limit)));
    this.note('read', 'reads agree');
  }

  /** Log entries that have not been compared yet. */
  private async newEvents(subject: Subject, partition: string): Promise<readonly LoggedEvent[]> {
    const place = `${subject.name} ${partition}`;
    const after = this.cursors.get(place);
    const { events, next } = await subject.engine.backend.readLog({
      partition,
      after,
      limit: LIMITS.maxPageSize,
    });
    this.cursors.set(place, next);
    return events;
  }

  /** A cursor as the specification would return it: of an entry, or past the end. */
  private cursorAt(partition: string, sequence: number): string {
    const { log, header } = this.specOf(partition).partition;
    const time = log[sequence - 1]?.event.at ?? 0;
    return encodeCursor({ generation: header.generation, sequence, time });
  }

  private async onEach(check: (subject: Subject) => Promise<void>): Promise<void> {
    const checks = await Promise.allSettled(this.subjects.map(check));
    for (const result of checks) if (result.status === 'rejected') throw result.reason;
  }

  private async checkpoint(): Promise<void> {
    this.sinceCheckpoint = 0;
    for (const partition of this.used) await this.compareState(partition, this.specOf(partition).partition);
  }

  private async compareState(name: string, partition: Partition): Promise<void> {
    const expected = plain(canonicalByDefinition(partition, this.now, INDEXED_TAGS)) as Record<string, unknown>;
    for (const broken of violations(partition.state, partition.log, this.now)) {
      throw new Divergence('the specification', `invariant "${broken.name}"`, 'to hold', broken.because, this.steps);
    }
    const [broken] = contentViolations(partition.state, partition.streams);
    if (broken !== undefined)
      throw new Divergence('the specification', `an invariant of streams`, 'to hold', broken, this.steps);
    await this.onEach(async (subject) => {
      const got = plain(await subject.engine.canonicalState(name)) as Record<string, unknown>;
      for (const part of Object.keys(expected))
        this.expectEqual(subject, `the stored ${part} of ${name}`, expected[part], got[part]);
    });
  }

  /** The log of a backend, folded in place and with immer, gives its state. */
  private async compareReplay(): Promise<void> {
    for (const partition of this.used) await this.compareReplayOf(partition);
  }

  private async compareReplayOf(partition: string): Promise<void> {
    const expected = plain(tablesOf(this.specOf(partition).partition.state));
    await this.onEach(async (subject) => {
      const log = await wholeLog(subject.engine, partition);
      const inPlace = emptyState();
      for (const { event } of log) fold(inPlace, event);
      this.expectEqual(subject, 'the state that its log folds to', expected, plain(tablesOf(inPlace)));
      const pure = log.reduce((state, { event }) => evolve(state, event), emptyState());
      this.expectEqual(subject, 'the two ways to fold its log', plain(tablesOf(inPlace)), plain(tablesOf(pure)));
    });
  }

  /** A complete snapshot, updated by the log, equals the state of the partition. */
  private async compareSnapshots(read: (snapshot: RunningSnapshot) => Promise<unknown>): Promise<void> {
    const expected = plain(snapshotTables(this.spec.partition.state));
    await this.onEach(async (subject) => {
      const got = await read(this.snapshots.get(subject.name) as RunningSnapshot);
      if (got !== undefined) this.expectEqual(subject, 'a snapshot and the log behind it', expected, plain(got));
    });
  }

  private remember(command: Command, decision: AnyDecision): void {
    this.recent.push(command);
    if (this.recent.length > MAX_RECENT) this.recent.shift();
    if (!decision.ok) return;
    for (const event of decision.events) if (event.type === 'execution_created') this.created.push(event.executionId);
    for (const { executionId, leaseId, leaseEpoch, attemptId } of claimedIn(decision.outcome)) {
      this.fences.set(executionId, [...(this.fences.get(executionId) ?? []), { leaseId, leaseEpoch, attemptId }]);
    }
  }

  private classOf(command: Command): StateClass | '-' {
    if (!('executionId' in command.args) || command.args.executionId === undefined) return '-';
    return stateClassOf(this.spec.partition.state.tables.execution.get(command.args.executionId), this.now);
  }

  private classes(): Map<string, StateClass> {
    return new Map(
      [...this.spec.partition.state.tables.execution].map(([id, execution]) => [id, stateClassOf(execution, this.now)]),
    );
  }

  private note(action: Action['do'], result: string): void {
    this.steps.push({
      at: this.now,
      action,
      command: undefined,
      situation: '-',
      result,
      decision: undefined,
      events: [],
      taken: [],
    });
  }

  private expectEqual(subject: Subject, what: string, expected: unknown, got: unknown): void {
    if (!isDeepStrictEqual(expected, got)) throw new Divergence(subject.name, what, expected, got, this.steps);
  }
}

/** The partition in the arena for a kind of entity. */
function arenaOf(kind: EntityKind): string {
  const { family = 'flow' } = entityNamed(kind);
  return ARENA[family === 'any' ? 'flow' : family];
}

const partitionOf = ({ name, args }: Command): string =>
  partitionOfCommand(parseCommand(name, args, 'memory'), ONE_OF_EACH);

/** Commands that fit into one batch: those of one partition. */
function byPartition(commands: readonly Command[]): readonly (readonly Command[])[] {
  const runs: { readonly partition: string; readonly commands: Command[] }[] = [];
  for (const command of commands) {
    const partition = partitionOf(command);
    const last = runs.at(-1);
    if (last?.partition === partition) last.commands.push(command);
    else runs.push({ partition, commands: [command] });
  }
  return runs.map((run) => run.commands);
}

/** Every execution that a claim took or ended. */
function takenBy(decision: AnyDecision): string[] {
  if (!decision.ok || !('reclaimCapExceeded' in decision.outcome)) return [];
  const { outcome } = decision;
  return [...claimedIn(outcome).map(({ executionId }) => executionId), ...outcome.reclaimCapExceeded];
}

function tablesOf(state: PartitionState): unknown {
  return canonicalTables({ state }, Number.NEGATIVE_INFINITY);
}

/** Every entry of a log. */
async function wholeLog({ backend }: TestEngine, partition: string): Promise<LoggedEvent[]> {
  const log: LoggedEvent[] = [];
  let after: string | undefined;
  for (;;) {
    const { events, next, atEnd } = await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    log.push(...events);
    after = next;
    if (atEnd) return log;
  }
}

/** The events of a purge: removed streams, and the execution. The order within a slot is free. */
const isOfPurge = ({ type }: Event): boolean => type === 'execution_purged' || type === 'stream_removed';

/** Events in comparable order: those of purges last, by execution. */
function inAnyPurgeOrder(log: readonly LoggedEvent[]): unknown[] {
  const events = log.map(({ event }) => event);
  const idOf = (event: Event): string => ('executionId' in event ? event.executionId : '');
  const purges = events.filter(isOfPurge);
  const others = events.filter((event) => !isOfPurge(event));
  return [...others, ...purges.sort((a, b) => compareBytes(idOf(a), idOf(b)))];
}

/** An answer without events of purges: a page of the log may end inside a slot, where the order is free. */
function inAnyPurge(answer: unknown): unknown {
  const entries = (answer as { outcome?: { events?: readonly LoggedEvent[] } }).outcome?.events;
  if (entries === undefined) return answer;
  const events = entries.map((entry) =>
    isOfPurge(entry.event) ? { sequence: entry.sequence, event: { type: 'of a purge', at: entry.event.at } } : entry,
  );
  return { ...(answer as object), outcome: { ...(answer as { outcome: object }).outcome, events } };
}

/** Whether a backend may store bytes of the command before it sends the command. */
const hasLongBytes = ({ name, args }: Command): boolean =>
  [args, ...(operationNamed(name).newMembers?.(args as never) ?? [])].some((owner) =>
    Object.values(owner).some(
      (value: unknown) => value instanceof Uint8Array && value.byteLength > LIMITS.maxClaimedInputBytes,
    ),
  );

/** Whether a command makes another family necessary, whose first use is recorded before. */
const needsFamily = ({ name, args }: Command): boolean => operationNamed(name).needs?.(args) !== undefined;
