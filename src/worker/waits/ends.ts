/**
 * The ends of waits, and which of them are stored. A later run computes the end of a wait anew, and would wait again: so
 * an end that has passed before any suspension stored it is stored before the handler goes on.
 */
import { present } from '../../../model/core/present.js';
import type { Checkpoints } from '../checkpoints/checkpoints.js';
import type { Blocked, Earlier, End } from './blocked.js';
import type { KnownWaits } from './known.js';
import { overOf, type Over } from './over.js';

export interface WaitEndsOptions {
  readonly checkpoints: () => Checkpoints;
  /** Reads what earlier runs left of the waits, once. */
  readonly knownWaits: () => Promise<KnownWaits>;
  readonly blocked: ReadonlySet<Blocked>;
  /** Fails the waits that block the handler. */
  readonly failAll: (error: unknown) => void;
}

export class WaitEnds {
  /** The ends of waits that were called and do not block the handler yet, unless it is known that they are stored. */
  private readonly called = new Set<End>();

  constructor(private readonly options: WaitEndsOptions) {}

  /** A wait was called. */
  add(end: End): void {
    this.called.add(end);
  }

  /** A wait blocks the handler now. */
  blocks(end: End): void {
    this.called.delete(end);
  }

  /** Ends with a time of waits that do not block the handler. */
  get timed(): readonly End[] {
    return [...this.called].filter(({ asked }) => asked !== undefined);
  }

  /** What earlier runs left of a wait. It waits for no record: a record can wait for it. */
  earlierOf(end: End): Promise<Earlier> {
    return (end.reading ??= this.readEarlier(end));
  }

  private async readEarlier(end: End): Promise<Earlier> {
    const { kind, wait, asked } = end;
    const known = await this.options.knownWaits();
    const begun = known.of(wait);
    const stored = begun ? undefined : await this.options.checkpoints().passed(kind, wait.name, wait.use);
    end.isKept = begun !== undefined || stored !== undefined;
    if (begun !== undefined) return { known, until: begun.until };
    return { known, until: stored === undefined ? asked : Number(stored.value) };
  }

  /** Reads which ends of waits that do not block the handler earlier runs have stored. */
  async read(ends: readonly End[]): Promise<void> {
    const read = await Promise.allSettled(ends.map((end) => this.earlierOf(end)));
    // A wait that could not be read fails when the handler awaits it.
    for (const [at, end] of ends.entries()) if (end.isKept || read[at]?.status === 'rejected') this.called.delete(end);
  }

  /**
   * Whether the end of the wait must be stored before the handler goes on: its time has passed before any suspension
   * stored it, because a step ran meanwhile or the time was short.
   */
  mustStore({ wait, at, signals }: Over): boolean {
    const { until, endedAt, end, isInstant } = wait;
    if (end === undefined || end.isKept) return false;
    // Alone, it is over in every run.
    if (isInstant && this.options.blocked.size === 1) return false;
    return signals === undefined && at === until && at !== endedAt;
  }

  /**
   * Stores the ends that must be stored and have passed by a time, ms since the epoch; undefined if there are none. If
   * that fails, the waits fail.
   */
  store(by: number, known: KnownWaits | undefined): Promise<unknown> | undefined {
    const { blocked, failAll } = this.options;
    const passed = [...blocked]
      .flatMap((wait) => overOf(wait, known) ?? [])
      .filter((over) => over.at <= by && this.mustStore(over));
    const called = [...this.called].filter(({ asked = Infinity }) => asked <= by);
    if (passed.length + called.length === 0) return undefined;
    const stored = passed.map(({ wait: { end, until } }) => this.storeEnd(present(end), present(until)));
    return Promise.all([Promise.all(stored).catch(failAll), ...called.map((end) => this.storeCalled(end))]);
  }

  /** Stores the end of a wait that does not block the handler yet, if no earlier run did. */
  private async storeCalled(end: End): Promise<void> {
    try {
      await this.earlierOf(end);
      if (!end.isKept) await this.storeEnd(end, present(end.asked));
    } catch {
      // The wait fails with this error when the handler awaits it.
    }
    this.called.delete(end);
  }

  private storeEnd(end: End, until: number): Promise<void> {
    const { kind, wait } = end;
    end.storing ??= this.options
      .checkpoints()
      .recordEnd({ kind, name: wait.name, index: wait.use }, until)
      .then(() => void (end.isKept = true));
    return end.storing;
  }
}
