/** findExecution: the execution that a live idempotency key names. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';

export const findExecution = query({
  name: 'findExecution',
  args: z.strictObject({
    /** The partition of the key (see `placementOf`). */
    partition: field.partitionKey,
    namespace: field.namespace,
    idempotencyKey: field.idempotencyKey,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * The id that a further creation with this key would be a duplicate of; absent when it would create a new execution.
   */
  read(view, { namespace, idempotencyKey }, { now }) {
    return accept<string | undefined>(
      idempotencyKey === '' ? undefined : view.executions.ofKey(namespace, idempotencyKey, now),
    );
  },
});
