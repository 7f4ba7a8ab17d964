/** The stream of an attempt: what its handler gets of it, and how an ending waits for it. */
import type { Backend } from '../../backend.js';
import type { Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { failureTextOf } from '../../util/failure-text.js';
import type { Attempt } from '../attempt.js';
import type { Ending } from '../handler.js';
import { FrameWriter } from './frame-writer.js';
import { StreamOfTask, type TaskStream } from './task-stream.js';

/** The stream of an attempt, made when its handler asks for it. */
export function streamOf(attempt: Attempt, backend: Backend, clock: Clock): TaskStream {
  attempt.frames ??= new FrameWriter(attempt, backend, clock);
  return new StreamOfTask(attempt.claimed.executionKind, attempt.frames);
}

/**
 * The ending of an attempt that wrote frames, once these are stored. What cannot be stored makes a failure of it: a result
 * must not hide that what its readers were to see is not there.
 */
export async function endingBehind(frames: FrameWriter, ending: Ending, attempt: Attempt): Promise<Ending> {
  try {
    await frames.close();
    return ending;
  } catch (error) {
    const isLost = attempt.abortCode !== undefined && attempt.abortCode !== 'shutdown';
    if (isLost || ending.kind === 'fail' || ending.kind === 'lost') return ending;
    const permanent = !isRetryable(error);
    return { kind: 'fail', reason: failureTextOf(error), category: 'stream_refused', permanent, error };
  }
}
