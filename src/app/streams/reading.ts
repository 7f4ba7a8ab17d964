/** Follows the streams of a run, attempt by attempt, to the end of the run. */
import type { StreamFrames } from '../../../model/stream/reads.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { checkBoolean, checkSignal, checkWhole, refuse } from '../../shared/checks.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { isNewsOfRun, type TailPage } from '../../streaming/page.js';
import { tailsOf } from '../../streaming/tails.js';
import { BEGINNING, cursorOf, FROM_RULE, frameOfRun, placeOf, type Place, type RunFrame } from './frames.js';

export interface RunStreamOptions {
  /**
   * Where to begin: at the first frame that is kept (`start`, the default), at the next new frame (`now`), or after the
   * `cursor` of a frame.
   */
  readonly from?: 'start' | 'now' | (string & {}) | undefined;
  /**
   * Only this attempt, from 1, or `latest` for the newest and later ones. Default: all attempts, with a frame between
   * them.
   */
  readonly attempt?: number | 'latest' | undefined;
  /** Leaves out best-effort frames. Default false. */
  readonly durableOnly?: boolean | undefined;
  /** Ends the iteration, which throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Frames of a page. */
const PAGE_FRAMES = 256;
/** Attempts are numbered from 1 for users. */
const MAX_ATTEMPT = 1_000_000;
const OPTIONS = { from: true, attempt: true, durableOnly: true, signal: true } as const;

/** @throws InvalidDefinitionError */
export function checkStreamOptions(options: RunStreamOptions): void {
  knownOnly<RunStreamOptions>('stream', options, OPTIONS);
  const { attempt, from = 'start' } = options;
  checkSignal('stream', 'signal', options.signal);
  checkBoolean('stream', 'durableOnly', options.durableOnly);
  if (attempt !== 'latest') checkWhole('stream', 'attempt', attempt, 1, MAX_ATTEMPT);
  if (typeof from !== 'string') throw refuse('stream', 'from', FROM_RULE, from);
  const place = from === 'start' || from === 'now' ? undefined : placeOf(from);
  if (place === undefined || attempt === undefined || attempt === 'latest') return;
  if (place.attemptIndex !== attempt - 1) throw refuse('stream', 'from', 'the cursor of a frame of this attempt', from);
}

const isWorth = (page: StreamFrames): boolean => page.attemptCount === undefined || isNewsOfRun(page);

/** The frames of a run, until its end. @throws RunNotFoundError, the signal's reason, every error of the reads */
export async function* readRun(
  backend: Backend,
  clock: Clock,
  executionId: string,
  { signal, ...options }: RunStreamOptions,
): AsyncGenerator<RunFrame, void, undefined> {
  signal?.throwIfAborted();
  const visibility = options.durableOnly === true ? 'exclude_best_effort' : 'all';
  const reader = tailsOf(backend, clock).reader(executionId);
  const next = async ({ attemptIndex, after }: Place): Promise<TailPage & { readonly attemptCount: number }> => {
    const wanted = { attemptIndex, after, limit: PAGE_FRAMES, visibility } as const;
    const page = await reader.next({ ...wanted, blockMs: undefined, signal, isNews: isWorth });
    const { attemptCount } = page;
    if (attemptCount === undefined) throw new RunNotFoundError(executionId);
    return { ...page, attemptCount };
  };
  try {
    const asked = () => beginningOf(backend, executionId, options);
    let place = await withRetries(clock, Infinity, asked, signal);
    let mark: RunFrame | undefined;
    for (;;) {
      const page = await next(place);
      const { attemptIndex } = place;
      const hasBegun = page.attemptCount > attemptIndex;
      if (hasBegun && mark !== undefined) yield mark;
      if (hasBegun) mark = undefined;
      for (const frame of page.frames) yield frameOfRun(frame, attemptIndex);
      place = { attemptIndex, after: page.nextCursor };
      if (page.isEnded && !hasBegun) return;
      if (!page.isClosed || page.hasMore) continue;
      const isLast = page.isEnded && page.attemptCount === attemptIndex + 1;
      if (isLast || typeof options.attempt === 'number') return;
      place = { attemptIndex: attemptIndex + 1, after: BEGINNING };
      mark = markOf(place, page.closedReason);
    }
  } finally {
    reader.done();
  }
}

const markOf = (place: Place, previousEnded: string | undefined): RunFrame => ({
  kind: 'attempt',
  attempt: place.attemptIndex + 1,
  cursor: cursorOf(place),
  previousEnded,
});

async function beginningOf(
  backend: Backend,
  executionId: string,
  { from = 'start', attempt }: RunStreamOptions,
): Promise<Place> {
  if (from !== 'start' && from !== 'now') return placeOf(from);
  if (typeof attempt === 'number' && from === 'start') return { attemptIndex: attempt - 1, after: BEGINNING };
  if (attempt === undefined && from === 'start') return { attemptIndex: 0, after: BEGINNING };
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) throw new RunNotFoundError(executionId);
  const latest = Math.max(0, info.totalAttemptCount - 1);
  const attemptIndex = typeof attempt === 'number' ? attempt - 1 : latest;
  return { attemptIndex, after: from === 'now' ? await newestOf(backend, executionId, attemptIndex) : BEGINNING };
}

/**
 * The position behind the newest frame. Several frames can have the time that it is now, and the next one can be the
 * first of them.
 */
async function newestOf(backend: Backend, executionId: string, attemptIndex: number): Promise<string> {
  let after = `${Math.max(0, (await backend.serverTime()) - 1)}-0`;
  for (;;) {
    const page = await backend.readStream({ executionId, attemptIndex, after, limit: PAGE_FRAMES });
    after = page.frames.at(-1)?.id ?? after;
    if (page.nextCursor === undefined) return after;
  }
}
