/**
 * Replaying many executions at once: no operation but a composition of them (ruling 43). Each replay stands alone: what
 * fails is reported and does not end the rest. A repeated run replays nothing twice, since every call says how often its
 * execution was replayed when it was listed.
 */
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../backend.js';
import { asEngineError } from '../util/engine-error.js';
import { isRetryable } from './retry.js';

/** Replays that are under way at once. */
const TOGETHER = 50;

/** Replays that could not be made, and are named one by one. */
const MAX_NAMED = 100;

export interface ReplayFault {
  readonly executionId: string;
  readonly code: string;
  readonly message: string;
  /** What to do next; nothing for what is no error of the engine. */
  readonly hint: string | undefined;
}

export interface ReplayReport {
  /** Executions that were looked at. */
  readonly matched: number;
  /** The same by failure category; `''` when there is none. */
  readonly categories: Readonly<Record<string, number>>;
  /** Executions that run again; 0 in a dry run. */
  readonly replayed: number;
  /** Executions that ran again already, or are gone. */
  readonly skipped: number;
  /** Executions that could not be replayed. */
  readonly failed: number;
  /** The first hundred of these, and why. */
  readonly faults: readonly ReplayFault[];
  /** Whether everything that matched was looked at. */
  readonly complete: boolean;
  /** Where a further call goes on (`after`), when this one is not complete; absent where that is the beginning. */
  readonly next: string | undefined;
}

export interface ReplayManyOptions {
  /** Counts what would be replayed, and replays nothing. */
  readonly dryRun: boolean;
  /** Executions that are looked at, at most. */
  readonly limit: number;
  readonly reason: string;
  readonly requestedBy: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Where the list began. */
  readonly after: string | undefined;
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** Refusals that say that there is nothing to do. */
const NOTHING_TO_DO: ReadonlySet<string> = new Set(['execution_not_found', 'execution_not_terminal']);

/** Counts what became of each. */
class Tally {
  matched = 0;
  replayed = 0;
  skipped = 0;
  failed = 0;
  /** The store could not be reached: there is no use in going on. */
  isCutOff = false;
  /** By words of users: no object, in which some words mean something already. */
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
 * Replays what is listed, in its order. A store that cannot be reached for longer than `call` tries ends it early, with a
 * report of what was done.
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
