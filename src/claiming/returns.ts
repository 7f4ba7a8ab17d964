/**
 * Returns the quota slots of executions that this worker completed. For the completions of one turn, each policy gets
 * one call; afterwards the admissions are settled in the outbox of their partitions, many at a time. If a call fails,
 * the timer loop returns the slots a second after the completion.
 */
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { policiesOf, released, settled } from '../engine/deliveries.js';
import { LIMITS } from '../../model/limits.js';
import { groupBy } from '../util/group-by.js';

export interface ReturnsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Called with every call in flight. */
  readonly track: (flight: Promise<void>) => void;
}

/** The admission of a completed execution. */
export interface Returned {
  readonly partition: string;
  readonly meters: string;
  readonly admissionId: string;
}

/** How long settlements of a partition are collected, ms; well below the delay of the timer loop. */
const SETTLE_AFTER_MS = 250;

export class Returns {
  private returned: Returned[] = [];
  /** Admissions to settle, because their slots were returned; by partition. */
  private readonly unsettled = new Map<string, string[]>();
  private timer: Cancel | undefined;
  private isClosed = false;

  constructor(private readonly options: ReturnsOptions) {}

  add(returned: Returned): void {
    this.returned.push(returned);
  }

  /** Returns the slots of all added admissions. */
  flush(): void {
    if (this.returned.length === 0) return;
    const { returned } = this;
    this.returned = [];
    this.options.track(this.tell(returned).catch((error: unknown) => this.options.onError(error)));
  }

  /** Returns and settles everything at once, including admissions added later. */
  close(): void {
    this.isClosed = true;
    this.flush();
    this.settle(1);
  }

  private async tell(returned: readonly Returned[]): Promise<void> {
    const { backend, clock } = this.options;
    const slots = returned.flatMap(({ meters, admissionId }) =>
      policiesOf(meters).map((policy) => ({ policy, admissionId })),
    );
    await Promise.all(
      [...groupBy(slots, ({ policy }) => policy)].map(([policy, of]) =>
        released(
          backend,
          policy,
          of.map(({ admissionId }) => admissionId),
        ),
      ),
    );
    for (const { partition, admissionId } of returned) {
      const ids = this.unsettled.get(partition);
      if (ids === undefined) this.unsettled.set(partition, [admissionId]);
      else ids.push(admissionId);
    }
    this.settle(this.isClosed ? 1 : LIMITS.maxAdmissions);
    if (this.unsettled.size > 0) this.timer ??= clock.after(SETTLE_AFTER_MS, () => this.settle(1));
  }

  /** Settles the admissions of partitions that have at least `atLeast`. */
  private settle(atLeast: number): void {
    for (const [partition, ids] of [...this.unsettled]) {
      if (ids.length < atLeast) continue;
      this.unsettled.delete(partition);
      const { backend, onError, track } = this.options;
      track(settled(backend, partition, ids).catch((error: unknown) => onError(error)));
    }
    if (this.unsettled.size > 0) return;
    this.timer?.();
    this.timer = undefined;
  }
}
