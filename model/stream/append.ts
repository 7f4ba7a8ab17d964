/**
 * appendFrame: the owner of an attempt adds a frame to its stream, in one of three modes: durable, a patch of the
 * rolling summary, or best effort for a limited time. Spec 07 sections 2 to 4, ruling 32.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject, type Accepted, type Rejected } from '../operation.js';
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isActive, isTerminal, stateVector } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { holdsLease, timeVerdict, type FullFence } from '../lease/fence.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { parseCanonical, printed, MAX_MEMBERS } from './canonical-json.js';
import { frameIdOf, type Append, type Counters, type Frame, type FrameMode, type StreamContents } from './contents.js';
import { streamIdOf } from './facts.js';
import { bestEffort, mergePatch } from './fields.js';
import { merged, widest } from './merge-patch.js';
import { rateAfter, SUMMARY_FRAMES } from './retention.js';

const args = z
  .strictObject({
    executionId: field.executionId,
    fence: field.fence,
    attemptIndex: field.attemptIndex,
    /** The bytes of the frame. */
    payload: field.bytes.optional(),
    /**
     * Instead of bytes: a JSON merge patch of the attempt's rolling summary; `"__ff_null__"` stands for a null value.
     */
    patch: mergePatch.optional(),
    /** Best effort: keeps the frame for a limited time. Absent: durable. */
    bestEffort: bestEffort.optional(),
    frameType: field.frameLabel.default('event'),
    encoding: field.encoding.default('utf8'),
    /** When the writer made it, ms since the epoch. Default: the time of the append. */
    ts: field.timestampMs.optional(),
    /** The writer's own number of the frame: a repeated number is not appended again, a lower one is refused. */
    seq: field.count.optional(),
    correlationId: field.frameLabel.optional(),
  })
  .refine((it) => (it.payload === undefined) !== (it.patch === undefined), {
    error: 'give payload or patch, and not both',
    path: ['payload'],
  })
  .refine((it) => it.patch === undefined || it.bestEffort === undefined, {
    error: 'a patch of the summary is never kept for moments only',
    path: ['bestEffort'],
  });
type AppendArgs = z.output<typeof args>;

const outcome = z.object({
  kind: z.literal('appended'),
  /** `<ms>-<seq>`. */
  frameId: z.string(),
  /** Number of frames ever appended to the stream. */
  frameCount: field.count,
  /** The version of the summary after the patch. */
  summaryVersion: field.count.optional(),
});

const REJECTS = [
  'execution_not_found',
  'stream_closed',
  'stale_owner_cannot_append',
  'attempt_timed_out',
  'execution_deadline_passed',
  'retention_limit_exceeded',
  'frame_seq_out_of_order',
] as const;
type Refusal = Rejected<(typeof REJECTS)[number]>;

const UTF8 = new TextEncoder();

export const appendFrame = operation({
  name: 'appendFrame',
  args,
  outcome,
  rejects: [...REJECTS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: ['executionId', 'fence', 'attemptIndex'],
    each: ['bestEffort', 'seq', { labels: ['frameType', 'ts', 'encoding', 'correlationId'] }, 'patch', 'payload'],
  },
  memory: 'adds',
  decide(view, args, { now }) {
    const { executionId, attemptIndex } = args;
    const payload = args.patch === undefined ? present(args.payload) : UTF8.encode(args.patch);
    // The size is checked before the sender: no stream accepts a larger frame from any sender.
    if (payload.byteLength > LIMITS.maxFrameBytes) return reject('retention_limit_exceeded');
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const refusal = writerVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const streamId = streamIdOf(executionId, attemptIndex);
    const contents = view.streams.contents(streamId);
    const { summaryVersion = 0 } = view.streams.get(streamId) ?? {};
    const known = contents?.counters;
    const repeated = seqVerdict(known, args, summaryVersion);
    if (repeated !== undefined) return repeated;
    const totalBytes = (known?.totalBytes ?? 0) + payload.byteLength;
    if (totalBytes > maxBytesOf(execution)) return reject('retention_limit_exceeded');
    const summary = args.patch === undefined ? undefined : patched(contents?.document, args.patch, summaryVersion + 1);
    if (summary !== undefined && summary.document === undefined) return reject('retention_limit_exceeded');
    const append = appendOf({ streamId, contents, args, payload, now, summary, keep: keepOf(execution) });
    const events: Event[] = [];
    if (contents === undefined) {
      const attemptId = present(execution.currentAttemptId);
      events.push({ type: 'stream_opened', executionId, at: now, attemptIndex, attemptId });
    }
    if (summary?.document !== undefined) {
      const { version, bytes, digest } = summary;
      const facts = { attemptIndex, summaryVersion: version, summaryBytes: bytes, summaryDigest: digest };
      events.push({ type: 'summary_patched', executionId, at: now, ...facts });
    }
    const { frameCount } = append.counters;
    const outcome = {
      kind: 'appended' as const,
      frameId: append.frame.id,
      frameCount,
      summaryVersion: summary?.version,
    };
    return { ...accept(outcome, ...events), append };
  },
});

