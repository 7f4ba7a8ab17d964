/** What decisions and reads see of executions, and its definition. */
import { compareBytes } from '../ids.js';
import { lostByDefinition, type LostPart } from '../lease/expired.js';
import type { Position } from '../listing/position.js';
import { queuedByDefinition, type QueuedFilter, type QueuedPart } from '../listing/queued.js';
import { listedByDefinition, type ListedPart, type ListFilter } from '../listing/list.js';
import type { Partition } from '../state.js';
import { suspendedByDefinition, type SuspendedFilter, type SuspendedPart } from '../suspension/listings.js';
import type { ReadonlyExecution } from './facts.js';
import { idempotencyId, isValid } from './idempotency.js';

/** One page of executions. */
export interface WholePart {
  /** By id, ascending. */
  readonly executions: readonly ReadonlyExecution[];
  /** The id to continue after; absent at the end. */
  readonly next: string | undefined;
}

export interface ExecutionView {
  get(executionId: string): ReadonlyExecution | undefined;
  /** Ids after `after`, ascending, at most `limit`. */
  ids(after: string | undefined, limit: number): readonly string[];
  /** Executions with all facts after `after`, ascending, at most `limit`; fewer if they are large. */
  whole(after: string | undefined, limit: number): WholePart;
  /** Executions that match, highest id first, after an id of any partition; `next` when more may follow. */
  listed(filter: ListFilter, before: string | undefined, limit: number): ListedPart;
  /** Waiting executions of a lane in the order of claims, after a position. */
  queued(filter: QueuedFilter, after: Position | undefined, limit: number): QueuedPart;
  /** Executions lost by a time and reclaimable, in a namespace or all, by the time of the loss, after a position. */
  lost(namespace: string | undefined, asOf: number, after: Position | undefined, limit: number): LostPart;
  /** Suspended executions that match, by the time of their timeouts, after a position. */
  suspended(filter: SuspendedFilter, after: Position | undefined, limit: number): SuspendedPart;
  /** The execution that a valid idempotency key points to; none once that is gone, because a key can outlive it. */
  ofKey(namespace: string, key: string, now: number): string | undefined;
  input(executionId: string): Uint8Array | undefined;
  result(executionId: string): Uint8Array | undefined;
  /** The payload of a signal. */
  payload(executionId: string, signalId: string): Uint8Array | undefined;
}

/** Functions that read executions by id, built from an iteration over all of them. */
export function wholeOf(
  { ids, get }: Pick<ExecutionView, 'ids' | 'get'>,
  after: string | undefined,
  limit: number,
): WholePart {
  const found = ids(after, limit + 1);
  const page = found.slice(0, limit);
  return { executions: page.flatMap((id) => get(id) ?? []), next: found.length > limit ? page.at(-1) : undefined };
}

/** The view by definition. */
export function executionsByDefinition({ state: { tables }, bytes, payloads }: Partition): ExecutionView {
  const get = (executionId: string): ReadonlyExecution | undefined => tables.execution.get(executionId);
  const ids = (after: string | undefined, limit: number): readonly string[] =>
    [...tables.execution.keys()]
      .filter((id) => after === undefined || compareBytes(id, after) > 0)
      .sort(compareBytes)
      .slice(0, limit);
  return {
    get,
    ids,
    whole: (after, limit) => wholeOf({ ids, get }, after, limit),
    listed: (filter, before, limit) => listedByDefinition(tables.execution.values(), filter, before, limit),
    queued: (filter, after, limit) => queuedByDefinition(tables.execution.values(), filter, after, limit),
    lost: (namespace, asOf, after, limit) => lostByDefinition(tables.execution.values(), namespace, asOf, after, limit),
    suspended: (filter, after, limit) => suspendedByDefinition(tables.execution.values(), filter, after, limit),
    ofKey(namespace, key, now) {
      const entry = tables.idempotency_key.get(idempotencyId(namespace, key));
      const first = entry && get(entry.executionId);
      return first && isValid(entry, first, now) ? first.executionId : undefined;
    },
    input: (executionId) => bytes.input.get(executionId),
    result: (executionId) => bytes.result.get(executionId),
    payload: (executionId, signalId) => payloads.get(executionId)?.get(signalId),
  };
}
