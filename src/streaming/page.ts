/** What a tail answers, and whether that is worth an answer. */
import type { StreamFrames } from '../../model/stream/reads.js';

export interface TailPage extends StreamFrames {
  /** Where to go on: the id of the last frame of the page, or where the tail began. */
  readonly nextCursor: string;
  /** Whether frames that are there already follow. */
  readonly hasMore: boolean;
}

/** Where a tail is, and what it wants to see. */
export interface TailPlace {
  readonly attemptIndex: number;
  /** The id of a frame; `0-0` stands before all of them. */
  readonly after: string;
  /** Frames of a page. */
  readonly limit: number;
  readonly visibility: 'all' | 'exclude_best_effort';
}

export const placeKey = ({ attemptIndex, after, limit, visibility }: TailPlace): string =>
  `${attemptIndex} ${after} ${limit} ${visibility}`;

export const pageOf = (frames: StreamFrames, { after }: TailPlace): TailPage => ({
  ...frames,
  nextCursor: frames.frames.at(-1)?.id ?? after,
  hasMore: frames.nextCursor !== undefined,
});

/** Whether a reader that waits at a place is told of this: there is a frame, or none will come. */
export const isNews = ({ frames, isClosed }: StreamFrames): boolean => frames.length > 0 || isClosed;

/** The same for one that goes on with later attempts: of an execution that has ended, none follows. */
export const isNewsOfRun = (page: StreamFrames): boolean => isNews(page) || page.isEnded;
