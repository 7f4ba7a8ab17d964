/**
 * Where new executions live. What has a key, or a lane of one partition, has its place (model/partition.ts); all else
 * may live anywhere, and then it pays to keep it together: commands of one turn of the event loop that go to one
 * partition travel and run as one call. So the executions of one turn go to one partition, up to 16 or 256 KiB, and
 * those that follow to the next: evenly over all, whatever comes.
 */
import { executionIdOf } from '../../model/ids.js';
import { placementOf, type PartitionConfig, type Placed } from '../../model/partition.js';
import { MAX_BYTES_TOGETHER } from '../together.js';
import { newId } from './ids.js';

/**
 * Most executions that are placed together. More in one call would cost hardly less each, and what one process creates at
 * a moment would be one call: with several, the store works at one while the process prepares the next.
 */
const MAX_PLACED_TOGETHER = 16;

export interface NewExecution extends Placed {
  /** Its UUID, unique for all time. Default a new one. */
  readonly uuid?: string;
  /** Size of its input; default 0. */
  readonly inputBytes?: number | undefined;
}

export class Placer {
  private partition: number;
  private count = 0;
  private bytes = 0;
  private inTurn = false;

  /** @param partitions those of the backend, `backend.partitions` */
  constructor(
    private readonly partitions: Pick<PartitionConfig, 'count' | 'placement'>,
    random: () => number = Math.random,
  ) {
    // Processes that start together begin at different places.
    this.partition = Math.floor(random() * partitions.count);
  }

  /** The id of a new execution, and with it its place; to be created in this turn of the event loop, or soon after. */
  executionId(execution: NewExecution): string {
    return executionIdOf(
      placementOf(this.partitions, execution) ?? this.next(execution.inputBytes ?? 0),
      execution.uuid ?? newId(),
    );
  }

  private next(bytes: number): number {
    if (this.count === MAX_PLACED_TOGETHER || (this.count > 0 && this.bytes + bytes > MAX_BYTES_TOGETHER)) this.move();
    this.count++;
    this.bytes += bytes;
    if (!this.inTurn) {
      this.inTurn = true;
      // From inside a promise's reaction, this runs when all reactions of the turn have run.
      process.nextTick(() => {
        this.inTurn = false;
        if (this.count > 0) this.move();
      });
    }
    return this.partition;
  }

  private move(): void {
    this.partition = (this.partition + 1) % this.partitions.count;
    this.count = 0;
    this.bytes = 0;
  }
}
