/**
 * Tails of streams: reads that wait for new frames. All tails of a process share the connections of the backend: one
 * for calls, one for notices. Spec 07 section 5.
 */
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';
import { needBackend, needObject } from '../backend/settings.js';
import { systemClock, type Clock } from '../engine/clock.js';
import { perBackend } from '../engine/per-backend.js';
import { ExecutionTails, type Wanted } from './execution-tails.js';
import { isNews, type TailPage, type TailPlace } from './page.js';

export interface TailStreamArgs {
  /** The execution. */
  readonly executionId: string;
  /** Its attempt, from 0. */
  readonly attemptIndex: number;
  /** Exclusive: the id of a frame, mostly `nextCursor` of the page before. Default `0-0`, before every frame. */
  readonly after?: string | undefined;
  /** How long to wait for a frame, ms: 0, the default, to 30 000. */
  readonly blockMs?: number | undefined;
  /** Frames of the page, 1 to 10 000. Default 50. */
  readonly limit?: number | undefined;
  /** Which frames, as in `readStream`. Default all. */
  readonly visibility?: ArgsOf<'readStream'>['visibility'];
  /** Ends the wait, which throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** All tails on one backend in this process. */
class StreamTails {
  private readonly byExecution = new Map<string, ExecutionTails>();
  private waiting = 0;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
  ) {}

  /** A reader of the streams of one execution. Notices arrive until it is closed. */
  reader(executionId: string): StreamReader {
    const tails = this.of(executionId);
    return { next: (wanted) => this.counted(() => tails.next(wanted)), done: tails.use() };
  }

  /** @throws EngineError `too_many_tails` */
  private async counted(next: () => Promise<TailPage>): Promise<TailPage> {
    if (this.waiting >= LIMITS.maxTails) {
      throw new EngineError('too_many_tails', `${LIMITS.maxTails} readers of streams wait in this process already.`, {
        detail: { pool: 'stream_ops', max: String(LIMITS.maxTails) },
      });
    }
    this.waiting++;
    try {
      return await next();
    } finally {
      this.waiting--;
    }
  }

  private of(executionId: string): ExecutionTails {
    let tails = this.byExecution.get(executionId);
    if (tails === undefined) {
      const { backend, clock } = this;
      const onUnused = (): void => void this.byExecution.delete(executionId);
      tails = new ExecutionTails({ backend, clock, executionId, onUnused });
      this.byExecution.set(executionId, tails);
    }
    return tails;
  }
}

export interface StreamReader {
  /** The page after a place, as soon as there is news. */
  next(wanted: Wanted): Promise<TailPage>;
  done(): void;
}

/** The tails of a backend in this process. */
export const tailsOf = perBackend((backend, clock: Clock) => new StreamTails(backend, clock));

/** Frames of a page when the caller does not say. */
const DEFAULT_LIMIT = 50;

/**
 * Frames of an attempt's stream behind a place. When there are none, waits for the next one, at most `blockMs`: a tail is
 * woken by an append and by the end of the attempt. A closed stream is answered at once. The loop of a reader: go on from
 * `nextCursor` until a page says `isClosed` and has no frames.
 *
 * @throws EngineError `invalid_input`, `too_many_tails`, and what calls throw when the store cannot be asked
 * @example
 * let after: string | undefined;
 * for (;;) {
 *   const page = await tailStream(backend, { executionId, attemptIndex: 0, after, blockMs: 30_000 });
 *   for (const frame of page.frames) console.log(frame.id, frame.payload);
 *   after = page.nextCursor;
 *   if (page.isClosed && page.frames.length === 0) break;
 * }
 */
export async function tailStream(
  backend: Backend,
  options: TailStreamArgs,
  clock: Clock = systemClock,
): Promise<TailPage> {
  needBackend('tailStream()', backend);
  needObject('tailStream()', 'options', options);
  const { executionId, signal, ...args } = options;
  const { attemptIndex, after = '0-0', blockMs = 0, limit = DEFAULT_LIMIT, visibility = 'all' } = args;
  if (!Number.isInteger(blockMs) || blockMs < 0 || blockMs > LIMITS.maxTailBlockMs) {
    const problem =
      blockMs > LIMITS.maxTailBlockMs ? `exceeds ${LIMITS.maxTailBlockMs}ms ceiling` : 'must be whole, and not below 0';
    throw new EngineError('invalid_input', `tailStream: blockMs: ${problem}.`, { detail: { field: 'blockMs' } });
  }
  signal?.throwIfAborted();
  const place: TailPlace = { attemptIndex, after, limit, visibility };
  const reader = tailsOf(backend, clock).reader(executionId);
  try {
    return await reader.next({ ...place, blockMs, signal, isNews });
  } finally {
    reader.done();
  }
}

export type { TailPage };
