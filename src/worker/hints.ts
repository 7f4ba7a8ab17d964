/**
 * Where a worker may find work: the marks of its lanes (engine/known-work.ts), and whose turn it is. Lanes take turns, and so
 * do the partitions of a lane.
 */
import { KnownWork, type WorkMarks } from '../engine/known-work.js';

export class WorkHints {
  private order: string[];

  constructor(
    laneIds: readonly string[],
    private readonly partitions: readonly string[],
    readonly marks: WorkMarks = new KnownWork().marksFor([]),
  ) {
    this.order = [...laneIds];
  }

  /** One more lane is served. */
  add(laneId: string): void {
    if (!this.order.includes(laneId)) this.order.push(laneId);
  }

  /** Number of pairs that may have work. */
  get size(): number {
    let size = 0;
    for (const laneId of this.order) size += this.marks.partitionsOf(laneId).size;
    return size;
  }

  /** Whether any hinted pair is such a one. */
  some(is: (laneId: string, partition: string) => boolean): boolean {
    return this.order.some((laneId) =>
      [...this.marks.partitionsOf(laneId).keys()].some((partition) => is(laneId, partition)),
    );
  }

  /**
   * Something says that this lane has work in this partition that needs these capabilities, or anything that can be
   * done. Lanes that are not served are ignored.
   */
  mark(laneId: string, partition: string, needs?: readonly string[]): void {
    if (this.order.includes(laneId)) this.marks.mark(laneId, partition, needs?.join());
  }

  /** Every lane may have work in every partition. */
  markAll(): void {
    for (const laneId of this.order) for (const partition of this.partitions) this.marks.mark(laneId, partition);
  }

  has(laneId: string, partition: string): boolean {
    return this.marks.partitionsOf(laneId).has(partition);
  }

  /** Hinted lanes of a partition, the one whose turn it is first. */
  lanesAt(partition: string): string[] {
    return this.order.filter((laneId) => this.has(laneId, partition));
  }

  /** Whether any partition but this one has a hint. */
  hasElsewhere(partition: string): boolean {
    return this.order.some((laneId) => this.marks.partitionsOf(laneId).size > (this.has(laneId, partition) ? 1 : 0));
  }

  /**
   * The pair whose turn it is among those that `allowed` lets through: lanes take turns, and so do the partitions
   * within a lane, but for those that are preferred.
   */
  next(
    allowed: (laneId: string, partition: string) => boolean,
    preferred: Iterable<string> = [],
  ): { laneId: string; partition: string } | undefined {
    const first = [...preferred];
    for (const laneId of this.order) {
      for (const partition of first) {
        if (!this.has(laneId, partition) || !allowed(laneId, partition)) continue;
        this.served(laneId);
        return { laneId, partition };
      }
      for (const partition of this.marks.partitionsOf(laneId).keys()) {
        if (!allowed(laneId, partition)) continue;
        this.served(laneId);
        this.marks.passOn(laneId, partition);
        return { laneId, partition };
      }
    }
    return undefined;
  }

  /** The partition had its turn: it comes up again after all others. */
  passOn(partition: string): void {
    for (const laneId of this.order) this.marks.passOn(laneId, partition);
  }

  /** The lane had its turn: it goes to the end. */
  served(laneId: string): void {
    if (this.order.length > 1) this.order = [...this.order.filter((each) => each !== laneId), laneId];
  }
}
