/**
 * Readers that follow the log of a partition and continue after a crash where they stopped. Their positions hold back
 * the trim of the log, up to a bound. Spec 13 section A5.
 */
import { entity, makes, removes, type EntityState } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';
import { encodeCursor } from '../partition/cursor.js';

export const READER = subject('reader', 'readerId');

/** A position in the log, see `Cursor`. */
const position = { generation: fact.words(), sequence: fact.number(), time: fact.number() };

export const readerFacts = fact.factTable({ position: { ...position, committedAt: fact.number() } });

export type Reader = EntityState<typeof READER, typeof readerFacts>;

export const readerEvents = {
  /** The reader has processed everything up to this position. */
  reader_committed: event('reader_committed', 'I', READER, { position }),
  reader_forgotten: event('reader_forgotten', 'J', READER, {}),
} as const;

export const readerEntity = entity({
  subject: READER,
  family: 'any',
  facts: readerFacts,
  recipes: {
    reader_committed: makes(
      ({ readerId, generation, sequence, time, at }: EventNamed<'reader_committed'>): Reader => ({
        ...{ readerId, generation, sequence, time, committedAt: at },
      }),
      'replace',
    ),
    reader_forgotten: removes,
  },
});

/** Whether the reader's position is in the log of this generation; a position before the first entry always is. */
export const knowsLog = (reader: Readonly<Reader>, generation: string): boolean =>
  reader.generation === '' || reader.generation === generation;

/** The position up to which no reader needs the log; undefined without readers. */
export function trimFloor(readers: Iterable<Readonly<Reader>>, generation: string): number | undefined {
  let floor: number | undefined;
  for (const reader of readers) {
    if (!knowsLog(reader, generation)) continue;
    floor = Math.min(floor ?? reader.sequence, reader.sequence);
  }
  return floor;
}

/** Where a reader continues. */
export const cursorOf = ({ generation, sequence, time }: Readonly<Reader>): string =>
  encodeCursor({ generation, sequence, time });
