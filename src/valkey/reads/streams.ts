/** Converts stored streams to views for the reads of the model. */
import { FIELDS as EXECUTION_FIELDS, RECORDS } from '../../../lua/layout.js';
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { memberOf } from '../../../model/ids.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import {
  FRAME_MODES,
  type Counters,
  type Frame,
  type FrameMode,
  type StreamContents,
} from '../../../model/stream/contents.js';
import { positionOf, textOfPosition } from '../../../model/stream/cursor.js';
import { streamIdOf, type ReadonlyStream } from '../../../model/stream/facts.js';
import { firstOf } from '../../../model/stream/reads.js';
import type { Rate } from '../../../model/stream/retention.js';
import { viewOf, type Fetch } from './fetch.js';
import { decodeEntity, lifeOf } from '../records/record.js';
import { bytesOf, listOf, pairsOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';

const FIELDS = RECORDS.stream?.fields ?? {};
const NO_DETAILS: ReadonlyMap<string, string> = new Map();

const optional = (text: string | undefined): number | undefined =>
  text === undefined || text === '' ? undefined : Number(text);

/** Decodes the counters of a stream. @throws EngineError `corruption` */
export function countersOf(text: string | undefined): Counters {
  const parts = (text ?? '').split('\t');
  const [frameCount, totalBytes, lastMs, lastSeq, writerSeq, lastFrameAt] = parts;
  if (parts.length !== 6 || frameCount === '')
    throw new EngineError('corruption', 'The counters of a stream are lost.');
  return {
    frameCount: Number(frameCount),
    totalBytes: Number(totalBytes),
    lastMs: Number(lastMs),
    lastSeq: Number(lastSeq),
    writerSeq: optional(writerSeq),
    lastFrameAt: Number(lastFrameAt),
  };
}

/** Decodes the rate of best-effort frames, and when they expire. */
export function rateOf(text: string | undefined): Pick<StreamContents, 'rate' | 'bestEffortExpiresAt'> {
  if (text === undefined) return { rate: undefined, bestEffortExpiresAt: undefined };
  const [hz, lastAppendAt, maxlen, expiresAt] = text.split('\t');
  const rate: Rate = { hz: Number(hz), lastAppendAt: Number(lastAppendAt), maxlen: Number(maxlen) };
  return { rate, bestEffortExpiresAt: optional(expiresAt) };
}

/** Makes a frame from its labels and its payload. */
export function frameOf(id: string, mode: FrameMode, labels: string, payload: Uint8Array): Frame {
  const [frameType = '', ts, encoding = '', correlationId, summaryVersion, ttlMs] = labels.split('\t');
  return {
    id,
    mode,
    frameType,
    ts: Number(ts),
    encoding,
    payload,
    correlationId: correlationId === '' ? undefined : correlationId,
    summaryVersion: optional(summaryVersion),
    ttlMs: optional(ttlMs),
  };
}

const NO_BYTES = new Uint8Array(0);

function framesOf(reply: WireReply | undefined, mode: FrameMode): Frame[] {
  return listOf(reply ?? []).map((row) => {
    const [id, pairs] = repliesOf(row, 2);
    const [, labels, , payload] = repliesOf(pairs, 4);
    return frameOf(textOf(id), mode, textOf(labels), bytesOf(payload) ?? NO_BYTES);
  });
}

interface OfAttempt {
  readonly executionId: string;
  readonly attemptIndex: number;
}

/** An execution with its lifecycle facts only. */
function executionOf(executionId: string, reply: WireReply): ReadonlyExecution | undefined {
  const [life, given] = repliesOf(reply, 2);
  if (life === null) return undefined;
  const core = new Map([
    [EXECUTION_FIELDS.life, textOf(life)],
    [EXECUTION_FIELDS.given, textOf(given)],
  ]);
  return { executionId, ...lifeOf(core) } as unknown as ReadonlyExecution;
}

const streamIn = (id: string, core: ReadonlyMap<string, string>): ReadonlyStream | undefined =>
  decodeEntity('stream', id, { core, details: NO_DETAILS });

/** The fetch of `readStream`. */
export const streamFrames: Fetch<ParsedArgsOf<'readStream'>> = {
  request({ executionId, attemptIndex, from, after, to, limit, visibility }) {
    const [first, last] = [textOfPosition(firstOf({ from, after })), textOfPosition(positionOf(to, 'to'))];
    const wanted = [String(limit + 1), visibility === 'all' ? '1' : ''];
    return ['read_stream', memberOf(executionId), String(attemptIndex), first, last, ...wanted];
  },
  isPage: () => true,
  view(reply, { executionId, attemptIndex }) {
    const [execution, record, ...rest] = repliesOf(reply, 6);
    const [durable, summary, bestEffort, retained] = rest;
    const fields = pairsOf(record);
    const streamId = streamIdOf(executionId, attemptIndex);
    const stream = streamIn(streamId, fields);
    const answers = [durable, summary, bestEffort];
    const frames = Object.fromEntries(FRAME_MODES.map((mode, index) => [mode, framesOf(answers[index], mode)]));
    const contents =
      stream === undefined
        ? undefined
        : ({
            counters: countersOf(fields.get(present(FIELDS['counters']))),
            // The server has left out expired frames by its own clock.
            rate: undefined,
            bestEffortExpiresAt: undefined,
            frames,
            document: '',
          } as unknown as StreamContents);
    return viewOf({
      executions: { get: () => executionOf(executionId, execution) },
      streams: { get: () => stream, contents: () => contents, retained: () => Number(retained) },
    });
  },
};

/** The fetch of `readSummary`. */
export const streamSummary: Fetch<OfAttempt> = {
  request: ({ executionId, attemptIndex }) => ['read_summary', memberOf(executionId), String(attemptIndex)],
  view(reply, { executionId, attemptIndex }) {
    const [record, document] = repliesOf(reply, 2);
    const streamId = streamIdOf(executionId, attemptIndex);
    const stream = streamIn(streamId, pairsOf(record));
    if (stream !== undefined && stream.summaryVersion > 0 && document === null) {
      throw new EngineError('corruption', `${streamId}: the summary is missing.`);
    }
    const text = document === null ? '' : textOf(document);
    return viewOf({ streams: { get: () => stream, contents: () => ({ document: text }) as StreamContents } });
  },
};
