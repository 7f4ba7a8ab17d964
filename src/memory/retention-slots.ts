/**
 * Terminal executions by the slot in which they are purged. A slot is a list that only grows at its end; removed
 * executions are skipped, and the list is cleaned when more than half of it is removed.
 */
import { present } from '../../model/core/present.js';

export class RetentionSlots {
  private readonly slots = new Map<number, Slot>();
  /** Times of the slots, ascending. */
  private readonly times: number[] = [];

  /** The time of the earliest slot. */
  get first(): number | undefined {
    return this.times[0];
  }

  add(purgeAt: number, id: string): void {
    let slot = this.slots.get(purgeAt);
    if (slot === undefined) {
      this.slots.set(purgeAt, (slot = new Slot()));
      this.times.splice(placeOf(this.times, purgeAt), 0, purgeAt);
    }
    slot.add(id);
  }

  remove(purgeAt: number, id: string): void {
    const slot = this.slots.get(purgeAt);
    if (slot === undefined) return;
    slot.remove(id);
    if (!slot.isEmpty) return;
    this.slots.delete(purgeAt);
    this.times.splice(placeOf(this.times, purgeAt), 1);
  }

  /** Ids in slots up to a time, earliest slot first, at most `limit`. */
  due(now: number, limit: number): string[] {
    const due: string[] = [];
    for (const [purgeAt, ids] of this.entries()) {
      if (purgeAt > now) break;
      for (const id of ids) {
        if (due.length >= limit) return due;
        due.push(id);
      }
    }
    return due;
  }

  /** The slots in order, each with its ids. */
  *entries(): Generator<[number, Iterable<string>]> {
    for (const purgeAt of this.times) yield [purgeAt, present(this.slots.get(purgeAt)).ids()];
  }
}

class Slot {
  private list: string[] = [];
  /** Start of the list, because due executions are removed from the front. */
  private start = 0;
  /** Executions removed from elsewhere in the list. */
  private readonly gone = new Set<string>();

  /** What was removed is never more than half of the list, so a list without executions has no items. */
  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  add(id: string): void {
    // Otherwise an id that is removed and added again would be in the list twice.
    if (this.gone.size > 0) this.clean();
    this.list.push(id);
  }

  remove(id: string): void {
    if (this.list[this.start] === id) this.start += 1;
    else this.gone.add(id);
    this.skipGone();
    if ((this.start + this.gone.size) * 2 > this.list.length) this.clean();
  }

  private skipGone(): void {
    if (this.gone.size === 0) return;
    for (let i = this.start; i < this.list.length && this.gone.delete(present(this.list[i])); i++) this.start = i + 1;
  }

  *ids(): Generator<string> {
    for (let i = this.start; i < this.list.length; i++) {
      const id = present(this.list[i]);
      if (!this.gone.has(id)) yield id;
    }
  }

  private clean(): void {
    this.list = [...this.ids()];
    this.start = 0;
    this.gone.clear();
  }
}

/** Index of the first time that is not earlier. */
function placeOf(times: readonly number[], time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (present(times[middle]) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
