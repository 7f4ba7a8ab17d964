/**
 * Looks for metered work that no wake announced, because wakes can be lost: in all partitions at the start, then in one
 * partition after another. A read covers all lanes of a worker. The next reads are made after the last were answered.
 */
import { familyOf } from '../../model/families.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { MeteredHead } from '../../model/metering/reads.js';
import type { Backend } from '../backend/backend.js';
import type { Clock } from '../engine/clock.js';
import { lanePagesOf } from './lane-pages.js';
import { PollTimer } from './poll-timer.js';
import { ALL_LANES, Sweep } from './sweep.js';

export interface MeteredSweepOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly lanes: () => readonly string[];
  readonly sweepIntervalMs: number;
  /** Called with the first entries of metered queues in a partition. */
  readonly onHeads: (partition: string, heads: readonly MeteredHead[]) => void;
  /** Called when all reads of a step are answered. */
  readonly onLooked: () => void;
  readonly onError: (error: unknown) => void;
  /** Called with every step in flight. */
  readonly track: (flight: Promise<void>) => void;
}

export class MeteredSweep {
  private readonly sweep: Sweep;
  private readonly timer: PollTimer;
  private isSweeping = false;
  private isReading = false;
  private stopped = false;
  private inUse: readonly string[] = [];
  private isMetered = false;

  constructor(private readonly options: MeteredSweepOptions) {
    const { backend, clock, sweepIntervalMs: intervalMs } = options;
    const partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
    this.sweep = new Sweep({ lanes: [ALL_LANES], partitions, intervalMs, chance: () => clock.random() });
    this.timer = new PollTimer(clock, () => this.step());
  }

  /** Begins once the deployment has meters; without metered work there are no calls and no timer. */
  beginWhenMetered(): void {
    if (this.isSweeping || this.stopped || !this.hasMeters) return;
    this.isSweeping = true;
    this.sweep.start(this.options.clock.now());
    this.step();
  }

  /** Looks in all partitions soon, because wakes may have been lost. */
  resynced(): void {
    if (!this.isSweeping || this.stopped) return;
    this.sweep.resync(this.options.clock.now());
    if (!this.isReading) this.timer.by(this.sweep.nextAt);
  }

  stop(): void {
    this.stopped = true;
    this.timer.cancel();
  }

  /** Whether the deployment uses, or used, quota policies, and so can have metered work. */
  private get hasMeters(): boolean {
    const inUse = this.options.backend.partitionsInUse();
    if (inUse !== this.inUse) this.isMetered = inUse.some((partition) => familyOf(partition) === 'quota');
    this.inUse = inUse;
    return this.isMetered;
  }

  private step(): void {
    const partitions = new Set<string>();
    this.sweep.due(this.options.clock.now(), true, ({ partition }) => partitions.add(partition));
    this.options.track(this.readAll([...partitions]));
  }

  private async readAll(partitions: readonly string[]): Promise<void> {
    this.isReading = true;
    const pages = lanePagesOf(this.options.lanes());
    await Promise.all(partitions.flatMap((partition) => pages.map((laneIds) => this.read(partition, laneIds))));
    this.isReading = false;
    if (this.stopped) return;
    this.options.onLooked();
    this.timer.by(this.sweep.nextAt);
  }

  private async read(partition: string, laneIds: readonly string[]): Promise<void> {
    const { backend, onHeads, onError } = this.options;
    try {
      let cursor: string | undefined;
      do {
        const page = await backend.listMeteredHeads({ partition, laneIds: [...laneIds], cursor });
        onHeads(partition, page.heads);
        cursor = page.nextCursor;
      } while (cursor !== undefined && !this.stopped);
    } catch (error) {
      onError(error);
    }
  }
}
