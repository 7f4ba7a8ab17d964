/** The frames of a run, as readers see them. */
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import type { Frame } from '../../../model/stream/contents.js';
import { cursorFault } from '../../../model/stream/cursor.js';
import { refuse } from '../../shared/checks.js';
import { plainBytes } from '../../shared/codec.js';
import type { SummaryPatch } from '../../worker/streaming/task-stream.js';

interface FrameFacts {
  /** The attempt that wrote it, from 1. */
  readonly attempt: number;
  /** Its position: `run.stream({ from: cursor })` continues after it. */
  readonly cursor: string;
  /** When it was written, ms since the epoch. */
  readonly at: number;
  /** The label that its writer gave it. */
  readonly type: string;
  /** Whether it was written as best effort. */
  readonly bestEffort: boolean;
  readonly correlationId: string | undefined;
}

export interface TextFrame extends FrameFacts {
  readonly kind: 'text';
  readonly text: string;
}
export interface JsonFrame extends FrameFacts {
  readonly kind: 'json';
  readonly value: unknown;
}
export interface BytesFrame extends FrameFacts {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}
/** A change of the summary: `run.summary()` gives the whole document. */
export interface SummaryFrame extends FrameFacts {
  readonly kind: 'summary';
  readonly patch: SummaryPatch;
  readonly version: number;
}
/** The next attempt began: what follows is its stream, from the start. */
export interface AttemptFrame {
  readonly kind: 'attempt';
  readonly attempt: number;
  readonly cursor: string;
  /** How the previous attempt ended, if it had a stream: `attempt_failure`, `lease_expired`, ... */
  readonly previousEnded: string | undefined;
}

export type RunFrame = TextFrame | JsonFrame | BytesFrame | SummaryFrame | AttemptFrame;

const UTF8 = new TextDecoder();
/** Of texts, whose first character can be a byte order mark: it belongs to them. */
const TEXT = new TextDecoder('utf-8', { ignoreBOM: true });
const CURSOR = /^(0|[1-9]\d{0,8})\/(\d{1,20}-\d{1,20})$/;

/** The values of `from` of a stream. */
export const FROM_RULE = '"start", "now", or the cursor of a frame';

/** Before every frame of an attempt. */
export const BEGINNING = '0-0';

export interface Place {
  readonly attemptIndex: number;
  /** The id of a frame. */
  readonly after: string;
}

export const cursorOf = ({ attemptIndex, after }: Place): string => `${attemptIndex}/${after}`;

/** @throws InvalidDefinitionError */
export function placeOf(cursor: string): Place {
  const [, attemptIndex, after] = CURSOR.exec(cursor) ?? [];
  if (after !== undefined && cursorFault(after) === undefined) return { attemptIndex: Number(attemptIndex), after };
  throw refuse('stream', 'from', FROM_RULE, cursor);
}

/** A frame of an attempt, with the value that its writer gave. */
export function frameOfRun(frame: Frame, attemptIndex: number): RunFrame {
  const { id, mode, payload, encoding, ts, frameType, correlationId, summaryVersion } = frame;
  const facts = {
    attempt: attemptIndex + 1,
    cursor: cursorOf({ attemptIndex, after: id }),
    at: ts,
    type: frameType,
    bestEffort: mode === 'best_effort',
    correlationId,
  };
  if (encoding === 'utf8' && mode !== 'summary') return { kind: 'text', ...facts, text: TEXT.decode(payload) };
  if (mode !== 'summary' && encoding !== 'json') return { kind: 'bytes', ...facts, bytes: plainBytes(payload) };
  const value: unknown = parsed(payload);
  if (mode !== 'summary') return { kind: 'json', ...facts, value };
  return { kind: 'summary', ...facts, patch: value as SummaryPatch, version: present(summaryVersion) };
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(payload));
  } catch {
    // Not the fault itself, as the cause: it can quote the value.
    throw new EngineError('corruption', `A frame is called JSON, and its ${payload.byteLength} bytes are none.`);
  }
}
