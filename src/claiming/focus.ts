/**
 * The focus: the two partitions being worked. What ends in one of them at the same moment, and the claim for what comes
 * next, are then one call; and while the store works at the calls to one, the worker works at those of the other.
 *
 * A partition leaves the focus when it has nothing left, when its turn is over while others may have work, and when it
 * yields to a place of a higher priority.
 */
const MAX_IN_FOCUS = 2;

export class Focus {
  /** The partitions, the one that came first before the other. */
  partitions: readonly string[] = [];
  /** Executions asked for since the turn of a partition began. */
  private readonly asked = new Map<string, number>();

  /** @param turn executions that are asked for in a partition before others get their turn */
  constructor(private readonly turn: number) {}

  get hasRoom(): boolean {
    return this.partitions.length < MAX_IN_FOCUS;
  }

  has(partition: string): boolean {
    return this.asked.has(partition);
  }

  isTurnOver(partition: string): boolean {
    return (this.asked.get(partition) ?? 0) >= this.turn;
  }

  /** The partition is worked from now on, if there is room for it. */
  enter(partition: string): void {
    if (this.has(partition) || !this.hasRoom) return;
    this.asked.set(partition, 0);
    this.partitions = [...this.partitions, partition];
  }

  leave(partition: string): void {
    if (!this.asked.delete(partition)) return;
    this.partitions = this.partitions.filter((each) => each !== partition);
  }

  /** So many executions are asked for in a partition. */
  count(partition: string, executions: number): void {
    const asked = this.asked.get(partition);
    if (asked !== undefined) this.asked.set(partition, asked + executions);
  }
}
