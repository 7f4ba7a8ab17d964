/** Reads of the readers of a partition. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { compareBytes } from '../ids.js';
import { cursorOf, knowsLog } from './entity.js';

export interface ReaderPlace {
  readonly readerId: string;
  /** The cursor after which it continues. */
  readonly position: string;
  /** Ms since the epoch. */
  readonly committedAt: number;
  /** Entries not committed yet; absent when the log was created anew. */
  readonly lagEntries: number | undefined;
}

export const listReaders = query({
  name: 'listReaders',
  family: 'any',
  args: z.strictObject({ partition: field.anyPartitionKey }),
  rejects: [],
  partition: (args) => args.partition,
  /** Ascending by id. */
  read(view) {
    const { header, readers } = view.log;
    const places = [...readers.values()].sort((a, b) => compareBytes(a.readerId, b.readerId));
    return accept<readonly ReaderPlace[]>(
      places.map((reader) => ({
        readerId: reader.readerId,
        position: cursorOf(reader),
        committedAt: reader.committedAt,
        lagEntries: knowsLog(reader, header.generation) ? header.sequence - reader.sequence : undefined,
      })),
    );
  },
});
