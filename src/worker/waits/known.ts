/** What earlier runs of a handler waited for, as the engine keeps it. */
import type { WaitsRead } from '../../../model/suspension/read-waits.js';
import { keyOf, waitText, type WaitId } from './keys.js';

/** How a suspension ends that lets its execution go on: by a signal or an operator, and by time. */
const WENT_ON: ReadonlySet<string> = new Set(['resumed', 'timed_out_auto_resume']);

/** A wait that was begun. */
interface Begun {
  /** When it ends, ms since the epoch; nothing for one without an end. */
  readonly until: number | undefined;
}

export class KnownWaits {
  static readonly none = new KnownWaits({ waitpoints: [] });
  private readonly begun = new Map<string, Begun>();
  /** When an operator ended waits, ms since the epoch. */
  private readonly ended = new Map<string, number>();

  constructor({ waitpoints }: Pick<WaitsRead, 'waitpoints'>) {
    for (const { waitpointKey, closeReason, closedAt } of waitpoints) {
      // What ended with its execution does not count for one that was replayed.
      const key = keyOf(waitpointKey);
      if (key === undefined || !WENT_ON.has(closeReason ?? '')) continue;
      // No signal comes to a sleep: what made it go on before its time was an operator.
      if (key.channel === '' && closeReason === 'resumed') this.ended.set(waitText(key), closedAt ?? 0);
      if (!this.begun.has(waitText(key))) this.begun.set(waitText(key), { until: key.until });
    }
  }

  /** What is known of a wait; nothing of one that was not begun. */
  of(wait: WaitId): Begun | undefined {
    return this.begun.get(waitText(wait));
  }

  /** When an operator ended the wait before its time, ms since the epoch; nothing when none has. */
  endedAt(wait: WaitId): number | undefined {
    return this.ended.get(waitText(wait));
  }
}
