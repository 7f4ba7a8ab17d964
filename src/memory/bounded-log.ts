/** The log of a partition in memory: append at the end, forget at the front, read from a position. */
import type { Event, LoggedEvent } from '../../model/events.js';

/** Entries forgotten at once: like the server's approximate trim, this keeps appending cheap. */
const TRIM_STEP = 256;

export class BoundedLog {
  private entries: LoggedEvent[] = [];
  private last = 0;

  constructor(private readonly maxEntries: number) {}

  append(event: Event): void {
    this.last += 1;
    this.entries.push({ sequence: this.last, event });
    if (this.entries.length >= this.maxEntries + TRIM_STEP) this.entries = this.entries.slice(-this.maxEntries);
  }

  /** Entries after a position, oldest first; the first one is later than `after + 1` when the log was trimmed past it. */
  read(after: number, limit: number): readonly LoggedEvent[] {
    const first = this.last - this.entries.length;
    const from = Math.max(0, after - first);
    return this.entries.slice(from, from + limit);
  }

  get end(): number {
    return this.last;
  }
}
