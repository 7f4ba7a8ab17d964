/** Payloads of signals: bytes beside the state, which events refer to but do not carry (ruling 39). */
import type { Event } from '../events.js';
import { losesCheckpoints } from '../step/contents.js';

/** The payload of a signal. */
export interface SignalPayload {
  readonly executionId: string;
  readonly signalId: string;
  readonly bytes: Uint8Array;
}

/** By execution, then by signal. Payloads are purged with their execution. */
export type PayloadTable = Map<string, Map<string, Uint8Array>>;

/** Drops the payloads that an event discards. */
export function dropPayloads(table: PayloadTable, event: Event): void {
  if (table.size > 0) table.delete(losesCheckpoints(event) ?? '');
}

/** Stores a payload. */
export function keepPayload(table: PayloadTable, { executionId, signalId, bytes }: SignalPayload): void {
  const known = table.get(executionId);
  if (known === undefined) table.set(executionId, new Map([[signalId, bytes]]));
  else known.set(signalId, bytes);
}