/** Refuses a writer that does not own the attempt now. */
function writerVerdict(
  execution: ReadonlyExecution,
  { fence, attemptIndex }: AppendArgs,
  now: number,
): Refusal | undefined {
  if (isTerminal(execution.situation)) {
    return reject('stream_closed', { terminalOutcome: stateVector(execution).terminalOutcome });
  }
  const isOwner =
    isActive(execution) &&
    execution.situation === 'running' &&
    execution.dueAt > now &&
    attemptIndex === execution.totalAttemptCount - 1 &&
    holdsLease(execution, fence as FullFence);
  return isOwner ? timeVerdict(execution, now) : reject('stale_owner_cannot_append');
}

/** Compares a writer's own number: the frame exists already, or comes too late. */
function seqVerdict(
  known: Counters | undefined,
  { seq, patch }: AppendArgs,
  summaryVersion: number,
): Refusal | Accepted<z.output<typeof outcome>> | undefined {
  if (seq === undefined || known?.writerSeq === undefined || seq > known.writerSeq) return undefined;
  if (seq < known.writerSeq) return reject('frame_seq_out_of_order', { lastSeq: String(known.writerSeq) });
  return accept({
    kind: 'appended',
    frameId: frameIdOf(known),
    frameCount: known.frameCount,
    summaryVersion: patch === undefined ? undefined : summaryVersion,
  });
}

/** Durable frames that a stream of the execution keeps. */
const keepOf = ({ policy }: ReadonlyExecution): number =>
  policy?.streamPolicy?.retentionMaxlen ?? DEFAULTS.streamMaxlen;

/** Bytes that a stream of the execution accepts. */
const maxBytesOf = ({ policy }: ReadonlyExecution): number => policy?.streamPolicy?.maxBytes ?? DEFAULTS.streamMaxBytes;

interface Summary {
  readonly version: number;
  /** Undefined when the document would be too large. */
  readonly document: string | undefined;
  readonly bytes: number;
  readonly digest: string;
}

function patched(document: string | undefined, patch: string, version: number): Summary {
  const members = merged(parseCanonical(document || '{}'), parseCanonical(patch));
  const text = printed(members);
  const bytes = UTF8.encode(text).byteLength;
  const isTooLarge = bytes > LIMITS.maxSummaryBytes || widest(members) > MAX_MEMBERS;
  const digest = createHash('sha1').update(text).digest('hex');
  return { version, document: isTooLarge ? undefined : text, bytes, digest };
}

interface Appending {
  readonly streamId: string;
  readonly contents: Readonly<StreamContents> | undefined;
  readonly args: AppendArgs;
  readonly payload: Uint8Array;
  readonly now: number;
  readonly summary: Summary | undefined;
  readonly keep: number;
}

function appendOf({ streamId, contents, args, payload, now, summary, keep }: Appending): Append {
  const known = contents?.counters;
  // Ids ascend even when the clock steps back.
  const lastMs = Math.max(now, known?.lastMs ?? 0);
  const lastSeq = known?.lastMs === lastMs ? known.lastSeq + 1 : 0;
  const { bestEffort } = args;
  const mode: FrameMode = summary !== undefined ? 'summary' : bestEffort === undefined ? 'durable' : 'best_effort';
  const rate = bestEffort === undefined ? contents?.rate : rateAfter(contents?.rate, bestEffort, now);
  const frame: Frame = {
    id: frameIdOf({ lastMs, lastSeq }),
    mode,
    frameType: args.frameType,
    ts: args.ts ?? now,
    encoding: args.encoding,
    payload,
    correlationId: args.correlationId,
    summaryVersion: summary?.version,
    ttlMs: bestEffort?.ttlMs,
  };
  return {
    streamId,
    frame,
    counters: {
      frameCount: (known?.frameCount ?? 0) + 1,
      totalBytes: (known?.totalBytes ?? 0) + payload.byteLength,
      lastMs,
      lastSeq,
      writerSeq: args.seq ?? known?.writerSeq,
      lastFrameAt: now,
    },
    rate,
    bestEffortExpiresAt: expiryOf(contents?.bestEffortExpiresAt, bestEffort?.ttlMs, now),
    keep: mode === 'durable' ? keep : mode === 'summary' ? SUMMARY_FRAMES : (rate?.maxlen ?? keep),
    document: summary?.document,
  };
}

/** Best-effort frames expire a while after the newest one; a frame without a time of its own keeps them. */
function expiryOf(known: number | undefined, ttlMs: number | undefined, now: number): number | undefined {
  if (ttlMs === undefined) return known;
  return ttlMs === 0 ? undefined : now + 2 * ttlMs;
}
