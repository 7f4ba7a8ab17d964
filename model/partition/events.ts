/** What can happen to a partition itself. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

/** Partitions, as subjects of events. */
const PARTITION = subject('partition', 'partition');

export const partitionEvents = {
  /**
   * The clock stood far behind the last entry of the log: it had jumped ahead before. Time stepped back, once. Operators
   * are told: leases and delays of the time between are longer than they should be. Ruling 14.
   */
  clock_stepped_back: event('clock_stepped_back', 't', PARTITION, {
    step: { from: fact.number(), to: fact.number() },
  }),
  /**
   * A record that could not be read any more was given up by an operator: of any kind but executions, which have
   * `execution_dropped`. It can be gone already, as records are that were lost.
   */
  record_dropped: event('record_dropped', 'Kr', PARTITION, {
    /** The id as it is stored: short where ids of the kind are. */
    record: { droppedKind: fact.text(), droppedId: fact.text(), requestedBy: fact.words() },
    long: { dropReason: fact.words() },
  }),
} as const;
