/**
 * A durable reader of a chaos run. It records every event before it asks for the next one, and every notice that events
 * are gone. It dies with its process; the next one continues where the engine says.
 */
import { EngineError } from '../../model/errors.js';
import type { LogEntry } from '../../model/events.js';
import { partitionIndexOf, partitionKeyOf } from '../../model/ids.js';
import { decodeCursor } from '../../model/partition/cursor.js';
import type { Backend } from '../../src/backend/backend.js';
import { readEvents } from '../../src/engine/log.js';
import { isOfReader } from '../../src/subscribing/filters.js';
import { decodePositions } from '../../src/subscribing/positions.js';
import { Subscriptions, type ReadEvent, type Subscription } from '../../src/engine/index.js';
import { patiently } from './patiently.js';

/** One line of a reader's record. Times are ms since the epoch, on the clock of the machine. */
export type Reading =
  /** The reader asks for a subscription. Without a place, its group begins at the oldest entries, or where a notice said. */
  | { readonly entry: 'asked'; readonly at: number; readonly from: 'earliest' | 'notice' }
  /** The store refused a read of a partition, because the entries up to this position are trimmed. */
  | { readonly entry: 'trimmed'; readonly at: number; readonly partition: string; readonly sequence: number }
  | {
      readonly entry: 'seen';
      readonly partition: number;
      readonly sequence: number;
      /** Time of the entry: together with its position it identifies an entry. */
      readonly at: number;
      readonly type: string;
      /** When the reader was given it. */
      readonly readAt: number;
    }
  /** Notice that events of a partition are gone: a code, and the sequence after which the reader continues. */
  | { readonly entry: 'told'; readonly code: string; readonly partition: string; readonly sequence: number }
  /** The reader is about to give up the places of its group in all logs. */
  | { readonly entry: 'forgets'; readonly at: number }
  /** The reader has reached the positions up to which it was to read, one for each partition. */
  | { readonly entry: 'finished'; readonly ends: readonly number[] };

/** Name of the reader's group. */
export const GROUP = 'chaos';
const LOSSES = ['cursor_too_old', 'cursor_lost'];
/** A reader that waits this long for an entry that it was to get will never get it, ms. */
const STUCK_MS = 60_000;

/** The same backend, which records where the store says that a log was trimmed. */
function noting(backend: Backend, write: (what: Reading) => void): Backend {
  const readLog: Backend['readLog'] = async (args) => {
    try {
      return await backend.readLog(args);
    } catch (error) {
      const earliest = error instanceof EngineError ? error.detail['earliest'] : undefined;
      if (earliest !== undefined) {
        const { sequence } = decodeCursor(earliest);
        write({ entry: 'trimmed', at: Date.now(), partition: args.partition, sequence });
      }
      throw error;
    }
  };
  return { ...backend, readLog };
}

/** Position of the last entry that a subscriber is given. */
export const lastGiven = (log: readonly LogEntry[]): number =>
  log.findLast(({ event }) => !isOfReader(event.type))?.sequence ?? 0;

/** The positions that a reader of all logs has reached at the end, one for each partition. */
export function endsOf(backend: Backend): Promise<number[]> {
  return Promise.all(
    Array.from({ length: backend.partitions.count }, async (_, index) => {
      const log: LogEntry[] = [];
      for await (const entry of readEvents(backend, { partition: partitionKeyOf(index) })) log.push(entry);
      return lastGiven(log);
    }),
  );
}

/** Follows all logs; with a position given for each partition, until it has reached them all. */
export async function follow(
  backend: Backend,
  write: (what: Reading) => void,
  ends?: readonly number[],
): Promise<void> {
  const { count } = backend.partitions;
  const feeds = new Subscriptions(noting(backend, write));
  const isDone = ({ cursor }: Subscription<ReadEvent>): boolean =>
    ends !== undefined &&
    decodePositions(cursor, 0, count).every((text, index) => decodeCursor(text).sequence >= (ends[index] ?? 0));
  for (let from = 'earliest'; ; ) {
    const stuck = new AbortController();
    const timer = ends && setTimeout(() => stuck.abort(), STUCK_MS);
    let subscription: Subscription<ReadEvent> | undefined;
    try {
      subscription = await patiently(() => {
        write({ entry: 'asked', at: Date.now(), from: from === 'earliest' ? from : 'notice' });
        return feeds.events({ group: GROUP, from, signal: stuck.signal });
      });
      while (!isDone(subscription)) {
        const { done, value } = await subscription.next();
        if (done) break;
        const { event, partition, sequence } = value;
        timer?.refresh();
        write({ entry: 'seen', partition, sequence, at: event.at, type: event.type, readAt: Date.now() });
        // A consumer takes its time, and commits come in between.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (ends !== undefined) write({ entry: 'finished', ends });
      return;
    } catch (error) {
      if (stuck.signal.aborted) return;
      if (!(error instanceof EngineError)) throw error;
      if (!LOSSES.includes(error.code) && !error.retryable) throw error;
      if (!LOSSES.includes(error.code)) continue;
      const { partition = '', earliest = '' } = error.detail;
      const cursors = decodePositions(earliest, 0, count);
      const { sequence } = decodeCursor(cursors[partitionIndexOf(partition)] as string);
      write({ entry: 'told', code: error.code, partition, sequence });
      write({ entry: 'forgets', at: Date.now() });
      await patiently(() => feeds.forget(GROUP));
      from = earliest;
    } finally {
      clearTimeout(timer);
      await subscription?.close();
    }
  }
}
