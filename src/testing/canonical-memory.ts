/** Reads the canonical state of a partition of the memory backend out of its tables and indexes. */
import { compareBytes } from '../../model/ids.js';
import type { IndexedStore } from '../memory/indexed-store.js';
import { base64Of, sortedRecord, type CanonicalState } from './canonical.js';

export function canonicalOfMemory(store: IndexedStore, now: number): CanonicalState {
  const { partition, queues, timers, slots, ids } = store.inspect();
  const { executions, idempotency, lanes } = partition.state;
  const entriesOf = (positions: Iterable<{ id: string; score: number }>): [string, number][] =>
    [...positions].map(({ id, score }) => [id, score]);
  const allQueues = [...queues].flatMap(([lane, sets]) =>
    [...sets].map(([requirements, positions]) => [`${lane}:${requirements}`, entriesOf(positions)] as const),
  );
  return {
    executions: [...executions.values()].sort((a, b) => compareBytes(a.executionId, b.executionId)),
    queues: sortedRecord(allQueues.filter(([, entries]) => entries.length > 0)),
    timers: entriesOf(timers),
    slots: sortedRecord([...slots].map(([at, members]) => [String(at), [...members].sort(compareBytes)] as const)),
    ids: [...ids],
    lanes: [...lanes].sort(compareBytes),
    idempotency: sortedRecord(
      [...idempotency]
        .filter(([, entry]) => entry.expiresAt > now)
        .map(([key, entry]) => [key, [entry.executionId, entry.expiresAt]] as const),
    ),
    payloads: base64Of(partition.payloads),
    results: base64Of(partition.results),
    logEnd: store.logEnd(),
    strays: [...partition.payloads.keys(), ...partition.results.keys()].filter((id) => !executions.has(id)),
  };
}
