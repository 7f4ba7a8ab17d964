/**
 * Reads the canonical state of a partition back from a server, key by key. It reads every key of the partition, so it
 * also finds keys that nothing accounts for. Slow; for tests and inspection only.
 */
import { present } from '../../../../model/core/present.js';
import { isValid } from '../../../../model/execution/idempotency.js';
import type { ReadonlyExecution } from '../../../../model/execution/facts.js';
import { isTerminal } from '../../../../model/execution/situation.js';
import { compareBytes } from '../../../../model/ids.js';
import { openLane } from '../../../../model/lane/lane.js';
import { entityNamed, type EntityKind } from '../../../../model/state.js';
import type { Client } from '../../../valkey/connection/clients.js';
import { decodeDependencies } from '../../../valkey/records/dependencies.js';
import { decodeWaits } from '../../../valkey/records/waits.js';
import {
  base64Of,
  canonicalCounts,
  canonicalPayloads,
  canonicalSteps,
  canonicalStreams,
  sortedRecord,
  type CanonicalState,
} from '../index.js';
import { disagreements } from './agreement.js';
import { readExecutionKey } from './execution-keys.js';
import { readEntityKey } from './records.js';
import { keysUnder } from './scan.js';
import { readSharedKey } from './shared-keys.js';
import { StoredPartition } from './stored.js';

export async function canonicalOfValkey(
  client: Client,
  prefix: string,
  partition: string,
  now: number,
): Promise<CanonicalState> {
  const start = `${prefix}${partition}:`;
  const stored = new StoredPartition(client, partition);
  // All at once: the client sends the reads of one turn together.
  await Promise.all(
    (await keysUnder(client, start)).map((key) => {
      const name = key.slice(start.length);
      return (
        readSharedKey(stored, key, name) ?? readEntityKey(stored, key, name) ?? readExecutionKey(stored, key, name)
      );
    }),
  );
  return canonicalOf(stored, now);
}

function canonicalOf(stored: StoredPartition, now: number): CanonicalState {
  const executions = wholeExecutions(stored);
  const strays = [
    ...stored.strays,
    ...stored.flowIndexes.strays(executions, stored.entitiesOf('flow'), stored.tallies),
    ...disagreements(stored),
  ];
  const known = new Map(executions.map((execution) => [execution.executionId, execution]));
  const ids = [...stored.leaves].sort(([a], [b]) => compareBytes(a, b)).flatMap(([, members]) => members);
  const slots = stored.slots.map(([at, members]) => [at, keptIn(members, known, Number(at))] as const);
  return {
    tables: tablesOf(stored, executions, now),
    queues: sortedRecord(stored.queues),
    timers: stored.timers,
    suspended: stored.suspended,
    counts: canonicalCounts(stored.tallies),
    slots: sortedRecord(slots.filter(([, members]) => members.length > 0)),
    shelves: sortedRecord(shelvesOf(stored)),
    ids: ids.map((id) => stored.idOf(id)),
    inputs: base64Of(stored.inputs),
    results: base64Of(stored.results),
    streams: canonicalStreams(stored.streams),
    payloads: canonicalPayloads(stored.payloads),
    steps: canonicalSteps(stored.steps),
    header: stored.header,
    strays: [...strays, ...[...stored.inputs, ...stored.results].map(([id]) => id).filter((id) => !known.has(id))],
  };
}

/** The executions with the facts that are stored beside their records, by id. */
function wholeExecutions(stored: StoredPartition): ReadonlyExecution[] {
  const { executions, waits, dependencies, stepTotals, strays } = stored;
  const known = new Set(executions.map(({ executionId }) => executionId));
  const unknown = (ids: Iterable<string>): string[] => [...ids].filter((id) => !known.has(id));
  strays.push(...unknown(waits.keys()).map((id) => `what ${id} waits for`));
  strays.push(...unknown(dependencies.keys()).map((id) => `what ${id} depends on`));
  return executions
    .map((execution): ReadonlyExecution => {
      const { executionId } = execution;
      const waiting = waits.get(executionId);
      const edges = dependencies.get(executionId);
      return {
        ...execution,
        ...(waiting && { waiting: decodeWaits(waiting) }),
        ...(edges && { dependencies: decodeDependencies(edges) }),
        ...stepTotals.get(executionId),
      };
    })
    .sort((a, b) => compareBytes(a.executionId, b.executionId));
}

function tablesOf(
  stored: StoredPartition,
  executions: readonly ReadonlyExecution[],
  now: number,
): CanonicalState['tables'] {
  const byName = <Key extends { readonly name: string }>(keys: readonly Key[]): Key[] =>
    [...keys].sort((a, b) => compareBytes(a.name, b.name));
  const byId = new Map(executions.map((execution) => [execution.executionId, execution]));
  return {
    execution: executions,
    stream: [],
    idempotency_key: byName(stored.keys.filter((entry) => isValid(entry, byId.get(entry.executionId), now))),
    signing_key: [],
    quota_policy: [],
    admission: sortedById('admission', stored.admissions),
    worker: [],
    flow: [],
    walk: [],
    budget: [],
    reservation: [],
    ledger: [],
    bill: [],
    usage_key: byName(stored.usageKeys.filter(({ expiresAt }) => expiresAt > now)),
    reader: sortedById('reader', [...stored.readers.values()]),
    ...Object.fromEntries(stored.byKind().map(([kind, entities]) => [kind, sortedById(kind, entities)])),
    lane: allLanes(stored),
  };
}

/** Lanes with a record, and lanes that were always open. */
function allLanes(stored: StoredPartition): readonly object[] {
  const stated = new Map(stored.entitiesOf('lane').map((lane) => [lane.laneId, lane]));
  return stored.lanes.sort(compareBytes).map((laneId) => stated.get(laneId) ?? openLane(laneId));
}

/** By name: the ids on each shelf. */
function shelvesOf(stored: StoredPartition): [string, string[]][] {
  const shelves = new Map<string, string[]>();
  for (const [leaf, members] of [...stored.shelved].sort(([a], [b]) => compareBytes(a, b))) {
    const shelf = leaf.slice(leaf.indexOf(':') + 1);
    shelves.set(shelf, [...(shelves.get(shelf) ?? []), ...members.map((id) => stored.idOf(id))]);
  }
  return [...shelves];
}

/** Entities of a kind, by id. */
function sortedById(kind: EntityKind, entities: readonly object[]): object[] {
  const { key } = entityNamed(kind).subject;
  const idOf = (entity: object): string => present((entity as Record<string, string>)[key]);
  return [...entities].sort((a, b) => compareBytes(idOf(a), idOf(b)));
}

/**
 * An entry of a slot counts only while the record's purge time names the slot (ruling 24), and for no member of a flow;
 * a replay can leave one.
 */
function keptIn(members: readonly string[], known: ReadonlyMap<string, ReadonlyExecution>, at: number): string[] {
  return [...new Set(members)].filter((id) => {
    const execution = known.get(id);
    if (execution === undefined || execution.flow !== undefined) return false;
    return isTerminal(execution.situation) && execution.dueAt === at;
  });
}
