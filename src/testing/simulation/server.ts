/** The server of a simulated deployment: the memory backend under virtual time, and observers of its events. */
import { isKnown } from '../../../model/events.js';
import type { Backend, Command, CommandResult, LoggedEvent } from '../../engine/index.js';
import { partitionKeyOf } from '../../../model/ids.js';
import { memory } from '../../memory/index.js';
import type { Loop, Scheduler } from './scheduler.js';

export interface SimulatedServerOptions {
  readonly scheduler: Scheduler;
  readonly partitions: number;
  /** The store, whose clock is that of the scheduler. Default in memory. */
  readonly store?: Backend | undefined;
  /** Called for every event in the order of the partition's log, right after the call that caused it. */
  readonly onEvent?: (event: LoggedEvent, partition: string) => void;
}

export class SimulatedServer implements Loop {
  readonly blockedUntil = -Infinity;
  readonly dead = false;
  /** The store itself, not behind a connection: for operators and checks. Its answers take no time. */
  readonly store: Backend;
  /** The log position read so far, per partition. */
  private readonly read = new Map<string, string>();
  private readonly partitions: ReadonlySet<string>;

  constructor(private readonly options: SimulatedServerOptions) {
    this.partitions = new Set(Array.from({ length: options.partitions }, (_, index) => partitionKeyOf(index)));
    this.store = options.store ?? memory({ now: options.scheduler.now, partitions: { count: options.partitions } });
  }

  /** Carries out batches of one partition in order, with nothing between them. */
  async execute(
    partition: string,
    batches: readonly (readonly Command[])[],
  ): Promise<PromiseSettledResult<CommandResult[]>[]> {
    // Started together: each runs to its end before the next one starts.
    const settled = await Promise.allSettled(
      batches.map((commands) =>
        commands.length === 0 ? [] : (this.store.execute(commands) as Promise<CommandResult[]>),
      ),
    );
    await this.follow(partition);
    return settled;
  }

  /** Reports the events of a partition since the last time. */
  async follow(partition: string): Promise<void> {
    const { onEvent } = this.options;
    if (onEvent === undefined || !this.partitions.has(partition)) return;
    const { events, next } = await this.store.readLog({ partition, after: this.read.get(partition), limit: PAGE });
    this.read.set(partition, next);
    for (const event of events.filter(isKnown)) onEvent(event, partition);
    if (events.length === PAGE) await this.follow(partition);
  }
}

const PAGE = 1_000;
