/** The summary of a run. */
import type { Backend } from '../../backend/backend.js';
import { checkWhole } from '../../shared/checks.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';

export interface RunSummaryOptions {
  /** The attempt, from 1. Default the newest. */
  readonly attempt?: number | undefined;
}

export interface RunSummary {
  /** All patches so far, merged. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Number of patches so far. */
  readonly version: number;
  /** The attempt that it belongs to, from 1. */
  readonly attempt: number;
  /** When it was first and last patched, ms since the epoch. */
  readonly firstAt: number;
  readonly lastAt: number;
}

const MAX_ATTEMPT = 1_000_000;

/** @throws InvalidDefinitionError */
export function checkSummaryOptions(options: RunSummaryOptions): void {
  knownOnly<RunSummaryOptions>('summary', options, { attempt: true });
  checkWhole('summary', 'attempt', options.attempt, 1, MAX_ATTEMPT);
}

/** Undefined before the attempt's first patch. @throws RunNotFoundError */
export async function readRunSummary(
  backend: Backend,
  executionId: string,
  options: RunSummaryOptions,
): Promise<RunSummary | undefined> {
  const newest = await newestAttempt(backend, executionId);
  const { attempt = newest } = options;
  const summary = await backend.readSummary({ executionId, attemptIndex: Math.max(0, attempt - 1) });
  if (summary === undefined) return undefined;
  const { documentJson, version, firstAppliedAt: firstAt, lastUpdatedAt: lastAt } = summary;
  return { document: JSON.parse(documentJson) as RunSummary['document'], version, attempt, firstAt, lastAt };
}

async function newestAttempt(backend: Backend, executionId: string): Promise<number> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) throw new RunNotFoundError(executionId);
  return info.totalAttemptCount;
}
