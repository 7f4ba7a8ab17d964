/**
 * A durable reader: its position in each partition is stored in the engine (`commitReader`), so that it continues there
 * after a crash, and holds back the trim of the logs. A commit is itself an event of that log, so skipped entries are
 * committed only rarely: a reader that committed every commit would never come to rest.
 */
import { present } from '../../model/core/present.js';
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { isRetryable } from '../engine/retry.js';
import { partitionKeyOf } from '../../model/ids.js';
import { decodeCursor, isExactCursor } from '../../model/partition/cursor.js';
import type { Beginning } from './subscription.js';

/** Number of skipped entries after which their position is committed. */
const PASSED_OVER_ENTRIES = 1_000;
/** Interval of commits, ms. */
const COMMIT_EVERY_MS = 1_000;

interface Place {
  /** Everything up to here has been processed. */
  cursor: string;
  committed: string;
  /** Something was delivered since the last commit. */
  isDelivered: boolean;
  /** The last commit that was begun. */
  flight: Promise<void>;
}

export interface GroupOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly name: string;
  readonly firstPartition: number;
  /** Its position in each partition. */
  readonly cursors: readonly string[];
}

export class Group {
  private readonly places: readonly Place[];
  private timer: Cancel | undefined;

  constructor(private readonly options: GroupOptions) {
    const flight = Promise.resolve();
    this.places = options.cursors.map((cursor) => ({ cursor, committed: cursor, isDelivered: false, flight }));
  }

  /**
   * Everything up to these cursors has been processed; `partition` is the one of a delivery, if there was one.
   * Committed within a second; `onFault` gets permanent errors, with the cursor.
   */
  reach(
    cursors: readonly string[],
    partition: number | undefined,
    onFault: (error: unknown, index: number) => void,
  ): void {
    this.note(cursors, partition);
    if (this.timer !== undefined || !this.places.some(isDue)) return;
    this.timer = this.options.clock.after(COMMIT_EVERY_MS, () => {
      this.timer = undefined;
      this.places.forEach((place, index) => {
        this.commitPlace(place, index).catch((error: unknown) => {
          // Temporary faults are retried with the next progress, or at the end.
          if (!isRetryable(error)) onFault(error, index);
        });
      });
    });
  }

  note(cursors: readonly string[], partition: number | undefined): void {
    this.places.forEach((place, index) => {
      place.cursor = present(cursors[index]);
      if (partition === this.options.firstPartition + index) place.isDelivered = true;
    });
  }

  /** Commits positions that are worth a commit. @throws every error of the backend */
  async commit(): Promise<void> {
    this.timer?.();
    this.timer = undefined;
    await Promise.all(this.places.map((place, index) => this.commitPlace(place, index)));
  }

  /** Commits one after the other, so that the answer says whether the last position is committed. */
  private commitPlace(place: Place, index: number): Promise<void> {
    const send = (): Promise<void> => this.send(place, index);
    return (place.flight = place.flight.then(send, send));
  }

  private async send(place: Place, index: number): Promise<void> {
    if (!isDue(place)) return;
    const { backend, firstPartition, name } = this.options;
    const position = place.cursor;
    place.isDelivered = false;
    try {
      await backend.commitReader({ partition: partitionKeyOf(firstPartition + index), readerId: name, position });
      place.committed = position;
    } catch (error) {
      place.isDelivered = true;
      throw error;
    }
  }
}

/** A cursor with marks is where the reader began: nothing was read after it. */
const isDue = ({ cursor, committed, isDelivered }: Place): boolean =>
  cursor !== committed &&
  isExactCursor(cursor) &&
  (isDelivered || decodeCursor(cursor).sequence - decodeCursor(committed).sequence >= PASSED_OVER_ENTRIES);

/** The position of a group in each partition. A new group is registered there, so that the log waits for it. */
export function joinGroup(
  { backend, firstPartition, name }: Pick<GroupOptions, 'backend' | 'firstPartition' | 'name'>,
  beginnings: readonly (() => Promise<Beginning>)[],
): Promise<Beginning[]> {
  return Promise.all(
    beginnings.map(async (beginning, index) => {
      const partition = partitionKeyOf(firstPartition + index);
      const known = (await backend.listReaders({ partition })).find(({ readerId }) => readerId === name);
      if (known !== undefined) return { cursor: known.position, isEarliest: false };
      const place = await beginning();
      if (isExactCursor(place.cursor))
        await backend.commitReader({ partition, readerId: name, position: place.cursor });
      return place;
    }),
  );
}
