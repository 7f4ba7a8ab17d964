/** What decisions and reads see of streams, and its definition. */
import type { Partition } from '../state.js';
import { retainedOf, type StreamContents } from './contents.js';
import type { ReadonlyStream } from './facts.js';

export interface StreamView {
  get(streamId: string): ReadonlyStream | undefined;
  /** The contents; all stored frames, even hidden ones. */
  contents(streamId: string): Readonly<StreamContents> | undefined;
  /** Number of visible frames. */
  retained(streamId: string, now: number): number;
  /** Until when the streams of an execution are watched. */
  watchedUntil(executionId: string): number | undefined;
}

/** The view by definition. */
export function streamsByDefinition({ state: { tables }, streams, watches }: Partition): StreamView {
  return {
    get: (streamId) => tables.stream.get(streamId),
    contents: (streamId) => streams.get(streamId),
    retained: (streamId, now) => retainedOf(streams.get(streamId), now),
    watchedUntil: (executionId) => watches.get(executionId),
  };
}
