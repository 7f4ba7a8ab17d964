/** Reads of what an execution waits for, and of what came. No token is ever among it. Spec 06 sections 11 and 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import type { View } from '../view.js';
import {
  consumedAt,
  type Signal,
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

const byId = z.object({ executionId: field.executionId });
const partition = (args: { executionId: string }): string => partitionOfExecution(args.executionId);

/** A signal as handlers see it. */
export interface ResumeSignal {
  readonly signalId: string;
  readonly signalName: string;
  readonly signalCategory: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  /** The waitpoint that it came to. */
  readonly waitpointId: string;
  readonly waitpointKey: string;
  /** The sender's word for what it belongs to. */
  readonly correlationId: string | undefined;
  readonly targetScope: keyof typeof SIGNAL_SCOPES;
  /** When its sender says that it was made. Times are ms since the epoch. */
  readonly createdAt: number;
  readonly acceptedAt: number;
  readonly payload: Uint8Array | undefined;
  readonly payloadEncoding: string | undefined;
  /** When the suspension that it satisfied went on, if that consumes signals. */
  readonly consumedAt: number | undefined;
}

/** Signals in the order of their acceptance. */
export interface SignalPage<Each> {
  readonly signals: readonly Each[];
  /** What the next page begins behind; absent on the last one. */
  readonly nextCursor: string | undefined;
}

const pageArgs = {
  /** The `nextCursor` of the page before. */
  cursor: field.plainUuid.optional(),
  /** Signals of a page. A page ends earlier when their payloads come to 4 MiB. */
  limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
};

/** The ids of a page, of all in their order; a cursor that is none of them has nothing behind it. */
function pageOf(
  ids: readonly string[],
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  bytesOf: (id: string) => number,
): { readonly page: readonly string[]; readonly nextCursor: string | undefined } {
  const start = cursor === undefined ? 0 : ids.indexOf(cursor) + 1 || ids.length;
  let [end, bytes] = [start, 0];
  while (end < ids.length && end - start < limit) {
    bytes += bytesOf(ids[end] as string);
    if (end > start && bytes > LIMITS.maxSignalPageBytes) break;
    end += 1;
  }
  return { page: ids.slice(start, end), nextCursor: end < ids.length ? ids[end - 1] : undefined };
}

/** A signal with what it brought. */
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
  /** When a suspension came to use it; absent while none has. */
  readonly activatedAt: number | undefined;
  /** Until when a suspension can use it; only of one that was made before its suspension. */
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
  /** Of the attempt that waited. */
  readonly attemptIndex: number;
  readonly reasonCode: SuspendReason;
  readonly requestedBy: keyof typeof SUSPEND_REQUESTERS;
  readonly suspendedAt: number;
  readonly timeoutAt: number | undefined;
  readonly timeoutBehavior: TimeoutBehavior;
  readonly resumePolicy: ResumePolicy;
  /** The caller's word for where it goes on. */
  readonly continuationMetadataPointer: string | undefined;
  readonly lastSignalAt: number | undefined;
  /** Absent while it is open. */
  readonly closedAt: number | undefined;
  readonly closeReason: string | undefined;
  /** `signal`, `operator` or `timeout`; absent when the execution did not go on. */
  readonly resumeTrigger: string | undefined;
  readonly closerSignalId: string | undefined;
  readonly satisfierSignalIds: readonly string[];
  /** In the order in which they were given. */
  readonly waitpoints: readonly WaitpointSummary[];
}

export const describeSuspension = query({
  name: 'describeSuspension',
  args: byId,
  rejects: [],
  partition,
  /** The last one; nothing when there was none. */
  read(view, { executionId }) {
    return accept<SuspensionSummary | undefined>(summaryOf(view.executions.get(executionId)));
  },
});

/** What is told of the last suspension of an execution. */
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

function waitpointSummary(waitpointId: string, waitpoint: Waitpoint): WaitpointSummary {
  const { waitpointState: state, activatedAt, expiresAt, createdAt, ...facts } = waitpoint;
  return {
    ...{ waitpointId, waitpointKey: facts.waitpointKey, state, createdAt },
    // What was made with its suspension has no time of its own.
    activatedAt: expiresAt === undefined ? createdAt : activatedAt,
    expiresAt,
    closedAt: facts.closedAt,
    closeReason: facts.closeReason,
    signalCount: facts.signalCount,
    matchedSignalCount: facts.matchedSignalCount,
    lastSignalAt: facts.lastSignalAt,
  };
}

/** What a worker that was resumed goes on with. */
export interface ObservedSignals extends SignalPage<ResumeSignal> {
  /** What made it go on: `signal`, `operator` or `timeout`; absent while it has not. */
  readonly resumeTrigger: string | undefined;
}

export const observeSignals = query({
  name: 'observeSignals',
  args: z.object({
    executionId: field.executionId,
    /** Of the attempt that goes on: signals of an earlier one are not its own. */
    attemptIndex: field.attemptIndex,
    ...pageArgs,
  }),
  rejects: [],
  partition,
  /** Signals that satisfied the last suspension of the attempt, with what they brought; none before it went on. */
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
}

/** A page of the signals of an execution, in the order of their acceptance; none of one that never waited. */
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
    signalOf(view, executionId, waiting, id).map((signal) => ({
      ...signal,
      effect: (waiting.signals[id] as Signal).effect,
    })),
  );
  return { signals, nextCursor };
}

export const listSignals = query({
  name: 'listSignals',
  args: byId.extend(pageArgs),
  rejects: [],
  partition,
  /** Every signal of the execution with what it brought. */
  read: (view, { executionId, ...page }) =>
    accept<SignalPage<SignalSummary>>(signalsOf(view, view.executions.get(executionId), executionId, page)),
});
