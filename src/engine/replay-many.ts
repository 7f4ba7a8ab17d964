/**
 * Replays many executions: a composition, not an operation (ruling 43). Each replay is independent: failures are
 * reported and do not end the rest. Repeating the call replays nothing twice, because every replay names the number of
 * replays that the list showed.
 */
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../backend/backend.js';
import { asEngineError } from '../util/engine-error.js';
import { replaySkipped } from './replay-skipped.js';
import { isRetryable } from './retry.js';

/** Concurrent replays. */
const TOGETHER = 50;

/** Failures that are listed one by one. */
const MAX_NAMED = 100;

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
  /** Number of executions that were running again already, or are gone. */
  readonly skipped: number;
  /** Number of executions that could not be replayed. */
  readonly failed: number;
  /** The first hundred failures. */
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
  readonly signal: AbortSignal | undefined;
  /** Where the list begins. */
  readonly after: string | undefined;
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** Refusals that need no action. */
const NOTHING_TO_DO: ReadonlySet<string> = new Set(['execution_not_found', 'execution_not_terminal']);

/** Counts results. */
class Tally {
  matched = 0;
  replayed = 0;
  skipped = 0;
  failed = 0;
  /** The store became unreachable, so the rest is not tried. */
  isCutOff = false;
  /** A map, because users choose the words. */
  private readonly categories = new Map<string, number>();
  readonly faults: ReplayFault[] = [];

  match({ failureCategory = '' }: ExecutionSummary): void {
    this.matched++;
    this.categories.set(failureCategory, (this.categories.get(failureCategory) ?? 0) + 1);
  }

  fail(executionId: string, error: unknown): void {
    const { code = 'unknown', message = String(error), hint } = asEngineError(error) ?? {};
    if (NOTHING_TO_DO.has(code)) {
      this.skipped++;
      return;
    }
    this.failed++;
    this.isCutOff ||= isRetryable(error);
    if (this.faults.length < MAX_NAMED) this.faults.push({ executionId, code, message, hint });
  }

  report(complete: boolean, next: string | undefined): ReplayReport {
    const { matched, replayed, skipped, failed, faults } = this;
    return {
      matched,
      categories: Object.fromEntries(this.categories),
      replayed,
      skipped,
      failed,
      faults,
      complete,
      next,
    };
  }
}

/**
 * Replays the listed executions, in order. If the store is unreachable for longer than `call` retries, it ends early
 * with a report.
 * @throws the signal's reason
 */
export async function replayMany(
  backend: Backend,
  rows: AsyncGenerator<ExecutionSummary>,
  { dryRun, limit, reason, requestedBy, signal, call, after }: ReplayManyOptions,
): Promise<ReplayReport> {
  const tally = new Tally();
  const replay = async ({ executionId, replayCount: expectedReplayCount }: ExecutionSummary): Promise<void> => {
    try {
      const args = { executionId, reason, requestedBy, expectedReplayCount };
      const { kind } = await call(() => backend.replayExecution(args));
      tally[kind === 'replayed' ? 'replayed' : 'skipped']++;
      await replaySkipped(backend, { executionId, reason, requestedBy, call });
    } catch (error) {
      tally.fail(executionId, error);
    }
  };
  for (let behind = after; ; ) {
    signal?.throwIfAborted();
    const batch: ExecutionSummary[] = [];
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
    if (!dryRun) await Promise.all(batch.map(replay));
    if (tally.isCutOff) return tally.report(false, behind);
    behind = batch.at(-1)?.executionId ?? behind;
    if (tally.matched === limit) {
      const more = await rows.next();
      return more.done === true ? tally.report(true, undefined) : tally.report(false, behind);
    }
    if (batch.length < TOGETHER) return tally.report(true, undefined);
  }
}
