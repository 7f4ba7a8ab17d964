/** The log of a partition in memory: appended at the end, trimmed at the front. */
import { present } from '../../model/core/present.js';
import type { Event, LoggedEvent } from '../../model/events.js';
import { HELD_LOG_FACTOR } from '../../model/limits.js';

export class BoundedLog {
  /** A ring: the event with sequence `s` sits at `(s - 1) % size`. */
  private ring: Event[] = [];
  private size: number;
  /** Position of the newest entry, and of the newest trimmed one. */
  private last = 0;
  private forgotten = 0;
  /** The position up to which no reader needs the log; undefined if readers need no more than `maxEntries`. */
  private floor: number | undefined;

  /** @param maxEntries entries kept, at least 1; `Infinity` keeps all. Readers can hold back up to ten times as many */
  constructor(private maxEntries: number) {
    this.size = maxEntries;
  }

  /** Changes `maxEntries`, and trims further entries that no reader needs. */
  limit(maxEntries: number): void {
    this.maxEntries = maxEntries;
    this.resize(Math.max(maxEntries, this.needed()));
  }

  append(event: Event): void {
    if (this.last - this.forgotten === this.size) {
      if (this.needed() > this.size) this.resize(Math.min(this.size * 2, this.maxEntries * HELD_LOG_FACTOR));
      else this.forgotten += 1;
    }
    // While the ring is not full, this index is its end.
    this.ring[this.last % this.size] = event;
    this.last += 1;
  }

  /** Number of entries that fit. */
  get room(): number {
    return this.size;
  }

  /** Restores the room of a stored log. */
  restoreRoom(room: number): void {
    this.resize(room);
  }

  /** Restores a stored entry; if it does not follow the last one, the log begins with it. */
  restore({ sequence, event }: LoggedEvent): void {
    this.endAt(sequence - 1);
    this.append(event);
  }

  /** Restores the end of the log; if it ends elsewhere, all entries are dropped. */
  endAt(sequence: number): void {
    if (this.last === sequence) return;
    this.last = sequence;
    this.forgotten = sequence;
  }

  /** Keeps the entries after this position, within bounds; undefined keeps `maxEntries`. */
  holdBack(floor: number | undefined): void {
    this.floor = floor;
    if (this.size > this.maxEntries && this.needed() <= this.maxEntries) this.resize(this.maxEntries);
  }

  /** Entries after a position, oldest first; the first is later than `after + 1` if the log was trimmed past that. */
  read(after: number, limit: number): readonly LoggedEvent[] {
    const from = Math.max(after, this.forgotten) + 1;
    const to = Math.min(this.last, from + limit - 1);
    const entries: LoggedEvent[] = [];
    for (let sequence = from; sequence <= to; sequence++) {
      entries.push({ sequence, event: present(this.ring[(sequence - 1) % this.size]) });
    }
    return entries;
  }

  /** Position of the newest entry; 0 if nothing was ever appended. */
  get end(): number {
    return this.last;
  }

  /** Number of entries that must fit after the next append. */
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
