/**
 * An unordered collection for members that are added and removed thousands of times a second. Each member knows its
 * index.
 *
 * A `Map` or a `Set` is unsuitable. When V8 grows its table, or clears it of deleted entries, it links the old table to
 * the new one. Once a full collection has moved a table to the old generation, that table keeps its successor alive,
 * and so on: all tables and their former entries stay until the next full collection. With sixteen members at a time,
 * this was a tenth of all allocations of a worker.
 */
import { present } from '../../model/core/present.js';

/** A member of a bag; it can be in one bag at a time. */
export interface Member {
  /** Set by the bag: the index in it; -1 outside of a bag. */
  place: number;
}

export class Bag<T extends Member> {
  private readonly members: T[] = [];

  get size(): number {
    return this.members.length;
  }

  add(member: T): void {
    member.place = this.members.push(member) - 1;
  }

  has({ place }: T): boolean {
    return place !== -1;
  }

  /** Removes a member; the last one takes its place. False if it was not in the bag. */
  delete(member: T): boolean {
    const { place } = member;
    if (place === -1) return false;
    member.place = -1;
    const last = present(this.members.pop());
    if (last !== member) {
      this.members[place] = last;
      last.place = place;
    }
    return true;
  }

  /** No member may be removed during an iteration. */
  [Symbol.iterator](): Iterator<T> {
    return this.members[Symbol.iterator]();
  }
}
