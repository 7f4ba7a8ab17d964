/**
 * Idempotency keys: a creator's own name for an execution (ruling 5). Each is valid for a limited time, and a held one
 * for as long as its execution exists. An entry that is not valid may be dropped at any moment.
 */
import { entity, type EntityState, makes } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';
import type { ReadonlyExecution } from './facts.js';

export const IDEMPOTENCY_KEY = subject('idempotency_key', 'name');

export const idempotencyFacts = fact.factTable({
  entry: { expiresAt: fact.number(), executionId: fact.text() },
});

export type IdempotencyEntry = EntityState<typeof IDEMPOTENCY_KEY, typeof idempotencyFacts>;

/** The entry of a (namespace, key) pair. A namespace contains no colon, so pairs do not collide. */
export function idempotencyId(namespace: string, key: string): string {
  return `${namespace}:${key}`;
}

/** Whether an entry is valid. @param execution the one it points to, if that exists */
export const isValid = (
  { expiresAt }: Pick<IdempotencyEntry, 'expiresAt'>,
  execution: Pick<ReadonlyExecution, 'heldKey'> | undefined,
  now: number,
): boolean => expiresAt > now || execution?.heldKey !== undefined;

export const idempotencyKeyEntity = entity({
  subject: IDEMPOTENCY_KEY,
  facts: idempotencyFacts,
  isLive: (entry, now, find) => isValid(entry, find('execution', entry.executionId) as ReadonlyExecution, now),
  recipes: {
    execution_created: makes((event: EventNamed<'execution_created'>): IdempotencyEntry | undefined => {
      const { namespace, idempotencyKey, idempotencyExpiresAt, executionId } = event;
      if (idempotencyKey === undefined || idempotencyExpiresAt === undefined) return undefined;
      return { name: idempotencyId(namespace, idempotencyKey), executionId, expiresAt: idempotencyExpiresAt };
    }, 'replace'),
  },
});
