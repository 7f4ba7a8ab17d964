/**
 * Final calls: says how attempts ended, and announces it, so that a claim for more work can leave in the same turn. Without claim-ahead
 * each ending is sent at once; with it, endings of one partition are collected until 50 are there, a slot stands idle,
 * or 2 ms are over. A call that fails is repeated until the leases run out: the fence makes that safe.
 */
import { EngineError } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import type { Backend, CommandResult } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { isRetryable, retryDelayMs } from '../engine/retry.js';
import type { Attempt } from './attempt.js';
import { unacceptable, type Ending } from './handler.js';

export type ReportedEnding = Exclude<Ending, { kind: 'lost' }>;

export interface ReporterOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  /** Endings leave when this turn ends; a claim for what they make room for can leave with them. */
  readonly onLeaving: () => void;
  /** Endings were answered, or given up. */
  readonly onAnswered: () => void;
  /** Collect endings into batches. */
  readonly collect: boolean;
  /** Whether a slot waits for work. */
  readonly slotIsIdle: () => boolean;
  /** Until when a final call for this attempt makes sense, on the worker's clock. */
  readonly lastsUntil: (attempt: Attempt) => number;
  /** The engine's word on an ending, or the error for which it was given up. */
  readonly onSettled: (
    attempt: Attempt,
    ending: ReportedEnding,
    result: CommandResult | { readonly ok: false; readonly error: unknown },
  ) => void;
  readonly onError: (error: unknown) => void;
}

interface Final {
  readonly attempt: Attempt;
  readonly ending: ReportedEnding;
  readonly command: Command;
}

const MAX_COLLECTED = 50;
const COLLECT_MS = 2;

export class Reporter {
  /** Calls made. */
  calls = 0;
  private readonly collected = new Map<string, Final[]>();
  private readonly flights = new Set<Promise<void>>();
  private tick: NodeJS.Immediate | undefined;
  private timer: Cancel | undefined;

  constructor(private readonly options: ReporterOptions) {}

  /** Sends the ending, at once or with others. */
  report(attempt: Attempt, ending: ReportedEnding): void {
    const final = this.finalOf(attempt, ending);
    if (!this.options.collect) {
      this.launch([final]);
      return;
    }
    const finals = this.collected.get(attempt.partition);
    if (finals === undefined) this.collected.set(attempt.partition, [final]);
    else finals.push(final);
    if (finals !== undefined && finals.length >= MAX_COLLECTED) this.flushPartition(attempt.partition);
    else this.tick ??= setImmediate(() => this.tickEnded());
  }

  /** Sends what was collected. */
  flush(): void {
    this.timer?.();
    this.timer = undefined;
    for (const partition of [...this.collected.keys()]) this.flushPartition(partition);
  }

  /** Resolves when every ending is settled. */
  async idle(): Promise<void> {
    this.flush();
    while (this.flights.size > 0) await Promise.all(this.flights);
  }

  private tickEnded(): void {
    this.tick = undefined;
    // A slot that waits for work is worth more than a larger batch.
    if (this.options.slotIsIdle()) this.flush();
    else this.timer ??= this.options.clock.after(COLLECT_MS, () => this.flush());
  }

  private flushPartition(partition: string): void {
    const finals = this.collected.get(partition);
    this.collected.delete(partition);
    if (finals !== undefined) this.launch(finals);
  }

  private finalOf(attempt: Attempt, ending: ReportedEnding): Final {
    return { attempt, ending, command: attempt.finalCommand(ending, this.options.clock.random()) };
  }

  private launch(finals: readonly Final[]): void {
    this.options.onLeaving();
    const flight = this.send(finals);
    this.flights.add(flight);
    void flight.finally(() => this.flights.delete(flight));
  }

  private async send(finals: readonly Final[]): Promise<void> {
    const { backend, onAnswered, onError } = this.options;
    this.calls++;
    try {
      this.settle(finals, await backend.execute(finals.map(({ command }) => command)));
    } catch (error) {
      onError(error);
      await this.recover(finals, error);
    }
    onAnswered();
  }

  private settle(finals: readonly Final[], results: readonly CommandResult[]): void {
    finals.forEach(({ attempt, ending }, index) =>
      this.options.onSettled(attempt, ending, results[index] as CommandResult),
    );
  }

  /** Repeats a call that failed; claims do not travel with it. */
  private async recover(finals: readonly Final[], firstError: unknown): Promise<void> {
    let pending = finals;
    let error = firstError;
    for (let failures = 1; isRetryable(error); failures++) {
      const { backend, clock, lastsUntil, onSettled, onError } = this.options;
      await new Promise<void>((resolve) => clock.after(retryDelayMs(clock, failures), resolve));
      const now = clock.now();
      const late = pending.filter(({ attempt }) => lastsUntil(attempt) <= now);
      for (const { attempt, ending } of late) onSettled(attempt, ending, { ok: false, error });
      pending = pending.filter(({ attempt }) => lastsUntil(attempt) > now);
      if (pending.length === 0) return;
      this.calls++;
      try {
        this.settle(pending, await backend.execute(pending.map(({ command }) => command)));
        return;
      } catch (again) {
        error = again;
        onError(again);
      }
    }
    await this.isolate(pending, error);
  }

  /** A batch was refused as a whole: finds the ending that is not acceptable, so that it does not take others with it. */
  private async isolate(finals: readonly Final[], error: unknown): Promise<void> {
    const { onSettled } = this.options;
    const [only] = finals;
    if (finals.length > 1) {
      for (const final of finals) await this.retryAlone(final);
    } else if (
      only !== undefined &&
      error instanceof EngineError &&
      error.family === 'validation' &&
      only.ending.kind !== 'fail'
    ) {
      await this.retryAlone(this.finalOf(only.attempt, unacceptable(error) as ReportedEnding));
    } else if (only !== undefined) {
      onSettled(only.attempt, only.ending, { ok: false, error });
    }
  }

  private async retryAlone(final: Final): Promise<void> {
    this.calls++;
    try {
      this.settle([final], await this.options.backend.execute([final.command]));
    } catch (error) {
      await this.recover([final], error);
    }
  }
}
