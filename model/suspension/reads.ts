/** Reads of what an execution waits for, and of what came. No token is ever among it. Spec 06 sections 11 and 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import { compareBytes, partitionOfExecution } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import type { SignalEffect, SuspendReason, TimeoutBehavior } from './facts.js';

const byId = z.object({ executionId: field.executionId });
const partition = (args: { executionId: string }): string => partitionOfExecution(args.executionId);

/** A signal as handlers see it. */
export interface ResumeSignal {
  readonly signalId: string;
  readonly signalName: string;
  readonly signalCategory: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  readonly acceptedAt: number;
}

/** One waitpoint. Times are ms since the epoch. */
export interface WaitpointSummary {
  readonly waitpointId: string;
  readonly waitpointKey: string;
  readonly state: 'active' | 'closed';
  readonly createdAt: number;
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
  readonly suspendedAt: number;
  readonly timeoutAt: number | undefined;
  readonly timeoutBehavior: TimeoutBehavior;
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

function summaryOf(execution: ReadonlyExecution | undefined): SuspensionSummary | undefined {
  const waiting = execution?.waiting;
  const suspension = waiting?.suspension;
  if (waiting === undefined || suspension === undefined) return undefined;
  const { closing } = suspension;
  return {
    suspensionId: suspension.suspensionId,
    attemptIndex: suspension.attemptIndex,
    reasonCode: suspension.reasonCode,
    suspendedAt: suspension.suspendedAt,
    timeoutAt: suspension.timeoutAt,
    timeoutBehavior: suspension.timeoutBehavior,
    closedAt: closing?.closedAt,
    closeReason: closing?.closeReason,
    resumeTrigger: closing?.resumeTrigger || undefined,
    closerSignalId: closing?.closerSignalId || undefined,
    satisfierSignalIds: suspension.satisfierSignalIds,
    waitpoints: suspension.waitpointIds.flatMap((waitpointId) => {
      const waitpoint = waiting.waitpoints[waitpointId];
      if (waitpoint === undefined) return [];
      const { waitpointState: state, waitpointKey, createdAt, closedAt, closeReason } = waitpoint;
      const { signalCount, matchedSignalCount, lastSignalAt } = waitpoint;
      const counts = { signalCount, matchedSignalCount, lastSignalAt };
      return [{ waitpointId, waitpointKey, state, createdAt, closedAt, closeReason, ...counts }];
    }),
  };
}

export const observeSignals = query({
  name: 'observeSignals',
  args: z.object({
    executionId: field.executionId,
    /** Of the attempt that goes on: signals of an earlier one are not its own. */
    attemptIndex: field.attemptIndex,
  }),
  rejects: [],
  partition,
  /** Signals that satisfied the last suspension of the attempt, in the order of their acceptance; none before it went on. */
  read(view, { executionId, attemptIndex }) {
    const waiting = view.executions.get(executionId)?.waiting;
    const suspension = waiting?.suspension;
    const isOver = (suspension?.closing?.resumeTrigger ?? '') !== '';
    if (waiting === undefined || suspension?.attemptIndex !== attemptIndex || !isOver)
      return accept<readonly ResumeSignal[]>([]);
    return accept<readonly ResumeSignal[]>(
      suspension.satisfierSignalIds.flatMap((signalId): ResumeSignal[] => {
        const signal = waiting.signals[signalId];
        if (signal === undefined) return [];
        const { signalName, signalCategory, sourceType, sourceIdentity, acceptedAt } = signal;
        return [{ signalId, signalName, signalCategory, sourceType, sourceIdentity, acceptedAt }];
      }),
    );
  },
});

/** A signal as operators see it. */
export interface SignalSummary extends ResumeSignal {
  readonly waitpointId: string;
  readonly effect: SignalEffect;
}

export const listSignals = query({
  name: 'listSignals',
  args: byId,
  rejects: [],
  partition,
  /** Every signal of the execution, by acceptance and id. */
  read(view, { executionId }) {
    const signals = Object.entries(view.executions.get(executionId)?.waiting?.signals ?? {});
    return accept<readonly SignalSummary[]>(
      signals
        .map(([signalId, { signalKey, signalKeyExpiresAt, ...facts }]) => ({ signalId, ...facts }))
        .sort((a, b) => a.acceptedAt - b.acceptedAt || compareBytes(a.signalId, b.signalId)),
    );
  },
});
