/** The state of one partition: what its log, folded, amounts to. */
import type { LoggedEvent } from './events.js';
import type { Execution } from './execution/execution.js';

export interface IdempotencyEntry {
  readonly executionId: string;
  readonly expiresAt: number;
}

export interface PartitionState {
  readonly executions: Map<string, Execution>;
  /** By `idempotencyId`. An entry past its time counts as absent and may be dropped at any moment. */
  readonly idempotency: Map<string, IdempotencyEntry>;
  readonly lanes: Set<string>;
}

/** State, and what lives beside it: bytes that events name but do not carry, and the log itself. */
export interface Partition {
  readonly state: PartitionState;
  readonly payloads: Map<string, Uint8Array>;
  readonly results: Map<string, Uint8Array>;
  readonly log: LoggedEvent[];
}

export function emptyState(): PartitionState {
  return { executions: new Map(), idempotency: new Map(), lanes: new Set() };
}

export function emptyPartition(): Partition {
  return { state: emptyState(), payloads: new Map(), results: new Map(), log: [] };
}

/** One text for a (namespace, key) pair; a namespace holds no colon, so no two pairs share it. */
export function idempotencyId(namespace: string, key: string): string {
  return `${namespace}:${key}`;
}
