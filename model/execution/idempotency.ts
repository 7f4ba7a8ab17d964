/**
 * Idempotency keys: a creator's own name for an execution, good for a time of its own (ruling 5). An entry past its
 * time counts as absent and may be dropped at any moment.
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

/** One name for a (namespace, key) pair; a namespace holds no colon, so no two pairs share it. */
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
