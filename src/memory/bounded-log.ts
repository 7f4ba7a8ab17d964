/** The log of a partition in memory: append at the end, forget at the front, read from a position. */
import type { Event, LoggedEvent } from '../../model/events.js';

export class BoundedLog {
  /** A ring: the event with sequence `s` sits at `(s - 1 - first) % maxEntries`. */
  private ring: Event[] = [];
  private last = 0;
  /** Position before the one that sits at the start of the ring. */
  private first = 0;

  /** `maxEntries`: entries kept, at least 1; `Infinity` keeps all. */
  constructor(private maxEntries: number) {}

  /** Keeps so many entries from now on; what is more is forgotten at once. */
  limit(maxEntries: number): void {
    const kept = this.read(this.last - Math.min(maxEntries, this.ring.length), maxEntries);
    this.maxEntries = maxEntries;
    this.ring = kept.map(({ event }) => event);
    this.first = this.last - this.ring.length;
  }

  append(event: Event): void {
    // While the ring is not full, this is its end.
    this.ring[(this.last - this.first) % this.maxEntries] = event;
    this.last += 1;
  }

  /** Entries after a position, oldest first; the first one is later than `after + 1` when the log was trimmed past it. */
  read(after: number, limit: number): readonly LoggedEvent[] {
    const from = Math.max(after, this.last - this.ring.length) + 1;
    const to = Math.min(this.last, from + limit - 1);
    const entries: LoggedEvent[] = [];
    for (let sequence = from; sequence <= to; sequence++) {
      entries.push({ sequence, event: this.ring[(sequence - 1 - this.first) % this.maxEntries] as Event });
    }
    return entries;
  }

  /** Position of the newest entry, 0 when nothing was ever appended. */
  get end(): number {
    return this.last;
  }
}
