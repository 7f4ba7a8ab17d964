/** forgetReader: removes a reader that will not return; its position no longer holds back the log. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';

export const forgetReader = operation({
  name: 'forgetReader',
  family: 'any',
  args: z.strictObject({ partition: field.anyPartitionKey, readerId: field.readerId }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('forgotten') }),
    /** There is no such reader. */
    z.object({ kind: z.literal('unknown') }),
  ]),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['readerId'] },
  memory: 'frees',
  decide(view, { readerId }, { now }) {
    if (!view.log.readers.has(readerId)) return accept({ kind: 'unknown' });
    return accept({ kind: 'forgotten' }, { type: 'reader_forgotten', readerId, at: now });
  },
});
