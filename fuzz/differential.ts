/**
 * The differential run: the same actions on the specification and on backends. After every step outcomes and events
 * must be equal; at checkpoints and at the end the whole canonical state, the reads, and every invariant.
 */
import { parseCommand } from '../src/backend/boundary.js';
import { present } from '../model/core/present.js';
import type { Event, LogEntry } from '../model/events.js';
import type { FullFence } from '../model/lease/fence.js';
import { DEFAULTS, LIMITS } from '../model/limits.js';
import { operationNamed, QUERIES, type AnyDecision, type Command, type QueryName } from '../model/machine.js';
import { ONE_OF_EACH } from '../model/partition.js';
import { encodeCursor } from '../model/partition/cursor.js';
import { SpecMachine } from '../model/specification/machine.js';
import { ENTITY_KINDS, type Tables } from '../model/state.js';
import { seededUuids } from '../src/testing/index.js';
import { readsOf, resolve, type Action } from './actions/index.js';
import { chosenId, resolveMoment, type World } from './actions/world.js';
import { failed, inAnyPurge, inAnyPurgeOrder, settled, visible } from './answers.js';
import type { AnyCall } from './any-call.js';
import { carried } from './carriers.js';
import { claimedIn } from './claimed.js';
import { Comparison, type Subject } from './comparison.js';
import { Divergence, type Step } from './divergence.js';
import { Names } from './names.js';
import { byPartition, needsFamily, PARTITION, partitionOf, placeOf, PLACES } from './places.js';
import { revealed } from './plain.js';
import { RunningSnapshot, snapshotTables } from './snapshots.js';
import { stateClassOf, type StateClass } from './state-class.js';
import { compareReplay, compareState } from './stored-state.js';
import { WakeComparison } from './wakes/comparison.js';

export interface RunOptions {
  /** Actions between two comparisons of the whole state; the last is at the end of the run. */
  readonly checkpointEvery: number;
  readonly retentionMs?: number;
}

/** The indexed tags of all deployments. */
export const INDEXED_TAGS = ['team.name', 'z.a'] as const;

/** Actions between two pages of a snapshot. */
const SNAPSHOT_EVERY = 12;

