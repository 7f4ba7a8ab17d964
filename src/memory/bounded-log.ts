/** The log of a partition in memory: append at the end, forget at the front, read from a position. */
import type { Event, LoggedEvent } from '../../model/events.js';
import { HELD_LOG_FACTOR } from '../../model/limits.js';

export class BoundedLog {
  /** A ring: the event with sequence `s` sits at `(s - 1) % size`. */
  private ring: Event[] = [];
  private size: number;
  /** Position of the newest entry, and of the newest that is forgotten. */
  private last = 0;
  private forgotten = 0;
  /** The position up to which no reader needs the log. */
  private floor: number | undefined;

  /** `maxEntries`: entries kept, at least 1; `Infinity` keeps all. Readers can hold it back to ten times as many. */
  constructor(private maxEntries: number) {
    this.size = maxEntries;
  }

  /** Keeps so many entries from now on; what is more, and no reader needs, is forgotten at once. */
  limit(maxEntries: number): void {
    this.maxEntries = maxEntries;
    this.resize(Math.max(maxEntries, this.needed()));
  }

  append(event: Event): void {
    if (this.last - this.forgotten === this.size) {
      if (this.needed() > this.size) this.resize(Math.min(this.size * 2, this.maxEntries * HELD_LOG_FACTOR));
      else this.forgotten += 1;
    }
    // While the ring is not full, this is its end.
    this.ring[this.last % this.size] = event;
    this.last += 1;
  }

  /** How many entries there is room for. */
  get room(): number {
    return this.size;
  }

  /** Makes the room that there was. */
  restoreRoom(room: number): void {
    this.resize(room);
  }

  /** Puts back an entry that was stored; where it does not follow the last one, the log begins with it. */
  restore({ sequence, event }: LoggedEvent): void {
    this.endAt(sequence - 1);
    this.append(event);
  }

  /** Puts back where the log ended: where that is not where it ends, none of its entries is kept. */
  endAt(sequence: number): void {
    if (this.last === sequence) return;
    this.last = sequence;
    this.forgotten = sequence;
  }

  /** Keeps what is behind this position, within bounds; nothing when no reader needs more than others do. */
  holdBack(floor: number | undefined): void {
    this.floor = floor;
    if (this.size > this.maxEntries && this.needed() <= this.maxEntries) this.resize(this.maxEntries);
  }

  /** Entries after a position, oldest first; the first one is later than `after + 1` when the log was trimmed past it. */
  read(after: number, limit: number): readonly LoggedEvent[] {
    const from = Math.max(after, this.forgotten) + 1;
    const to = Math.min(this.last, from + limit - 1);
    const entries: LoggedEvent[] = [];
    for (let sequence = from; sequence <= to; sequence++) {
      entries.push({ sequence, event: this.ring[(sequence - 1) % this.size] as Event });
    }
    return entries;
  }

  /** Position of the newest entry, 0 when nothing was ever appended. */
  get end(): number {
    return this.last;
  }

  /** How many entries there must be room for once another one is appended. */
  private needed(): number {
    if (this.floor === undefined) return this.maxEntries;
    return Math.min(this.last + 1 - this.floor, this.maxEntries * HELD_LOG_FACTOR);
  }

  private resize(size: number): void {
    this.forgotten = Math.max(this.forgotten, this.last - size);
    const kept = this.read(this.forgotten, size);
    this.size = size;
    this.ring = Number.isFinite(size) ? new Array<Event>(size) : [];
    for (const { sequence, event } of kept) this.ring[(sequence - 1) % size] = event;
  }
}
