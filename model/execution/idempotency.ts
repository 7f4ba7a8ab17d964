/**
 * Idempotency keys: a creator's own name for an execution, valid for a limited time (ruling 5). An entry past its time
 * counts as absent and may be dropped at any moment.
 */
import { entity, type EntityState, makes } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';

export const IDEMPOTENCY_KEY = subject('idempotency_key', 'name');

export const idempotencyFacts = fact.factTable({
  entry: { expiresAt: fact.number(), executionId: fact.text() },
});

export type IdempotencyEntry = EntityState<typeof IDEMPOTENCY_KEY, typeof idempotencyFacts>;

/** The entry of a (namespace, key) pair. A namespace contains no colon, so pairs do not collide. */
export function idempotencyId(namespace: string, key: string): string {
  return `${namespace}:${key}`;
}

export const idempotencyKeyEntity = entity({
  subject: IDEMPOTENCY_KEY,
  facts: idempotencyFacts,
  lapsesAt: ({ expiresAt }) => expiresAt,
  recipes: {
    execution_created: makes((event: EventNamed<'execution_created'>): IdempotencyEntry | undefined => {
      const { namespace, idempotencyKey, idempotencyExpiresAt, executionId } = event;
      if (idempotencyKey === undefined || idempotencyExpiresAt === undefined) return undefined;
      return { name: idempotencyId(namespace, idempotencyKey), executionId, expiresAt: idempotencyExpiresAt };
    }, 'replace'),
  },
});
