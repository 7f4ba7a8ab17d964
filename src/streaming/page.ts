/** The answer to a tail, and whether it is worth returning. */
import type { StreamFrames } from '../../model/stream/reads.js';

export interface TailPage extends StreamFrames {
  /** Where to continue: the id of the last frame of the page, or where the tail began. */
  readonly nextCursor: string;
  /** Whether more frames follow already. */
  readonly hasMore: boolean;
}

/** The place of a tail, and its filter. */
export interface TailPlace {
  readonly attemptIndex: number;
  /** The id of a frame; `0-0` is before all frames. */
  readonly after: string;
  /** Maximum number of frames in a page. */
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

/** Whether the page ends a wait: it has a frame, or none will come. */
export const isNews = ({ frames, isClosed }: StreamFrames): boolean => frames.length > 0 || isClosed;

/** The same for a reader that continues with later attempts: an ended execution has none. */
export const isNewsOfRun = (page: StreamFrames): boolean => isNews(page) || page.isEnded;
