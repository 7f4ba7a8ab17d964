/** Reads of suspensions and signals. They never return tokens. Spec 06 sections 11 and 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { present } from '../core/present.js';
import { partitionOfExecution } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import type { View } from '../view.js';
import { awaitedSignalsOf, type AwaitedSignals } from './condition.js';
import {
  consumedAt,
  type SIGNAL_SCOPES,
  type SignalEffect,
  type SUSPEND_REQUESTERS,
  type SuspendReason,
  type TimeoutBehavior,
  type Waiting,
  type Waitpoint,
  type WAITPOINT_STATES,
} from './facts.js';
import { resumePolicyOf, type ResumePolicy } from './policy.js';

const byId = z.strictObject({ executionId: field.executionId });
const partition = (args: { executionId: string }): string => partitionOfExecution(args.executionId);

/** A signal as handlers see it. */
export interface ResumeSignal {
  readonly signalId: string;
  readonly signalName: string;
  readonly signalCategory: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  /** The waitpoint that received it. */
  readonly waitpointId: string;
  readonly waitpointKey: string;
  /** The sender's label of the subject. */
  readonly correlationId: string | undefined;
  readonly targetScope: keyof typeof SIGNAL_SCOPES;
  /** Time of creation according to the sender. Times are ms since the epoch. */
  readonly createdAt: number;
  readonly acceptedAt: number;
  readonly payload: Uint8Array | undefined;
  readonly payloadEncoding: string | undefined;
  /** When the suspension that it satisfied resumed, if that consumes signals. */
  readonly consumedAt: number | undefined;
}

/** Signals in the order of their acceptance. */
export interface SignalPage<Each> {
  readonly signals: readonly Each[];
  /** The `cursor` of the next page; absent on the last page. */
  readonly nextCursor: string | undefined;
}

const pageArgs = {
  /** The `nextCursor` of the previous page. */
  cursor: field.plainUuid.optional(),
  /** Most signals per page. A page ends earlier when their payloads reach 256 KiB. */
  limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
};

/** The ids of a page; empty if the cursor is not among the ids. */
function pageOf(
  ids: readonly string[],
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  bytesOf: (id: string) => number,
): { readonly page: readonly string[]; readonly nextCursor: string | undefined } {
  const start = cursor === undefined ? 0 : ids.indexOf(cursor) + 1 || ids.length;
  let [end, bytes] = [start, 0];
  while (end < ids.length && end - start < limit) {
    bytes += bytesOf(present(ids[end]));
    if (end > start && bytes > LIMITS.maxSignalPageBytes) break;
    end += 1;
  }
  return { page: ids.slice(start, end), nextCursor: end < ids.length ? ids[end - 1] : undefined };
}

/** A signal with its payload. */
function signalOf(view: View, executionId: string, waiting: Waiting, signalId: string): ResumeSignal[] {
  const signal = waiting.signals[signalId];
  if (signal === undefined) return [];
  const { signalName, signalCategory, sourceType, sourceIdentity, waitpointId, acceptedAt, payloadBytes } = signal;
  return [
    {
      ...{ signalId, signalName, signalCategory, sourceType, sourceIdentity, waitpointId },
      waitpointKey: waiting.waitpoints[waitpointId]?.waitpointKey ?? '',
      correlationId: signal.correlationId || undefined,
      targetScope: signal.targetScope,
      createdAt: signal.createdAt ?? acceptedAt,
      acceptedAt,
      payload: payloadBytes === 0 ? undefined : view.executions.payload(executionId, signalId),
      payloadEncoding: signal.payloadEncoding,
      consumedAt: consumedAt(signal, waiting.waitpoints[waitpointId]),
    },
  ];
}

