/**
 * Replays many executions: a composition, not an operation (ruling 43). Each replay is independent: failures are
 * reported and do not end the rest. Repeating the call replays nothing twice, because every replay names the number of
 * replays that the list showed.
 */
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../backend/backend.js';
import { asEngineError } from '../util/engine-error.js';
import type { Clock } from './clock.js';
import { replaySkipped, type LeftSkipped } from './replay-skipped.js';
import { isRetryable } from './retry.js';

/** Concurrent replays. */
const TOGETHER = 50;

/** Failures that are listed one by one. */
const MAX_NAMED = 100;

/** What a replay needs to know of an execution. */
export type ToReplay = Pick<ExecutionSummary, 'executionId' | 'replayCount' | 'failureCategory'>;

export interface ReplayFault {
  readonly executionId: string;
  readonly code: string;
  readonly message: string;
  /** What to do next; absent for errors that are not the engine's. */
  readonly hint: string | undefined;
}

export interface ReplayReport {
  /** Number of executions that matched. */
  readonly matched: number;
  /** The same by failure category; `''` without one. */
  readonly categories: Readonly<Record<string, number>>;
  /** Number of executions that run again; 0 in a dry run. */
  readonly replayed: number;
  /** Number of members of flows that were skipped because of others, and run again with them; not in `matched`. */
  readonly broughtBack: number;
  /** Number of executions that were running again already, or are gone. */
  readonly skipped: number;
  /** Number of executions that could not be replayed. */
  readonly failed: number;
  /**
   * The first hundred failures: runs that could not be replayed, and members of flows that stay skipped, or behind which
   * members do, which are not counted. `replay()` of such a member continues.
   */
  readonly faults: readonly ReplayFault[];
  /** Whether all matching executions were processed. */
  readonly complete: boolean;
  /** Where another call continues (`after`) when this one is not complete; absent for the beginning. */
  readonly next: string | undefined;
}

export interface ReplayManyOptions {
  /** Counts what would be replayed, and replays nothing. */
  readonly dryRun: boolean;
  /** Executions to process, at most. */
  readonly limit: number;
  readonly reason: string;
  readonly requestedBy: string | undefined;
  /** Whether steps, waits and signals of earlier runs are kept. */
  readonly steps: 'keep' | 'discard';
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  /** Where the list begins. */
  readonly after: string | undefined;
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** What to do about what stays skipped behind a run that is no dead letter any more. */
const CONTINUE = 'Replay it by itself, `app.get(id).replay()`: that continues with what is still skipped.';

/** Refusals that need no action. */
const NOTHING_TO_DO: ReadonlySet<string> = new Set(['execution_not_found', 'execution_not_terminal']);

const codeOf = (error: unknown): string => asEngineError(error)?.code ?? 'unknown';

/** Counts results. */
class Tally {
  matched = 0;
  replayed = 0;
  broughtBack = 0;
  skipped = 0;
  failed = 0;
  /** The store became unreachable, so the rest is not tried. */
  isCutOff = false;
  /** A map, because users choose the words. */
  private readonly categories = new Map<string, number>();
  readonly faults: ReplayFault[] = [];

  match({ failureCategory = '' }: ToReplay): void {
    this.matched++;
    this.categories.set(failureCategory, (this.categories.get(failureCategory) ?? 0) + 1);
  }

  fail(executionId: string, error: unknown): void {
    if (NOTHING_TO_DO.has(codeOf(error))) {
      this.skipped++;
      return;
    }
    this.failed++;
    this.name({ executionId, error }, asEngineError(error)?.hint);
  }

  /** Members that stay skipped are not counted: they were not listed, or were replayed. */
  leave(left: LeftSkipped): void {
    this.name(left, isRetryable(left.error) ? CONTINUE : asEngineError(left.error)?.hint);
  }

  private name({ executionId, error }: LeftSkipped, hint: string | undefined): void {
    this.isCutOff ||= isRetryable(error);
    const message = asEngineError(error)?.message ?? String(error);
    if (this.faults.length < MAX_NAMED) this.faults.push({ executionId, code: codeOf(error), message, hint });
  }

  report(complete: boolean, next: string | undefined): ReplayReport {
    const { matched, replayed, broughtBack, skipped, failed, faults } = this;
    return {
      matched,
      categories: Object.fromEntries(this.categories),
      replayed,
      broughtBack,
      skipped,
      failed,
      faults,
      complete,
      next,
    };
  }
}

/** Whether a list has no more rows. If the store is unreachable, it may have some. */
async function endsHere(rows: AsyncGenerator<ToReplay>): Promise<boolean> {
  try {
    return (await rows.next()).done === true;
  } catch (error) {
    if (!isRetryable(error)) throw error;
    return false;
  }
}

/**
 * Replays the listed executions, in order. If the store is unreachable for longer than `call` retries, it ends early
 * with a report.
 * @throws the signal's reason
 */
export async function replayMany(
  backend: Backend,
  rows: AsyncGenerator<ToReplay>,
  { dryRun, limit, reason, requestedBy, steps, signal, clock, call, after }: ReplayManyOptions,
): Promise<ReplayReport> {
  const tally = new Tally();
  const replay = async (
    { executionId, replayCount: expectedReplayCount }: ToReplay,
    passed: Set<string>,
  ): Promise<void> => {
    try {
      const args = { executionId, reason, requestedBy, expectedReplayCount, steps };
      const { kind } = await call(() => backend.replayExecution(args));
      tally[kind === 'replayed' ? 'replayed' : 'skipped']++;
    } catch (error) {
      tally.fail(executionId, error);
      // If it runs again already, the call that replayed it may have left some of what was skipped.
      if (codeOf(error) !== 'execution_not_terminal') return;
    }
    const onReplay = () => void tally.broughtBack++;
    const left = await replaySkipped(backend, {
      executionId,
      reason,
      requestedBy,
      clock,
      signal,
      passed,
      call,
      onReplay,
    });
    for (const it of left) tally.leave(it);
  };
  for (let behind = after; ; ) {
    signal?.throwIfAborted();
    const batch: ToReplay[] = [];
    try {
      while (batch.length < TOGETHER && tally.matched + batch.length < limit) {
        const { value, done } = await rows.next();
        if (done === true) break;
        batch.push(value);
      }
    } catch (error) {
      if (!isRetryable(error)) throw error;
      tally.isCutOff = true;
    }
    for (const row of batch) tally.match(row);
    // What depends on several of them is gone through once.
    const passed = new Set<string>();
    if (!dryRun) await Promise.all(batch.map((row) => replay(row, passed)));
    if (tally.isCutOff) return tally.report(false, behind);
    behind = batch.at(-1)?.executionId ?? behind;
    if (tally.matched === limit) {
      const isEnd = await endsHere(rows);
      return tally.report(isEnd, isEnd ? undefined : behind);
    }
    if (batch.length < TOGETHER) return tally.report(true, undefined);
  }
}
