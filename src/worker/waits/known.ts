/**
 * What earlier runs of a handler waited for, and what came, as the engine keeps it. A wait is found by its key, and what
 * became of it follows from what is stored: from its end, and from the signals that came before that. So nothing more has
 * to be recorded when a wait is over, and every run of the handler finds the same.
 */
import type { WaitsRead } from '../../../model/suspension/read-waits.js';
import { keyOf, waitText, type WaitId } from './keys.js';
import type { Received } from './signals.js';

/** How a suspension ends that lets its execution go on: by a signal or an operator, and by time. */
const BY_TIME = 'timed_out_auto_resume';
const WENT_ON: ReadonlySet<string> = new Set(['resumed', BY_TIME]);

/** A wait that was begun. */
interface Begun {
  /** When it ends, ms since the epoch; nothing for one without an end. */
  readonly until: number | undefined;
  /** The suspensions that it was part of: when they ended, and whether time ended them. */
  readonly closings: { readonly at: number; readonly byTime: boolean }[];
}

/** A waitpoint that was made before its wait. */
interface Made {
  readonly until: number | undefined;
  readonly isPending: boolean;
}

export class KnownWaits {
  private readonly made = new Map<string, Made>();
  private readonly begun = new Map<string, Begun>();
  /** When an operator ended sleeps, ms since the epoch. */
  private readonly ended = new Map<string, number>();
  /** Signals that belong to a wait of this run. */
  private readonly taken = new Set<string>();
  /** In the order of their acceptance. */
  private readonly all: Received[] = [];

  constructor({ waitpoints }: Pick<WaitsRead, 'waitpoints'> = { waitpoints: [] }) {
    const heardAt = new Set<number | undefined>();
    for (const { waitpointKey, closedAt } of waitpoints) if (keyOf(waitpointKey)?.channel !== '') heardAt.add(closedAt);
    for (const { waitpointId, waitpointKey, state, closeReason = '', closedAt = 0 } of waitpoints) {
      const key = keyOf(waitpointKey);
      if (key !== undefined) this.made.set(waitpointId, { until: key.until, isPending: state === 'pending' });
      // What ended with its execution does not count for one that was replayed.
      if (key === undefined || !WENT_ON.has(closeReason)) continue;
      // No signal comes to a sleep: where nothing else was waited for, an operator made it go on before its time.
      if (closeReason === 'resumed' && !heardAt.has(closedAt)) this.ended.set(waitText(key), closedAt);
      const begun = this.begun.get(waitText(key)) ?? { until: key.until, closings: [] };
      begun.closings.push({ at: closedAt, byTime: closeReason === BY_TIME });
      this.begun.set(waitText(key), begun);
    }
  }

  /** What is known of a wait; nothing of one that was not begun. */
  of(wait: WaitId): Begun | undefined {
    return this.begun.get(waitText(wait));
  }

  /** What is known of a waitpoint; nothing of one that was not made. */
  waitpoint(waitpointId: string): Made | undefined {
    return this.made.get(waitpointId);
  }

  /** When an operator ended the sleep before its time, ms since the epoch; nothing when none has. */
  endedAt(wait: WaitId): number | undefined {
    return this.ended.get(waitText(wait));
  }

  /** Adds signals that came behind those that are known. */
  add(signals: readonly Received[]): void {
    this.all.push(...signals);
  }

  /** The id of the last signal that is known. */
  get lastSignal(): string | undefined {
    return this.all.at(-1)?.id;
  }

  /** Signals that came while nothing listened to them, as far as they are known. */
  get keptSignals(): number {
    return this.all.filter(({ isKept }) => isKept).length;
  }

  /**
   * The signals that a wait may take: they came in its time, and no other wait has them. A wait lasts to its end, or to
   * that of the suspension that it was part of then: a signal that came late and was taken all the same counts.
   */
  open(wait: WaitId, until: number | undefined): readonly Received[] {
    const late = this.of(wait)?.closings.find(({ at }) => at >= (until ?? Infinity));
    const isInTime = (at: number): boolean => {
      if (until === undefined || at < until) return true;
      return late !== undefined && !late.byTime && at <= late.at;
    };
    return this.all.filter(({ id, at }) => !this.taken.has(id) && isInTime(at));
  }

  /** They belong to a wait from now on. */
  take(signals: readonly Received[]): void {
    for (const { id } of signals) this.taken.add(id);
  }
}
