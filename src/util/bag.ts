/**
 * What is put in and taken out all the time, thousands of times a second: members in no order, each with its place.
 *
 * A `Map` or a `Set` is wrong for that. V8 links every table that one of them outgrows, or clears of what was deleted, to the
 * next one. Once a full collection has moved a table to the old generation, it keeps the next one alive, and that the next:
 * all of them, with all that ever stood in them, stay until the next full collection. Sixteen members at a time were a tenth
 * of all that the worker allocated.
 */

/** What can be in a bag: in one at a time. */
export interface Member {
  /** The bag's own; -1 when it is in none. */
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

  /** Takes a member out; the last one takes its place. Whether it was in. */
  delete(member: T): boolean {
    const { place } = member;
    if (place === -1) return false;
    member.place = -1;
    const last = this.members.pop() as T;
    if (last !== member) {
      this.members[place] = last;
      last.place = place;
    }
    return true;
  }

  /** Nothing may be taken out meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.members[Symbol.iterator]();
  }
}
