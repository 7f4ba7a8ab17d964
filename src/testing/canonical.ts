/**
 * The canonical state of a partition: everything that is stored, in one comparable form. The spec's is derived from
 * the executions by definition; a backend's is read back from its tables and indexes. They must be equal.
 */
import type { ReadonlyExecution } from '../../model/execution/execution.js';
import { isClaimable, isTerminal } from '../../model/execution/situation.js';
import { compareBytes } from '../../model/ids.js';
import { queueScore, requirementSetOf } from '../../model/schedule/queue.js';
import { nextTimer } from '../../model/schedule/timers.js';
import type { Partition } from '../../model/state.js';

export interface CanonicalState {
  /** By id. */
  readonly executions: readonly ReadonlyExecution[];
  /** `lane:requirements` -> (id, score) in order; queues without work are left out. */
  readonly queues: Readonly<Record<string, readonly (readonly [string, number])[]>>;
  /** (id, time) in order. */
  readonly timers: readonly (readonly [string, number])[];
  /** Time of the purge -> ids in order. */
  readonly slots: Readonly<Record<string, readonly string[]>>;
  readonly ids: readonly string[];
  readonly lanes: readonly string[];
  /** `namespace:key` -> (execution, end of its life); entries past their life are left out. */
  readonly idempotency: Readonly<Record<string, readonly [string, number]>>;
  /** Bytes as base64, by execution. */
  readonly payloads: Readonly<Record<string, string>>;
  readonly results: Readonly<Record<string, string>>;
  readonly logEnd: number;
  /** Things that are stored and belong to nothing. */
  readonly strays: readonly string[];
}

export const sortedRecord = <Value>(entries: Iterable<readonly [string, Value]>): Record<string, Value> =>
  Object.fromEntries([...entries].sort(([a], [b]) => compareBytes(a, b)));

export const base64Of = (entries: Iterable<readonly [string, Uint8Array]>): Record<string, string> =>
  sortedRecord([...entries].map(([id, bytes]) => [id, Buffer.from(bytes).toString('base64')] as const));

const inScoreOrder = (a: readonly [string, number], b: readonly [string, number]): number =>
  a[1] - b[1] || compareBytes(a[0], b[0]);

/** The canonical state of a partition by definition: indexes are derived from the executions. */
export function canonicalByDefinition(partition: Partition, now: number): CanonicalState {
  const executions = [...partition.state.executions.values()].sort((a, b) =>
    compareBytes(a.executionId, b.executionId),
  );
  const queues = new Map<string, [string, number][]>();
  const slots = new Map<string, string[]>();
  const timers: [string, number][] = [];
  for (const execution of executions) {
    const id = execution.executionId;
    if (isClaimable(execution.situation))
      push(queues, `${execution.laneId}:${requirementSetOf(execution)}`, [id, queueScore(execution)]);
    if (isTerminal(execution.situation)) push(slots, String(execution.dueAt), id);
    const timer = nextTimer(execution);
    if (timer !== undefined) timers.push([id, timer.at]);
  }
  return {
    executions,
    queues: sortedRecord([...queues].map(([name, entries]) => [name, entries.sort(inScoreOrder)] as const)),
    timers: timers.sort(inScoreOrder),
    slots: sortedRecord(slots),
    ids: executions.map(({ executionId }) => executionId),
    lanes: [...partition.state.lanes].sort(compareBytes),
    idempotency: sortedRecord(
      [...partition.state.idempotency]
        .filter(([, { expiresAt }]) => expiresAt > now)
        .map(([key, { executionId, expiresAt }]) => [key, [executionId, expiresAt]] as const),
    ),
    payloads: base64Of(partition.payloads),
    results: base64Of(partition.results),
    logEnd: partition.log.at(-1)?.sequence ?? 0,
    strays: [],
  };
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
