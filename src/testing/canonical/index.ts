/**
 * The canonical state of a partition: everything stored, in one comparable form. For the specification it is derived
 * from the entities; for a backend it is read back from its tables and indexes. They must be equal.
 */
import { tableOf } from '../../../model/core/tables.js';
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { isQueued, isTerminal } from '../../../model/execution/situation.js';
import { compareBytes } from '../../../model/ids.js';
import { shelvesOf } from '../../../model/listing/shelves.js';
import { talliesByDefinition, type Tally } from '../../../model/schedule/counts.js';
import { queueNameOf, queueScore } from '../../../model/schedule/queue.js';
import { timersByDefinition } from '../../../model/schedule/view.js';
import type { Steps } from '../../../model/step/contents.js';
import { FRAME_MODES, type Frame, type StreamContents } from '../../../model/stream/contents.js';
import { suspendedUntil } from '../../../model/suspension/listings.js';
import { ENTITY_KINDS, live, type EntityKind, type Header, type Partition } from '../../../model/state.js';

export interface CanonicalState {
  /** By kind: every entity, by id. Expired idempotency keys are left out. */
  readonly tables: Readonly<Record<EntityKind, readonly object[]>>;
  /** `lane<tab>needs<tab>kind` -> (id, score) in order; empty queues are left out. */
  readonly queues: Readonly<Record<string, readonly (readonly [string, number])[]>>;
  /** (`<kind>:<id>`, time) in order. */
  readonly timers: readonly (readonly [string, number])[];
  /** Suspended executions by timeout: (id, time) in order. */
  readonly suspended: readonly (readonly [string, number])[];
  /** By lane: number of executions by situation, and of held ones; zeros are left out. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Time of the purge -> ids in order. */
  readonly slots: Readonly<Record<string, readonly string[]>>;
  /** By name: the ids on each shelf, in order; empty shelves are left out. */
  readonly shelves: Readonly<Record<string, readonly string[]>>;
  readonly ids: readonly string[];
  /** Bytes as base64, by execution. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly results: Readonly<Record<string, string>>;
  /** Contents of streams, by stream; payloads as base64. */
  readonly streams: Readonly<Record<string, object>>;
  /** Payloads of signals, by execution and signal, as base64. */
  readonly payloads: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Recorded steps by execution, in their order; values as base64. */
  readonly steps: Readonly<Record<string, readonly object[]>>;
  readonly header: Readonly<Header>;
  /** Stored items that belong to nothing. */
  readonly strays: readonly string[];
}

export const sortedRecord = <Value>(entries: Iterable<readonly [string, Value]>): Record<string, Value> =>
  Object.fromEntries([...entries].sort(([a], [b]) => compareBytes(a, b)));

export const base64Of = (entries: Iterable<readonly [string, Uint8Array]>): Record<string, string> =>
  sortedRecord([...entries].map(([id, bytes]) => [id, Buffer.from(bytes).toString('base64')] as const));

const inScoreOrder = (a: readonly [string, number], b: readonly [string, number]): number =>
  a[1] - b[1] || compareBytes(a[0], b[0]);

/** Tallies in a comparable form: lanes and situations without executions are left out. */
export function canonicalCounts(tallies: ReadonlyMap<string, Tally>): CanonicalState['counts'] {
  const counts = [...tallies].map(([lane, { situations, held }]) => {
    const numbers: [string, number][] = [...situations, ['held', held]];
    return [lane, sortedRecord(numbers.filter(([, number]) => number !== 0))] as const;
  });
  return sortedRecord(counts.filter(([, numbers]) => Object.keys(numbers).length > 0));
}

/** The ids on each shelf, given executions in the order of their ids. */
export function shelvesByDefinition(
  executions: readonly ReadonlyExecution[],
  indexedTags: readonly string[],
): CanonicalState['shelves'] {
  const shelves = new Map<string, string[]>();
  for (const execution of executions) {
    for (const shelf of shelvesOf(execution, indexedTags)) push(shelves, shelf, execution.executionId);
  }
  return sortedRecord(shelves);
}

/** Every table, sorted by id. */
export function canonicalTables(
  { state: { tables } }: Pick<Partition, 'state'>,
  now: number,
): CanonicalState['tables'] {
  const byId = (table: ReadonlyMap<string, object>): object[] =>
    [...table].sort(([a], [b]) => compareBytes(a, b)).map(([, entity]) => entity);
  return tableOf(ENTITY_KINDS, (kind) => byId(live(kind, { tables }, now)));
}

/** The canonical state of a partition by definition: indexes derived from the entities. */
export function canonicalByDefinition(
  partition: Partition,
  now: number,
  indexedTags: readonly string[] = [],
): CanonicalState {
  const tables = canonicalTables(partition, now);
  const queues = new Map<string, [string, number][]>();
  const slots = new Map<string, string[]>();
  const suspended: [string, number][] = [];
  const executions = tables.execution as readonly ReadonlyExecution[];
  for (const execution of executions) {
    const id = execution.executionId;
    if (isQueued(execution)) {
      push(queues, `${execution.laneId}\t${queueNameOf(execution)}`, [id, queueScore(execution)]);
    }
    const { situation, dueAt, flow } = execution;
    if (situation === 'suspended') suspended.push([id, suspendedUntil(execution)]);
    if (isTerminal(situation) && dueAt !== undefined && flow === undefined) push(slots, String(dueAt), id);
  }
  return {
    tables,
    queues: sortedRecord([...queues].map(([name, entries]) => [name, entries.sort(inScoreOrder)] as const)),
    timers: timersByDefinition(partition.state).map(({ member, at }) => [member, at]),
    suspended: suspended.sort(inScoreOrder),
    counts: canonicalCounts(talliesByDefinition(executions)),
    slots: sortedRecord(slots),
    shelves: shelvesByDefinition(executions, indexedTags),
    ids: executions.map(({ executionId }) => executionId),
    inputs: base64Of(partition.bytes.input),
    results: base64Of(partition.bytes.result),
    streams: canonicalStreams(partition.streams),
    payloads: canonicalPayloads(partition.payloads),
    steps: canonicalSteps(partition.steps),
    header: partition.header,
    strays: [],
  };
}

/** Payloads of signals in a comparable form. */
export const canonicalPayloads = (
  payloads: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>,
): CanonicalState['payloads'] =>
  sortedRecord([...payloads].map(([id, ofSignals]) => [id, base64Of(ofSignals)] as const));

/** Contents of streams in a comparable form. */
export function canonicalStreams(streams: ReadonlyMap<string, StreamContents>): Record<string, object> {
  const framed = ({ payload, ...labels }: Frame): object => ({
    ...labels,
    payload: Buffer.from(payload).toString('base64'),
  });
  return sortedRecord(
    [...streams].map(([id, { frames, ...rest }]) => [
      id,
      { ...rest, frames: Object.fromEntries(FRAME_MODES.map((mode) => [mode, frames[mode].map(framed)])) },
    ]),
  );
}

/** Recorded steps in a comparable form. */
export function canonicalSteps(steps: ReadonlyMap<string, Pick<Steps, 'records'>>): Record<string, object[]> {
  return sortedRecord(
    [...steps].map(([id, { records }]) => [
      id,
      records.map((step) => ({ ...step, value: step.value && Buffer.from(step.value).toString('base64') })),
    ]),
  );
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
