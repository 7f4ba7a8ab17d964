/**
 * Chooses the partition of new executions. An execution with a key, or in a lane with one partition, has its place
 * (model/partition.ts); any other may be anywhere. Executions created together are placed together, because commands of
 * one turn of the event loop for one partition travel and run as one call: those of one turn go to one partition, up to
 * 16 or 256 KiB, and further ones to the next, which spreads them evenly.
 */
import { EngineError } from '../../model/errors.js';
import { executionIdOf } from '../../model/ids.js';
import { placementOf, type PartitionConfig, type Placed } from '../../model/partition.js';
import { MAX_JOINED_BYTES } from '../backend/joined-calls.js';
import { atTurnEnd } from '../util/turn-end.js';
import { newId } from './ids.js';

/**
 * Executions placed together, at most. Larger groups would hardly be cheaper, and everything that a process creates at
 * one moment would be one call: with several, the store works on one while the process prepares the next.
 */
const MAX_PLACED_TOGETHER = 16;

export interface NewExecution extends Placed {
  /** Its UUID, unique for ever. Default a new one. */
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
    if (typeof random !== 'function')
      throw new EngineError('invalid_input', 'random: must be a function, like Math.random; Placer takes no options.', {
        detail: { field: 'random' },
      });
    // Processes that start together begin at different partitions.
    this.partition = Math.floor(random() * partitions.count);
  }

  /**
   * The id of a new execution, which includes its partition; create it in this turn of the event loop or soon after.
   */
  executionId(execution: NewExecution): string {
    return executionIdOf(
      placementOf(this.partitions, execution) ?? this.next(execution.inputBytes ?? 0),
      execution.uuid ?? newId(),
    );
  }

  private next(bytes: number): number {
    if (this.count === MAX_PLACED_TOGETHER || (this.count > 0 && this.bytes + bytes > MAX_JOINED_BYTES)) this.move();
    this.count++;
    this.bytes += bytes;
    if (!this.inTurn) {
      this.inTurn = true;
      atTurnEnd(() => {
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