/** Calls that can be repeated. */
const MAX_RECENT = 8;

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
  private readonly comparison: Comparison;
  private readonly wakes: WakeComparison;
  /** Actions so far. */
  private actions = 0;
  /** The names in place of the drawn ones; absent: the drawn ones. */
  private names: Names | undefined;

  constructor(
    private readonly subjects: readonly Subject[],
    private readonly options: RunOptions,
    private now: number,
    private uuid: () => string,
  ) {
    this.comparison = new Comparison(subjects, this.steps);
    this.wakes = new WakeComparison(this.comparison);
    for (const partition of Object.values(PLACES)) {
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
      case 'names':
        this.names = new Names(action.seed);
        this.note(action.do, 'names that collide');
        break;
      case 'ids':
        this.uuid = seededUuids(String(action.seed));
        this.note(action.do, 'other ids');
        break;
      case 'batch':
        for (const commands of byPartition(this.resolved(action))) await this.command(action, commands, true);
        break;
      default: {
        const commands = this.resolved(action);
        await this.command(action, commands, commands.length > 1);
      }
    }
    this.actions++;
    if (this.actions % this.options.checkpointEvery === 0) await this.checkpoint();
    if (this.actions % SNAPSHOT_EVERY === 0) await this.compareSnapshots((snapshot) => snapshot.step(2));
  }

  async finish(): Promise<void> {
    await this.checkpoint();
    for (const name of this.used) await compareReplay(this.comparison, name, this.specOf(name).partition);
    await this.compareSnapshots((snapshot) => snapshot.finish());
  }

  /** The commands of an action, with the names of the run. */
  private resolved(action: Action): Command[] {
    const { names } = this;
    const commands = resolve(this.world(), action);
    return names === undefined
      ? commands
      : commands.map((command) => ({ ...command, args: names.of(command.args) }) as Command);
  }

  /** An acknowledged change must still be there after the restart. */
  private async restart(): Promise<void> {
    for (const subject of this.subjects) {
      if (!subject.restarts) continue;
      await subject.engine.restart();
      await this.wakes.restarted(subject);
    }
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
      places: Object.values(PLACES),
      // For each kind, the table in its family; kinds of every family are compared in that of executions.
      tables: Object.fromEntries(
        ENTITY_KINDS.map((kind) => [kind, this.specOf(placeOf(kind)).partition.state.tables[kind]]),
      ) as unknown as Tables,
      headerOf: (partition) => this.specOf(partition).partition.header,
      entryTimeOf: (partition, sequence) => this.specOf(partition).partition.log[sequence - 1]?.event.at ?? 0,
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
    const partition = partitionOf(present(commands[0]));
    const spec = this.specOf(partition);
    this.used.add(partition);
    await this.wakes.begin(partition, spec.partition.state, commands);
    const decisions: AnyDecision[] = [];
    const expected = commands.map((command) => {
      const before = this.classOf(command);
      const classes = command.name === 'claimForWorker' ? this.classes() : undefined;
      const logged = spec.partition.log.length;
      const decision = spec.run(parseCommand(command.name, command.args, 'memory'), this.now);
      decisions.push(decision);
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
      return revealed(visible(decision));
    });
    const seen = this.seen.get(partition) ?? 0;
    const logged = spec.partition.log.slice(seen);
    await this.comparison.onEach(async (subject) => {
      const { value: own, overwrite } = carried(commands, this.steps.length + this.subjects.indexOf(subject));
      const answers = asBatch ? this.runBatch(subject, own) : this.runOne(subject, present(own[0]));
      // The first use of a family is recorded before the command is sent, long bytes are stored before it, and a large
      // batch runs in several calls.
      if (partition !== PARTITION || commands.some(needsFamily) || commands.some(hasLongBytes) || isLarge(commands))
        await answers;
      // Both are sent together on one connection, and run in this order: one round trip.
      const [got, entries] = await Promise.all([answers, this.newEvents(subject, partition)]);
      overwrite();
      got.forEach((result, i) =>
        this.comparison.expectEqual(
          subject,
          `the outcome of ${present(commands[i]).name}`,
          expected[i],
          revealed(result),
        ),
      );
      this.comparison.expectEqual(
        subject,
        'the events',
        revealed(inAnyPurgeOrder(logged)),
        revealed(inAnyPurgeOrder(entries)),
      );
    });
    this.seen.set(partition, seen + logged.length);
    await this.wakes.end(partition, spec.partition.state, decisions, logged.length > 0);
  }

  private async runOne({ engine }: Subject, { name, args }: Command): Promise<unknown[]> {
    return [await settled((engine.backend as AnyCall)[name](args as never))];
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
    for (const [name, drawn] of queries) {
      const args = this.names?.of(drawn) ?? drawn;
      const declaration = QUERIES[name];
      const parsed = declaration.args.parse(args);
      const spec = this.specOf(declaration.partition(parsed as never, ONE_OF_EACH));
      const decision = declaration.read(spec.view, parsed as never, {
        now: this.now,
        settings: { retentionMs: 0 },
      }) as AnyDecision;
      const expected = inAnyPurge(revealed(visible(decision)));
      for (const subject of this.subjects) {
        const got = await settled((subject.engine.backend as AnyCall)[name](args as never));
        this.comparison.expectEqual(subject, `the answer of ${name}`, expected, inAnyPurge(revealed(got)));
      }
    }
    await this.compareSnapshots((snapshot) => snapshot.step(Math.max(1, limit)));
    this.note('read', 'reads agree');
  }

  /** Log entries that have not been compared yet. */
  private async newEvents(subject: Subject, partition: string): Promise<readonly LogEntry[]> {
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

  private async checkpoint(): Promise<void> {
    for (const name of this.used)
      await compareState(this.comparison, name, this.specOf(name).partition, this.now, INDEXED_TAGS);
  }

  /** A complete snapshot, updated by the log, equals the state of the partition. */
  private async compareSnapshots(read: (snapshot: RunningSnapshot) => Promise<unknown>): Promise<void> {
    let expected: unknown;
    await this.comparison.onEach(async (subject) => {
      const got = await read(present(this.snapshots.get(subject.name)));
      if (got === undefined) return;
      expected ??= revealed(snapshotTables(this.spec.partition.state));
      this.comparison.expectEqual(subject, 'a snapshot and the log behind it', expected, revealed(got));
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
}

/** Every execution that a claim took or ended. */
function takenBy(decision: AnyDecision): string[] {
  if (!decision.ok || !('reclaimCapExceeded' in decision.outcome)) return [];
  const { outcome } = decision;
  return [...claimedIn(outcome).map(({ executionId }) => executionId), ...outcome.reclaimCapExceeded];
}

/** Whether the batch has more work than the largest claim, so that a backend may run it in several calls. */
const isLarge = (commands: readonly Command[]): boolean =>
  commands.length > 1 &&
  commands
    .map(({ name, args }) => operationNamed(name).units?.(parseCommand(name, args, 'memory').args as never) ?? 1)
    .reduce((sum, units) => sum + units) > LIMITS.maxClaimCount;

/** Whether a backend may store bytes of the command before it sends the command. */
const hasLongBytes = ({ name, args }: Command): boolean =>
  [args, ...(operationNamed(name).newMembers?.(args as never) ?? [])].some((owner) =>
    Object.values(owner).some(
      (value: unknown) => value instanceof Uint8Array && value.byteLength > LIMITS.maxClaimedInputBytes,
    ),
  );
