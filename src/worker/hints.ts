/**
 * Where work may be: a set of (lane, partition) pairs. A wake adds one, a sweep adds all, a claim that came back
 * short removes one. So no partition is searched that nothing points to.
 *
 * Every mark has a generation. A claim that came back short removes only the mark that was there when it was sent:
 * work that arrived while it was under way is not forgotten.
 */
export class WorkHints {
  /** Per lane the hinted partitions, in the order in which they come up; the value is the mark's generation. */
  private readonly lanes = new Map<string, Map<string, number>>();
  private order: string[];
  private generation = 0;
  private marks = 0;

  constructor(laneIds: readonly string[], private readonly partitions: readonly string[]) {
    for (const laneId of laneIds) this.lanes.set(laneId, new Map());
    this.order = [...laneIds];
  }

  /** One more lane is served; nothing is known of it. */
  add(laneId: string): void {
    if (this.lanes.has(laneId)) return;
    this.lanes.set(laneId, new Map());
    this.order.push(laneId);
  }

  /** Number of pairs that may have work. */
  get size(): number {
    return this.marks;
  }

  /** Something says that this lane has work in this partition. Lanes that are not served are ignored. */
  mark(laneId: string, partition: string): void {
    const lane = this.lanes.get(laneId);
    if (lane === undefined) return;
    if (!lane.has(partition)) this.marks++;
    lane.set(partition, ++this.generation);
  }

  /** Every lane may have work in every partition. */
  markAll(): void {
    for (const laneId of this.lanes.keys()) for (const partition of this.partitions) this.mark(laneId, partition);
  }

  /** The generation of a mark; 0 when there is none. */
  generationOf(laneId: string, partition: string): number {
    return this.lanes.get(laneId)?.get(partition) ?? 0;
  }

  /** Removes the mark unless it was made again since this generation. */
  clear(laneId: string, partition: string, generation: number): void {
    const lane = this.lanes.get(laneId);
    if (lane?.get(partition) !== generation) return;
    lane.delete(partition);
    this.marks--;
  }

  /** Hinted lanes of a partition, the one whose turn it is first. */
  lanesAt(partition: string): string[] {
    return this.order.filter((laneId) => this.lanes.get(laneId)?.has(partition));
  }

  /** Whether any partition but this one has a hint. */
  hasElsewhere(partition: string): boolean {
    return this.marks > this.lanesAt(partition).length;
  }

  /**
   * The pair whose turn it is among those that `allowed` lets through: lanes take turns, and so do the partitions
   * within a lane, but for those that are preferred.
   */
  next(allowed: (laneId: string, partition: string) => boolean, preferred: Iterable<string> = []): { laneId: string; partition: string } | undefined {
    const first = [...preferred];
    for (const laneId of this.order) {
      for (const partition of first) {
        if (!this.lanes.get(laneId)?.has(partition) || !allowed(laneId, partition)) continue;
        this.served(laneId);
        return { laneId, partition };
      }
      for (const [partition, generation] of this.lanes.get(laneId) ?? []) {
        if (!allowed(laneId, partition)) continue;
        this.served(laneId);
        toEnd(this.lanes.get(laneId) as Map<string, number>, partition, generation);
        return { laneId, partition };
      }
    }
    return undefined;
  }

  /** The partition had its turn: it comes up again after all others. */
  passOn(partition: string): void {
    for (const lane of this.lanes.values()) {
      const generation = lane.get(partition);
      if (generation !== undefined) toEnd(lane, partition, generation);
    }
  }

  /** The lane had its turn: it goes to the end. */
  served(laneId: string): void {
    if (this.order.length > 1) this.order = [...this.order.filter((each) => each !== laneId), laneId];
  }
}

function toEnd(lane: Map<string, number>, partition: string, generation: number): void {
  lane.delete(partition);
  lane.set(partition, generation);
}
