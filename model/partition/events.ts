/** What can happen to a partition itself. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

/** Partitions, as subjects of events. */
const PARTITION = subject('partition', 'partition');

export const partitionEvents = {
  /**
   * The clock was far behind the last entry of the log, so it must have jumped ahead before. Time stepped back once.
   * Operators are told, because leases and delays set in between are too long. Ruling 14.
   */
  clock_stepped_back: event('clock_stepped_back', 't', PARTITION, {
    step: { from: fact.number(), to: fact.number() },
  }),
  /**
   * An operator gave up an unreadable record of any kind except executions, which have `execution_dropped`. The record
   * may have been lost already.
   */
  record_dropped: event('record_dropped', 'Kr', PARTITION, {
    /** The id as stored: short if ids of the kind are. */
    record: { droppedKind: fact.text(), droppedId: fact.text(), requestedBy: fact.words() },
    long: { dropReason: fact.words() },
  }),
} as const;
