/** The contents of a stream: frames, counters, the summary. Beside the state, like payloads; no event carries them. */
import type { Rate } from './retention.js';

/** How long a frame is kept: with the newest of its mode, as a patch of the summary, or for a limited time. */
export const FRAME_MODES = ['durable', 'summary', 'best_effort'] as const;
export type FrameMode = (typeof FRAME_MODES)[number];

export interface Frame {
  /** `<ms>-<seq>`; ascending in a stream. */
  readonly id: string;
  readonly mode: FrameMode;
  readonly frameType: string;
  /** When its writer made it, ms since the epoch. */
  readonly ts: number;
  readonly encoding: string;
  /** Summary frames: the patch in its canonical form. */
  readonly payload: Uint8Array;
  readonly correlationId?: string | undefined;
  /** Summary frames: the version of the summary after the patch. */
  readonly summaryVersion?: number | undefined;
  /** Best-effort frames only. */
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
  /** The highest number that the writer gave a frame. */
  readonly writerSeq: number | undefined;
  readonly lastFrameAt: number;
}

export interface StreamContents {
  counters: Counters;
  rate: Rate | undefined;
  /** From when on best-effort frames are hidden. */
  bestEffortExpiresAt: number | undefined;
  /** Frames of each mode, oldest first. */
  readonly frames: Record<FrameMode, Frame[]>;
  /** The summary in its canonical form; empty before the first patch. */
  document: string;
}

/** What an append changes. */
export interface Append {
  readonly streamId: string;
  readonly frame: Frame;
  readonly counters: Counters;
  readonly rate: Rate | undefined;
  readonly bestEffortExpiresAt: number | undefined;
  /** Frames kept of its mode. */
  readonly keep: number;
  /** The new summary, if it changed. */
  readonly document: string | undefined;
}

export type StreamTable = Map<string, StreamContents>;

/** Appends a frame and drops those beyond the window of its mode, or all best-effort frames once their time is over. */
export function append(table: StreamTable, { streamId, frame, keep, document, ...rest }: Append): void {
  const known = table.get(streamId);
  const frames = known?.frames ?? { durable: [], summary: [], best_effort: [] };
  const ofMode = frames[frame.mode];
  if (frame.mode === 'best_effort' && areOver(known, rest.counters.lastFrameAt)) ofMode.length = 0;
  ofMode.push(frame);
  if (ofMode.length > keep) ofMode.splice(0, ofMode.length - keep);
  table.set(streamId, { ...rest, frames, document: document ?? known?.document ?? '' });
}

/** Number of visible frames. */
export function retainedOf(
  contents: Pick<StreamContents, 'frames' | 'bestEffortExpiresAt'> | undefined,
  now: number,
): number {
  if (contents === undefined) return 0;
  const { durable, summary, best_effort } = contents.frames;
  return durable.length + summary.length + (areOver(contents, now) ? 0 : best_effort.length);
}

/** Whether best-effort frames are hidden. */
export function areOver(contents: Pick<StreamContents, 'bestEffortExpiresAt'> | undefined, now: number): boolean {
  return contents?.bestEffortExpiresAt !== undefined && contents.bestEffortExpiresAt <= now;
}

export const frameIdOf = ({ lastMs, lastSeq }: Pick<Counters, 'lastMs' | 'lastSeq'>): string => `${lastMs}-${lastSeq}`;