/** One waitpoint. Times are ms since the epoch. */
export interface WaitpointSummary {
  readonly waitpointId: string;
  readonly waitpointKey: string;
  readonly state: keyof typeof WAITPOINT_STATES;
  readonly createdAt: number;
  /** When a suspension used it; absent before that. */
  readonly activatedAt: number | undefined;
  /** A suspension can use it until then; only for waitpoints that were created before their suspension. */
  readonly expiresAt: number | undefined;
  readonly closedAt: number | undefined;
  readonly closeReason: string | undefined;
  readonly signalCount: number;
  readonly matchedSignalCount: number;
  readonly lastSignalAt: number | undefined;
}

/** The last suspension of an execution. Times are ms since the epoch. */
export interface SuspensionSummary {
  readonly suspensionId: string;
  /** The suspended attempt. */
  readonly attemptIndex: number;
  readonly reasonCode: SuspendReason;
  readonly requestedBy: keyof typeof SUSPEND_REQUESTERS;
  readonly suspendedAt: number;
  readonly timeoutAt: number | undefined;
  readonly timeoutBehavior: TimeoutBehavior;
  readonly resumePolicy: ResumePolicy;
  /** The caller's label of the continuation. */
  readonly continuationMetadataPointer: string | undefined;
  /** It also resumes once so many children of the execution have ended, or one ends without completing. */
  readonly awaitedChildren: number | undefined;
  readonly lastSignalAt: number | undefined;
  /** Absent while it is open. */
  readonly closedAt: number | undefined;
  readonly closeReason: string | undefined;
  /** `signal`, `operator`, `timeout` or `children`; absent when the execution did not resume. */
  readonly resumeTrigger: string | undefined;
  readonly closerSignalId: string | undefined;
  readonly satisfierSignalIds: readonly string[];
  /** In the order of the request. */
  readonly waitpoints: readonly WaitpointSummary[];
}

export interface SuspensionDescription extends SuspensionSummary {
  /** How many signals of each part of its condition have come; empty once it is closed. */
  readonly awaitedSignals: readonly AwaitedSignals[];
}

export const describeSuspension = query({
  name: 'describeSuspension',
  args: byId,
  rejects: [],
  partition,
  /** The last suspension; undefined when there was none. */
  read(view, { executionId }) {
    const execution = view.executions.get(executionId);
    const summary = summaryOf(execution);
    const suspension = execution?.waiting?.suspension;
    if (summary === undefined || suspension === undefined) return accept<SuspensionDescription | undefined>(undefined);
    const { condition, progress, closing } = suspension;
    const awaitedSignals = closing === undefined ? awaitedSignalsOf(condition, progress) : [];
    return accept<SuspensionDescription | undefined>({ ...summary, awaitedSignals });
  },
});

/** The summary of the last suspension of an execution. */
export function summaryOf(execution: ReadonlyExecution | undefined): SuspensionSummary | undefined {
  const waiting = execution?.waiting;
  const suspension = waiting?.suspension;
  if (waiting === undefined || suspension === undefined) return undefined;
  const { closing } = suspension;
  return {
    suspensionId: suspension.suspensionId,
    attemptIndex: suspension.attemptIndex,
    reasonCode: suspension.reasonCode,
    requestedBy: suspension.suspendedBy,
    suspendedAt: suspension.suspendedAt,
    timeoutAt: suspension.timeoutAt,
    timeoutBehavior: suspension.timeoutBehavior,
    resumePolicy: resumePolicyOf(suspension),
    continuationMetadataPointer: suspension.continuationPointer || undefined,
    awaitedChildren: suspension.awaitedChildren || undefined,
    lastSignalAt: lastSignalAt(waiting, suspension.waitpointIds),
    closedAt: closing?.closedAt,
    closeReason: closing?.closeReason,
    resumeTrigger: closing?.resumeTrigger || undefined,
    closerSignalId: closing?.closerSignalId || undefined,
    satisfierSignalIds: suspension.satisfierSignalIds,
    waitpoints: suspension.waitpointIds.flatMap((waitpointId) => {
      const waitpoint = waiting.waitpoints[waitpointId];
      return waitpoint === undefined ? [] : [waitpointSummary(waitpointId, waitpoint)];
    }),
  };
}

