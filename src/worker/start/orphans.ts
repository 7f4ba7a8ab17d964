/**
 * Work of a kind that this worker has no handler for. A worker with more kinds than a claim can name receives some. It
 * is never failed: the first few times it is handed back at once, for a worker that has the task. If it keeps coming
 * back, there may be no such worker; then it is parked for a while, longer each time, so that it does not circulate and
 * delay other work.
 */
import { remember } from '../../util/remember.js';
import type { ReportedEnding } from '../report/reporter.js';

/** Number of hand-backs before an execution is parked. */
const HAND_BACKS = 3;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 10_000;
/** Executions remembered; the oldest is forgotten. */
const MAX_REMEMBERED = 1_000;

/** The ending for work without a handler under `onUnhandled: 'fail'`. */
export const unhandled = (kind: string): ReportedEnding => {
  const error = new Error(`No task of this worker is named "${kind}".`);
  return { kind: 'fail', reason: error.message, category: 'no_handler', permanent: true, error };
};

export class Orphans {
  private readonly seen = new Map<string, number>();
  private readonly kinds = new Set<string>();

  /** The ending that hands the execution back, or parks it. */
  endingFor(executionId: string): ReportedEnding {
    const times = this.seen.get(executionId) ?? 0;
    remember(this.seen, executionId, times + 1, MAX_REMEMBERED);
    if (times < HAND_BACKS) return { kind: 'release' };
    return {
      kind: 'delay',
      until: { inMs: Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(times - HAND_BACKS, 10)) },
    };
  }

  /** Whether this kind has not been seen before. */
  isNews(kind: string): boolean {
    const news = !this.kinds.has(kind);
    if (this.kinds.size < MAX_REMEMBERED) this.kinds.add(kind);
    return news;
  }
}
