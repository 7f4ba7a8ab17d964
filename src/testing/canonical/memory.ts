/** Reads the canonical state of a partition of the memory backend out of its tables and indexes. */
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { compareBytes } from '../../../model/ids.js';
import type { IndexedStore } from '../../memory/indexed-store.js';
import {
  base64Of,
  canonicalCounts,
  canonicalPayloads,
  canonicalSteps,
  canonicalStreams,
  canonicalTables,
  shelvesByDefinition,
  sortedRecord,
  type CanonicalState,
} from './index.js';

export function canonicalOfMemory(
  store: IndexedStore,
  now: number,
  indexedTags: readonly string[] = [],
): CanonicalState {
  const { partition, queues, timers, suspended, counts, slots, ids } = store.inspect();
  const { state, bytes, header } = partition;
  const entriesOf = (positions: Iterable<{ id: string; score: number }>): [string, number][] =>
    [...positions].map(({ id, score }) => [id, score]);
  const allQueues = [...queues].map(([name, positions]) => [name, entriesOf(positions)] as const);
  const tables = canonicalTables(partition, now);
  return {
    tables,
    queues: sortedRecord(allQueues.filter(([, entries]) => entries.length > 0)),
    timers: entriesOf(timers),
    suspended: entriesOf(suspended),
    counts: canonicalCounts(counts),
    slots: sortedRecord([...slots].map(([at, members]) => [String(at), [...members].sort(compareBytes)] as const)),
    // This backend has none: its lists scan all executions.
    shelves: shelvesByDefinition(tables.execution as readonly ReadonlyExecution[], indexedTags),
    ids: [...ids],
    inputs: base64Of(bytes.input),
    results: base64Of(bytes.result),
    streams: canonicalStreams(partition.streams),
    payloads: canonicalPayloads(partition.payloads),
    steps: canonicalSteps(partition.steps),
    header,
    strays: [...bytes.input.keys(), ...bytes.result.keys(), ...partition.payloads.keys()].filter(
      (id) => !state.tables.execution.has(id),
    ),
  };
}
