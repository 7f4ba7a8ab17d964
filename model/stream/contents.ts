/** What a stream holds: frames, counters, the summary. It stands beside the state, like payloads; no event carries it. */
import type { Rate } from './retention.js';

/** How long a frame is kept: with the newest of its mode, as a patch of the summary, or for moments. */
export const FRAME_MODES = ['durable', 'summary', 'best_effort'] as const;
export type FrameMode = (typeof FRAME_MODES)[number];

export interface Frame {
  /** `<ms>-<seq>`: ascending in a stream. */
  readonly id: string;
  readonly mode: FrameMode;
  readonly frameType: string;
  /** When its writer says that it was made, ms since the epoch. */
  readonly ts: number;
  readonly encoding: string;
  /** Of a summary frame: the patch in its canonical form. */
  readonly payload: Uint8Array;
  readonly correlationId?: string | undefined;
  /** Of a summary frame: the version that it made. */
  readonly summaryVersion?: number | undefined;
  /** Of a best-effort frame. */
  readonly ttlMs?: number | undefined;
}

export interface Counters {
  /** Frames that were ever appended. */
  readonly frameCount: number;
  /** Bytes of their payloads. */
  readonly totalBytes: number;
  /** The id of the newest frame. */
  readonly lastMs: number;
  readonly lastSeq: number;
  /** The newest number that its writer gave a frame. */
  readonly writerSeq: number | undefined;
  readonly lastFrameAt: number;
}

export interface StreamContents {
  counters: Counters;
  rate: Rate | undefined;
  /** From when on best-effort frames are not shown any more. */
  bestEffortExpiresAt: number | undefined;
  /** Frames of each mode, oldest first. */
  readonly frames: Record<FrameMode, Frame[]>;
  /** The summary in its canonical form; empty before the first patch. */
  document: string;
}

/** What an append does beside the state. */
export interface Append {
  readonly streamId: string;
  readonly frame: Frame;
  readonly counters: Counters;
  readonly rate: Rate | undefined;
  readonly bestEffortExpiresAt: number | undefined;
  /** Frames of its mode that are kept. */
  readonly keep: number;
  /** The summary, when it changed. */
  readonly document: string | undefined;
}

export type StreamTable = Map<string, StreamContents>;

/** Appends a frame, and drops the oldest of its mode beyond what is kept, or all of them once their time is over. */
export function append(table: StreamTable, { streamId, frame, keep, document, ...rest }: Append): void {
  const known = table.get(streamId);
  const frames = known?.frames ?? { durable: [], summary: [], best_effort: [] };
  const ofMode = frames[frame.mode];
  if (frame.mode === 'best_effort' && areOver(known, rest.counters.lastFrameAt)) ofMode.length = 0;
  ofMode.push(frame);
  if (ofMode.length > keep) ofMode.splice(0, ofMode.length - keep);
  table.set(streamId, { ...rest, frames, document: document ?? known?.document ?? '' });
}

/** How many frames can be seen. */
export function retainedOf(
  contents: Pick<StreamContents, 'frames' | 'bestEffortExpiresAt'> | undefined,
  now: number,
): number {
  if (contents === undefined) return 0;
  const { durable, summary, best_effort } = contents.frames;
  return durable.length + summary.length + (areOver(contents, now) ? 0 : best_effort.length);
}

/** Whether best-effort frames are not shown any more. */
export function areOver(contents: Pick<StreamContents, 'bestEffortExpiresAt'> | undefined, now: number): boolean {
  return contents?.bestEffortExpiresAt !== undefined && contents.bestEffortExpiresAt <= now;
}

export const frameIdOf = ({ lastMs, lastSeq }: Pick<Counters, 'lastMs' | 'lastSeq'>): string => `${lastMs}-${lastSeq}`;
