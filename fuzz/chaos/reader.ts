/**
 * A durable reader of a chaos run. It records every event before it asks for the next one, and every notice that events
 * are gone. It dies with its process; the next one continues where the engine says.
 */
import { EngineError } from '../../model/errors.js';
import { partitionIndexOf } from '../../model/ids.js';
import { decodeCursor } from '../../model/partition/cursor.js';
import type { Backend } from '../../src/backend/backend.js';
import { decodePositions } from '../../src/subscribing/positions.js';
import { Subscriptions, type ReadEvent, type Subscription } from '../../src/engine/index.js';

/** One line of a reader's record. */
export type Reading =
  /** A subscription began; order holds from here on. */
  | { readonly entry: 'subscribed' }
  | {
      readonly entry: 'seen';
      readonly partition: number;
      readonly sequence: number;
      /** Time of the entry, ms since the epoch: together with its position it identifies an entry. */
      readonly at: number;
      readonly type: string;
      /** When the reader got it, ms since the epoch on the reader's clock. */
      readonly readAt: number;
    }
  /** Notice that events of a partition are gone: a code, and the sequence after which the reader continues. */
  | { readonly entry: 'told'; readonly code: string; readonly partition: string; readonly sequence: number };

const GROUP = 'chaos';
const LOSSES = ['cursor_too_old', 'cursor_lost'];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Tries until the store answers. */
async function patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      await pause(100);
    }
  }
}

/** Follows all logs; with a time given, until nothing arrives for that long. */
export async function follow(backend: Backend, write: (what: Reading) => void, quietMs?: number): Promise<void> {
  const feeds = new Subscriptions(backend);
  for (let from = 'earliest'; ; ) {
    const quiet = new AbortController();
    const timer = quietMs === undefined ? undefined : setTimeout(() => quiet.abort(), quietMs);
    let subscription: Subscription<ReadEvent> | undefined;
    try {
      subscription = await patiently(() => feeds.events({ group: GROUP, from, signal: quiet.signal }));
      write({ entry: 'subscribed' });
      for await (const { event, partition, sequence } of subscription) {
        timer?.refresh();
        write({ entry: 'seen', partition, sequence, at: event.at, type: event.type, readAt: Date.now() });
      }
    } catch (error) {
      if (quiet.signal.aborted) return;
      if (!(error instanceof EngineError)) throw error;
      if (!LOSSES.includes(error.code) && !error.retryable) throw error;
      if (!LOSSES.includes(error.code)) continue;
      const { partition = '', earliest = '' } = error.detail;
      const cursors = decodePositions(earliest, 0, backend.partitions.count);
      const { sequence } = decodeCursor(cursors[partitionIndexOf(partition)] as string);
      write({ entry: 'told', code: error.code, partition, sequence });
      await patiently(() => feeds.forget(GROUP));
      from = earliest;
    } finally {
      clearTimeout(timer);
      await subscription?.close();
    }
  }
}