function lastSignalAt({ waitpoints }: Waiting, ids: readonly string[]): number | undefined {
  const times = ids.flatMap((id) => waitpoints[id]?.lastSignalAt ?? []);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** A waitpoint as its readers see it. */
export function waitpointSummary(waitpointId: string, waitpoint: Waitpoint): WaitpointSummary {
  const { waitpointState: state, activatedAt, expiresAt, createdAt, ...facts } = waitpoint;
  return {
    ...{ waitpointId, waitpointKey: facts.waitpointKey, state, createdAt },
    // A waitpoint that was created with its suspension has no expiry and was active from the start.
    activatedAt: expiresAt === undefined ? createdAt : activatedAt,
    expiresAt,
    closedAt: facts.closedAt,
    closeReason: facts.closeReason,
    signalCount: facts.signalCount,
    matchedSignalCount: facts.matchedSignalCount,
    lastSignalAt: facts.lastSignalAt,
  };
}

/** The signals with which a resumed worker continues. */
export interface ObservedSignals extends SignalPage<ResumeSignal> {
  /** What resumed it: `signal`, `operator`, `timeout` or `children`; absent before that. */
  readonly resumeTrigger: string | undefined;
}

export const observeSignals = query({
  name: 'observeSignals',
  args: z.strictObject({
    executionId: field.executionId,
    /** The resumed attempt: signals of earlier attempts are not returned. */
    attemptIndex: field.attemptIndex,
    ...pageArgs,
  }),
  rejects: [],
  partition,
  /** Signals that satisfied the last suspension of the attempt, with payloads; none before it resumed. */
  read(view, { executionId, attemptIndex, ...page }) {
    const waiting = view.executions.get(executionId)?.waiting;
    const suspension = waiting?.suspension;
    const resumeTrigger = suspension?.closing?.resumeTrigger || undefined;
    if (waiting === undefined || suspension?.attemptIndex !== attemptIndex || resumeTrigger === undefined)
      return accept<ObservedSignals>({ signals: [], nextCursor: undefined, resumeTrigger: undefined });
    const bytesOf = (id: string): number => waiting.signals[id]?.payloadBytes ?? 0;
    const { page: ids, nextCursor } = pageOf(suspension.satisfierSignalIds, page, bytesOf);
    const signals = ids.flatMap((id) => signalOf(view, executionId, waiting, id));
    return accept<ObservedSignals>({ signals, nextCursor, resumeTrigger });
  },
});

/** A signal as operators see it. */
export interface SignalSummary extends ResumeSignal {
  readonly effect: SignalEffect;
  /** How many ends of children of the execution were recorded before it. */
  readonly endedChildren: number;
}

/** A page of the signals of an execution, in the order of their acceptance; empty if it never waited. */
export function signalsOf(
  view: View,
  execution: ReadonlyExecution | undefined,
  executionId: string,
  args: { readonly cursor?: string | undefined; readonly limit: number },
): SignalPage<SignalSummary> {
  const waiting = execution?.waiting;
  if (waiting === undefined) return { signals: [], nextCursor: undefined };
  const inOrder = Object.entries(waiting.signals)
    .sort(([, { place: a }], [, { place: b }]) => a - b)
    .map(([id]) => id);
  const { page: ids, nextCursor } = pageOf(inOrder, args, (id) => waiting.signals[id]?.payloadBytes ?? 0);
  const signals = ids.flatMap((id) =>
    signalOf(view, executionId, waiting, id).map((signal) => {
      const { effect, endedChildren } = present(waiting.signals[id]);
      return { ...signal, effect, endedChildren };
    }),
  );
  return { signals, nextCursor };
}

export const listSignals = query({
  name: 'listSignals',
  args: byId.extend(pageArgs),
  rejects: [],
  partition,
  /** Every signal of the execution with its payload. */
  read: (view, { executionId, ...page }) =>
    accept<SignalPage<SignalSummary>>(signalsOf(view, view.executions.get(executionId), executionId, page)),
});
