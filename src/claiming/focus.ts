/**
 * The focus: the two partitions whose work is preferred. Endings in one partition, and the claim for the next work
 * there, can then share a call; and while the store handles calls of one partition, the worker runs the work of the
 * other.
 *
 * A partition leaves the focus when it has no leads, when its turn is over while others have leads, and when a place of
 * a higher priority takes over.
 */
import { present } from '../../model/core/present.js';

const MAX_IN_FOCUS = 2;

export class Focus {
  /** The partitions, oldest first. */
  partitions: readonly string[] = [];
  /** Executions requested in the current turn of a partition. */
  private readonly asked = new Map<string, number>();

  /** @param turn executions requested in a partition before other partitions get their turn */
  constructor(private readonly turn: number) {}

  get hasRoom(): boolean {
    return this.partitions.length < MAX_IN_FOCUS;
  }

  has(partition: string): boolean {
    return this.asked.has(partition);
  }

  /** Whether a partition in the focus has had its turn. */
  isTurnOver(partition: string): boolean {
    return present(this.asked.get(partition)) >= this.turn;
  }

  /** Adds a partition, if there is room. */
  enter(partition: string): void {
    if (this.has(partition) || !this.hasRoom) return;
    this.asked.set(partition, 0);
    this.partitions = [...this.partitions, partition];
  }

  leave(partition: string): void {
    if (!this.asked.delete(partition)) return;
    this.partitions = this.partitions.filter((each) => each !== partition);
  }

  /** Counts executions requested in a partition. */
  count(partition: string, executions: number): void {
    const asked = this.asked.get(partition);
    if (asked !== undefined) this.asked.set(partition, asked + executions);
  }
}
