/**
 * Progress reported by handlers. The store gets at most one call a second per run, and the latest progress before the
 * run ends. In between, newer progress replaces progress that waits to be sent; without a message, it takes over that of
 * the older. What met a fault waits again: a fault never fails a handler.
 */
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { refuse } from '../../shared/checks.js';
import { boundText } from '../../util/text.js';

/** Progress in the form of the engine. */
export interface ProgressFacts {
  readonly progressPct: number;
  readonly progressMessage: string | undefined;
}

export type ProgressArgs = ArgsOf<'updateProgress'>;

/** Shortest time between two calls of a run, ms. */
const PERIOD_MS = 1_000;

/** @throws InvalidDefinitionError for an invalid percentage or message */
export function progressFacts(taskName: string, percent: unknown, message: unknown): ProgressFacts {
  const where = `Task "${taskName}"`;
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100))
    throw refuse(where, 'progress', 'a number from 0 to 100', percent);
  if (message !== undefined && typeof message !== 'string')
    throw refuse(where, 'the message of progress', 'a string', message);
  return {
    // Adding zero turns -0 into 0.
    progressPct: Math.round(percent) + 0,
    progressMessage: message === undefined ? undefined : boundText(message, LIMITS.maxProgressMessageBytes),
  };
}

/** The newer of two, with the message of the older if it has none: the store keeps the last message, too. */
const merged = (newer: ProgressFacts, older: ProgressFacts | undefined): ProgressFacts =>
  newer.progressMessage ? newer : { ...newer, progressMessage: older?.progressMessage };

/** The progress of one run. */
export class Progress {
  private latest: ProgressFacts | undefined;
  private lastSentAt = -Infinity;
  private timer: Cancel | undefined;
  /** How often progress was sent. */
  private count = 0;

  constructor(
    private readonly clock: Clock,
    /** Sends progress; false if that met a fault and has to be repeated. Rejects with the error for the handler. */
    private readonly send: (facts: ProgressFacts) => Promise<boolean>,
  ) {}

  /** Sends progress now, or keeps it for the next call of this run. Resolves when it is sent or kept. */
  async say(facts: ProgressFacts): Promise<void> {
    const leftMs = this.lastSentAt + PERIOD_MS - this.clock.now();
    if (leftMs > 0) {
      this.keep(facts, leftMs);
      return;
    }
    const whole = merged(facts, this.take());
    this.lastSentAt = this.clock.now();
    const number = ++this.count;
    // What was reported meanwhile is newer.
    if (!(await this.send(whole)) && number === this.count) this.keep(merged(this.latest ?? whole, whole), PERIOD_MS);
  }

  private keep(facts: ProgressFacts, forMs: number): void {
    this.latest = merged(facts, this.latest);
    this.timer ??= this.clock.after(forMs, () => {
      const kept = this.take();
      // If it is refused, the handler learns that from its next call or from its signal.
      if (kept !== undefined) this.say(kept).catch(() => undefined);
    });
  }

  /** Removes progress that waits to be sent, so that the caller can send it with the ending. */
  take(): ProgressFacts | undefined {
    const { latest } = this;
    this.timer?.();
    this.timer = undefined;
    this.latest = undefined;
    return latest;
  }
}
