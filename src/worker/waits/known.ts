/**
 * The waits of earlier runs of a handler, and the signals received, as the engine stores them. A wait is found by its
 * key. Its outcome follows from its end and from the signals that came before, so nothing is recorded when a wait is
 * over, and every run of the handler finds the same outcome.
 */
import type { WaitsRead } from '../../../model/suspension/read-waits.js';
import { CHILDREN_ENDED } from '../../../model/suspension/facts.js';
import { CALLED, keyOf, SLEEP_ALONE, waitText, type WaitId } from './keys.js';
import type { Received } from './signals.js';

/** Close reasons after which the execution continues: by a signal or an operator, by time, and by children. */
const BY_TIME = 'timed_out_auto_resume';
const RESUMED_REASONS: ReadonlySet<string> = new Set(['resumed', BY_TIME, CHILDREN_ENDED]);

/** A wait with an end that a suspension has stored. */
interface Begun {
  /** When it ends, ms since the epoch; undefined without an end. */
  readonly until: number | undefined;
  /** When the suspensions for this wait ended, and whether by time. Empty while the handler has not awaited it. */
  readonly closings: { readonly at: number; readonly byTime: boolean }[];
}

/** A waitpoint that was created before its wait. */
interface Made {
  readonly until: number | undefined;
  readonly isPending: boolean;
}

export class KnownWaits {
  private readonly made = new Map<string, Made>();
  private readonly begun = new Map<string, Begun>();
  /** When an operator ended sleeps, ms since the epoch. */
  private readonly ended = new Map<string, number>();
  /** Ids of signals that belong to a wait of this run. */
  private readonly taken = new Set<string>();
  /** In the order of their acceptance. */
  private readonly all: Received[] = [];

  constructor({ waitpoints }: Pick<WaitsRead, 'waitpoints'> = { waitpoints: [] }) {
    for (const { waitpointId, waitpointKey, state, closeReason = '', closedAt = 0, expiresAt } of waitpoints) {
      const key = keyOf(waitpointKey);
      // A waitpoint that was created before its wait takes signals until its own end.
      const until = expiresAt ?? key?.until;
      if (key !== undefined) this.made.set(waitpointId, { until, isPending: state === 'pending' });
      // Waits that ended with the execution do not count after a replay.
      if (key === undefined || !RESUMED_REASONS.has(closeReason)) continue;
      if (key.channel === SLEEP_ALONE && closeReason === 'resumed') this.ended.set(waitText(key), closedAt);
      const begun = this.begun.get(waitText(key)) ?? { until, closings: [] };
      if (key.channel !== CALLED) begun.closings.push({ at: closedAt, byTime: closeReason === BY_TIME });
      this.begun.set(waitText(key), begun);
    }
  }

  /** The state of a wait; undefined if it was not begun. */
  of(wait: WaitId): Begun | undefined {
    return this.begun.get(waitText(wait));
  }

  /** The state of a waitpoint; undefined if it was not created. */
  waitpoint(waitpointId: string): Made | undefined {
    return this.made.get(waitpointId);
  }

  /** When an operator ended the sleep early, ms since the epoch; undefined if none did. */
  endedAt(wait: WaitId): number | undefined {
    return this.ended.get(waitText(wait));
  }

  /** Adds later signals. */
  add(signals: readonly Received[]): void {
    this.all.push(...signals);
  }

  /** The id of the last known signal. */
  get lastSignal(): string | undefined {
    return this.all.at(-1)?.id;
  }

  /** Number of known signals. */
  get signalCount(): number {
    return this.all.length;
  }

  /** The place of a signal in the order of acceptance; -1 without a signal. */
  indexOf(signal: Received | undefined): number {
    return signal === undefined ? -1 : this.all.indexOf(signal);
  }

  /** Number of known signals that came while no wait listened to them. */
  get keptSignals(): number {
    return this.all.filter(({ isKept }) => isKept).length;
  }

  /**
   * The signals that a wait may take: they came in time, and belong to no other wait. A wait lasts to its end, or to
   * the end of its suspension if that ended later and not by time: a late signal that the engine accepted counts.
   */
  open(wait: WaitId, until: number | undefined): readonly Received[] {
    const late = this.of(wait)?.closings.find(({ at }) => at >= (until ?? Infinity));
    const isInTime = (at: number): boolean => {
      if (until === undefined || at < until) return true;
      return late !== undefined && !late.byTime && at <= late.at;
    };
    return this.all.filter(({ id, at }) => !this.taken.has(id) && isInTime(at));
  }

  /** Assigns signals to a wait. */
  take(signals: readonly Received[]): void {
    for (const { id } of signals) this.taken.add(id);
  }
}
