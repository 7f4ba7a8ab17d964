/**
 * Waits for results under a clock that nobody moves. A wait that only virtual time can end would hang until the test
 * runner gives up, which says nothing of the reason; so after two seconds of real time in which nothing happened, it ends
 * with an error that names it.
 */
import type { Backend } from '../backend/backend.js';
import { countRuns } from '../app/operating/counts.js';
import type { ResultWait } from '../app/runs/run.js';
import { ResultTimeoutError } from '../shared/errors.js';
import { realClearTimeout, realSetTimeout } from './real-timers.js';
import type { VirtualClock } from './virtual-clock.js';

const LOOK_EVERY_MS = 200;
/** Looks in a row at which nothing has happened. They are counted, not timed: a machine can stand still too. */
const LOOKS = 10;

export class Standstill {
  private readonly waits = new Set<ResultWait>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private activity = 0;
  private looks = 0;
  private hasWarned = false;

  constructor(
    private readonly backend: Backend,
    private readonly clock: VirtualClock,
  ) {}

  /** A wait has begun; returns what to call at its end. */
  readonly watch = (wait: ResultWait): (() => void) => {
    this.waits.add(wait);
    this.looks = 0;
    this.lookLater();
    return () => {
      this.waits.delete(wait);
      if (this.waits.size > 0) return;
      realClearTimeout(this.timer);
      this.timer = undefined;
    };
  };

  private lookLater(): void {
    this.timer ??= realSetTimeout(() => {
      this.timer = undefined;
      void this.look();
    }, LOOK_EVERY_MS);
  }

  private async look(): Promise<void> {
    const { activity } = this.clock;
    this.looks = activity === this.activity ? this.looks + 1 : 0;
    this.activity = activity;
    if (this.looks >= LOOKS) {
      this.looks = 0;
      await this.judge().catch(() => undefined);
    }
    if (this.waits.size > 0) this.lookLater();
  }

  private async judge(): Promise<void> {
    const { states } = await countRuns(this.backend, (read) => read());
    // A handler can wait for the world outside, which comes without the clock.
    if ((states.active ?? 0) > 0) return this.warn();
    for (const { id, explain, giveUp } of [...this.waits]) {
      const { sentence } = await explain();
      giveUp(
        new ResultTimeoutError(id, LOOK_EVERY_MS * LOOKS, undefined, {
          why: `no handler runs, and the clock of testApp stands still. ${sentence}`,
          hint: 'Let time pass with `await t.advance(...)` before you wait for the result; or do first what the message says is missing.',
        }),
      );
    }
  }

  private warn(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    process.emitWarning(
      'A result is waited for under testApp while a handler runs and the clock stands still. If the handler waits for virtual time (a retry of a step, a timeout), let it pass with `await t.advance(...)`.',
    );
  }
}
