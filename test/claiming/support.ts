/** What the tests of claiming share: a clock that counts its timers, and a backend that is watched and can misbehave. */
import type { Backend, CommandResult, Wake } from '../../src/backend/backend.js';
import type { WorkWake } from '../../src/claiming/plan.js';
import type { Cancel, Clock } from '../../src/engine/clock.js';
import { memory, type MemoryOptions } from '../../src/memory/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';

/** A virtual clock that knows how many timers are set. */
export class CountingClock implements Clock {
  timers = 0;
  private readonly inner: VirtualClock;

  constructor(startAt = 0, seed = 1) {
    this.inner = new VirtualClock(startAt, seed);
  }

  readonly now = (): number => this.inner.now();
  readonly random = (): number => this.inner.random();

  readonly after = (ms: number, fn: () => void): Cancel => {
    let isSet = true;
    const end = (): void => {
      if (isSet) this.timers--;
      isSet = false;
    };
    this.timers++;
    const cancel = this.inner.after(ms, () => {
      end();
      fn();
    });
    return () => {
      end();
      cancel();
    };
  };

  advance(ms: number): Promise<void> {
    return this.inner.advance(ms);
  }
}

export interface Watched {
  readonly backend: Backend;
  /** Places at which claims were made, in order. */
  readonly claims: { readonly laneId: string; readonly partition: string; readonly count: number }[];
  /** Partitions whose queues were read, in order, and of which lanes. */
  readonly reads: { readonly partition: string; readonly laneIds: readonly string[] }[];
  /** Tells all listeners of a wake that the store did not send. */
  tell(wake: WorkWake | { readonly kind: 'resync' }): void;
  /** Called for every batch before it runs; what it throws is the batch's fault, what it answers is the answer. */
  intercept: ((commands: Parameters<Backend['execute']>[0]) => CommandResult[] | undefined) | undefined;
  /** Whether wakes of the store are lost. */
  isDeaf: boolean;
}

/** A backend in memory whose claims are counted. */
export function watched(options: MemoryOptions): Watched {
  const inner = memory(options);
  const listeners = new Set<(wake: Wake) => void>();
  const self: { -readonly [Key in keyof Watched]: Watched[Key] } = {
    backend: inner,
    claims: [],
    reads: [],
    isDeaf: false,
    intercept: undefined,
    tell: (wake) => {
      for (const listener of listeners) listener(wake as Wake);
    },
  };
  const execute = (async (commands: Parameters<Backend['execute']>[0]) => {
    for (const { name, args } of commands)
      if (name === 'claimForWorker')
        self.claims.push({ laneId: args.laneId, partition: args.partition, count: args.claims.length });
    return self.intercept?.(commands) ?? inner.execute(commands);
  }) as Backend['execute'];
  const listQueueHeads: Backend['listQueueHeads'] = (args) => {
    self.reads.push(args);
    return inner.listQueueHeads(args);
  };
  const onWake: Backend['onWake'] = async (lanes, listener, capabilities) => {
    const end = await inner.onWake(lanes, (wake) => self.isDeaf || listener(wake), capabilities);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      end();
    };
  };
  self.backend = Object.assign(Object.create(inner) as Backend, { execute, listQueueHeads, onWake });
  return self;
}
