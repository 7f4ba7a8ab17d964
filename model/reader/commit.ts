/**
 * commitReader: a reader stores how far it has read the log of a partition. The position never moves back: a late or
 * repeated commit changes nothing. The first commit registers the reader. Spec 13 section A5.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { LIMITS } from '../limits.js';
import { decodeCursor, isExactCursor, isOfTime } from '../partition/cursor.js';
import { knowsLog } from './entity.js';

export const commitReader = operation({
  name: 'commitReader',
  family: 'any',
  args: z.strictObject({
    partition: field.anyPartitionKey,
    readerId: field.readerId,
    /** A cursor of this partition, from `readLog`. */
    position: z.string().refine(isExactCursor, { error: 'must be a cursor that a read of this partition answered' }),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('committed') }),
    /** The reader was at or beyond this position. */
    z.object({ kind: z.literal('unchanged') }),
  ]),
  rejects: ['cursor_lost', 'too_many_readers'],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['readerId', 'position'] },
  memory: 'frees',
  decide(view, { readerId, position }, { now }) {
    const { header, readers } = view.log;
    const cursor = decodeCursor(position);
    const { generation, sequence, time } = cursor;
    const isBeginning = generation === '' && sequence === 0;
    if ((generation !== header.generation && !isBeginning) || sequence > header.sequence) return reject('cursor_lost');
    const [entry] = sequence === 0 ? [] : view.log.read(sequence - 1, 1);
    // A trimmed entry shows its time no more.
    if (entry?.sequence === sequence && !isOfTime(cursor, entry.event.at)) return reject('cursor_lost');
    const known = readers.get(readerId);
    if (known === undefined && readers.size >= LIMITS.maxReaders)
      return reject('too_many_readers', { maxReaders: String(LIMITS.maxReaders) });
    if (known !== undefined && knowsLog(known, header.generation) && known.sequence >= sequence)
      return accept({ kind: 'unchanged' });
    return accept({ kind: 'committed' }, { type: 'reader_committed', readerId, at: now, generation, sequence, time });
  },
});
