/** The stream of an attempt: created for its handler, and closed before its ending. */
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { failureTextOf } from '../../util/failure-text.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Ending } from '../handler/handler.js';
import { logOf, promisesOf } from '../handler/promises.js';
import type { Logger } from '../../shared/logger.js';
import { FrameWriter, type WrittenFrame } from './frame-writer.js';
import { Halves } from './halves.js';
import { StreamOfTask, type TaskStream } from './task-stream.js';

export interface StreamDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The stream of an attempt, created on first use. */
export function streamOf(attempt: Attempt, dependencies: StreamDependencies): TaskStream {
  const { backend, clock, log } = dependencies;
  const halves = () => new Halves<WrittenFrame>((message) => logOf(attempt, log).warn(message));
  attempt.frames ??= new FrameWriter(attempt, backend, clock, halves());
  return new StreamOfTask(attempt.claimed.executionKind, attempt.frames, promisesOf(attempt, dependencies));
}

/**
 * The ending of an attempt that wrote frames, after these are stored. If they cannot be stored, the attempt fails: it
 * must not complete while its readers miss frames.
 */
export async function endingBehind(frames: FrameWriter, ending: Ending, attempt: Attempt): Promise<Ending> {
  try {
    await frames.close();
    return ending;
  } catch (error) {
    if (ending.kind === 'lost') return ending;
    // Whether the refusal came before the handler had ended, for it to throw, is a matter of milliseconds.
    if (ending.kind === 'fail' && ending.error !== error) return ending;
    // The worker can be wrong about a lost lease, and the engine would accept a result.
    if (attempt.abortCode !== undefined && attempt.abortCode !== 'shutdown') return { kind: 'lost' };
    const permanent = !isRetryable(error);
    return { kind: 'fail', reason: failureTextOf(error), category: 'stream_refused', permanent, error };
  }
}
