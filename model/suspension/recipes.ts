/** The effects of events on executions and their suspensions. The Lua twins are in `lua/suspension/events.lua`. */
import { changes } from '../core/entity.js';
import { present } from '../core/present.js';
import type { EventNamed } from '../events.js';
import type { Execution } from '../execution/facts.js';
import { become, endOwnership } from '../execution/lifecycle.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { suspensionEvents } from './events.js';
import {
  MATCHING,
  SATISFYING,
  SIGNAL_EFFECTS,
  signalKeyOf,
  type ClosingFacts,
  type SignalEffect,
  type Suspension,
  type Waiting,
  type Waitpoint,
} from './facts.js';
import { closePending, leavePending, noteNextExpiry } from './pending.js';

/** The text of waitpoints in events: a line for each. */
export const bindingsText = (
  waitpoints: readonly { waitpointId: string; waitpointKey?: string | undefined }[],
): string => waitpoints.map(({ waitpointId, waitpointKey = '' }) => `${waitpointId}\t${waitpointKey}`).join('\n');

function bindingsOf(text: string): { waitpointId: string; waitpointKey: string }[] {
  return text.split('\n').map((line) => {
    const [waitpointId = '', waitpointKey = ''] = line.split('\t');
    return { waitpointId, waitpointKey };
  });
}

const EFFECT_OF = new Map<string, SignalEffect>(
  Object.entries(SIGNAL_EFFECTS).map(([effect, letter]) => [letter, effect as SignalEffect]),
);

/** The text of the effects of buffered signals in events: a line for each. */
export const foldedText = (effects: readonly (readonly [string, SignalEffect])[]): string =>
  effects.map(([id, effect]) => `${id}\t${SIGNAL_EFFECTS[effect]}`).join('\n');

/** Closes the suspension and the unused waitpoints of an ended execution. */
export function closeAll(execution: Execution, at: number, closeReason: string): void {
  closeWaits(execution, at, closeReason);
  closePending(execution, at, closeReason);
}

/** Closes the open suspension of an execution, if any, and every waitpoint of it. */
function closeWaits(
  { waiting }: Execution,
  at: number,
  closeReason: string,
  {
    resumeTrigger = '',
    closerSignalId = '',
    keptEpoch,
  }: Partial<Pick<ClosingFacts, 'resumeTrigger' | 'closerSignalId' | 'keptEpoch'>> = {},
): void {
  const suspension = waiting?.suspension;
  if (waiting === undefined || suspension === undefined || suspension.closing !== undefined) return;
  suspension.closing = { closedAt: at, closeReason, resumeTrigger, closerSignalId, keptEpoch };
  // A closed suspension evaluates no further signals.
  suspension.progress = [];
  for (const id of suspension.waitpointIds) {
    end(waiting.waitpoints[id], 'closed', at, closeReason);
  }
}

const nothingYet = (): Waiting => ({
  suspension: undefined,
  waitpoints: {},
  waitpointCount: 0,
  pendingIds: [],
  signals: {},
  signalKeys: {},
  suspendKeys: {},
  signalCount: 0,
  payloadBytes: 0,
});

const made = (waitpointKey: string, at: number, keepsSignals = false): Waitpoint => ({
  waitpointKey,
  waitpointState: 'active',
  createdAt: at,
  closedAt: undefined,
  closeReason: undefined,
  signalCount: 0,
  matchedSignalCount: 0,
  lastSignalAt: undefined,
  expiresAt: undefined,
  activatedAt: undefined,
  keepsSignals,
});

type Suspending = EventNamed<'execution_suspended' | 'suspension_skipped'>;

const linesOf = (text: string): string[] => (text === '' ? [] : text.split('\n'));

/** Replaces the last suspension: sets the new one, its waitpoints, and the effects of buffered signals. */
function begin(execution: Execution, event: Suspending): void {
  execution.waiting ??= nothingYet();
  const { waiting } = execution;
  const bindings = bindingsOf(event.waitpoints);
  waiting.suspension = {
    suspensionId: event.suspensionId,
    attemptIndex: event.attemptIndex,
    reasonCode: event.reasonCode,
    suspendedBy: event.suspendedBy,
    timeoutAt: event.timeoutAt,
    timeoutBehavior: event.timeoutBehavior,
    resumeDelayMs: event.resumeDelayMs,
    keepsSignals: event.keepsSignals,
    retainsBuffer: event.retainsBuffer,
    continuationPointer: event.continuationPointer,
    awaitedChildren: event.awaitedChildren,
    suspendedAt: event.at,
    waitpointIds: bindings.map(({ waitpointId }) => waitpointId),
    condition: event.condition,
    progress: linesOf(event.progress),
    satisfierSignalIds: [],
    closing: undefined,
  };
  for (const { waitpointId, waitpointKey } of bindings) {
    const pending = leavePending(execution, waitpointId);
    if (pending === undefined) {
      waiting.waitpoints[waitpointId] = made(waitpointKey, event.at, event.keepsSignals);
      waiting.waitpointCount += 1;
    } else {
      pending.waitpointState = 'active';
      pending.activatedAt = event.at;
      pending.keepsSignals = event.keepsSignals;
    }
  }
  foldIn(waiting, waiting.suspension, event.folded);
  noteKey(waiting, event);
}

/** Sets the effects of buffered signals. */
function foldIn(waiting: Waiting, suspension: Suspension, folded: string): void {
  for (const line of linesOf(folded)) {
    const [id = '', letter = ''] = line.split('\t');
    const signal = waiting.signals[id];
    const effect = EFFECT_OF.get(letter);
    if (signal === undefined || effect === undefined) continue;
    signal.effect = effect;
    const waitpoint = waiting.waitpoints[signal.waitpointId];
    if (MATCHING.has(effect) && waitpoint !== undefined) waitpoint.matchedSignalCount += 1;
    if (SATISFYING.has(effect)) suspension.satisfierSignalIds.push(id);
  }
}

/** Stores the answer to a suspension under its idempotency key. */
function noteKey(waiting: Waiting, event: Suspending): void {
  if (event.suspendKey === '') return;
  const answer = {
    digest: event.suspendDigest,
    suspensionId: event.suspensionId,
    keyExpiresAt: present(event.suspendKeyExpiresAt),
    isSkipped: event.type === 'suspension_skipped',
    waitpointIds: bindingsOf(event.waitpoints).map(({ waitpointId }) => waitpointId),
  };
  // An assignment to the member `__proto__` would not make one.
  waiting.suspendKeys = { ...waiting.suspendKeys, [event.suspendKey]: answer };
}

function take(waiting: Waiting, event: EventNamed<'signal_accepted'>, endedChildren: number): void {
  const { signalId, waitpointId, signalKey, effect, at } = event;
  waiting.signals[signalId] = {
    waitpointId,
    signalName: event.signalName,
    signalCategory: event.signalCategory,
    sourceType: event.sourceType,
    sourceIdentity: event.sourceIdentity,
    signalKey,
    signalKeyExpiresAt: event.signalKeyExpiresAt,
    effect,
    acceptedAt: at,
    place: waiting.signalCount + 1,
    correlationId: event.correlationId,
    payloadBytes: event.payloadBytes,
    payloadEncoding: event.payloadEncoding,
    targetScope: event.targetScope,
    createdAt: event.createdAt,
    endedChildren,
  };
  waiting.payloadBytes += event.payloadBytes;
  if (signalKey !== '') waiting.signalKeys[signalKeyOf(waitpointId, signalKey)] = signalId;
  waiting.signalCount += 1;
  const waitpoint = waiting.waitpoints[waitpointId];
  if (waitpoint !== undefined) {
    waitpoint.signalCount += 1;
    if (MATCHING.has(effect)) waitpoint.matchedSignalCount += 1;
    waitpoint.lastSignalAt = at;
  }
  if (event.added === '' || waiting.suspension === undefined) return;
  waiting.suspension.progress.push(...event.added.split('\n'));
  waiting.suspension.satisfierSignalIds.push(signalId);
}

function end(
  waitpoint: Waitpoint | undefined,
  state: Waitpoint['waitpointState'],
  at: number,
  closeReason: string,
): void {
  if (waitpoint === undefined) return;
  waitpoint.waitpointState = state;
  waitpoint.closedAt = at;
  waitpoint.closeReason = closeReason;
}

type Recipes = { [Type in keyof typeof suspensionEvents]: ExecutionRecipe<Type> };

export const suspensionRecipes: Recipes = {
  execution_suspended: changes((execution, event) => {
    endOwnership(execution);
    become(execution, 'suspended', event.at, event.timeoutAt);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
    execution.suspendReason = event.reasonCode;
    begin(execution, event);
  }),
  suspension_skipped: changes((execution, event) => {
    begin(execution, event);
    const closerSignalId = execution.waiting?.suspension?.satisfierSignalIds.at(-1) ?? '';
    const keptEpoch = execution.currentLeaseEpoch;
    closeWaits(execution, event.at, 'resumed', { resumeTrigger: 'signal', closerSignalId, keptEpoch });
  }),
  pending_waitpoint_created: changes((execution, event) => {
    const { waitpointId, waitpointKey, expiresAt, at } = event;
    execution.waiting ??= nothingYet();
    const { waiting } = execution;
    waiting.waitpoints[waitpointId] = { ...made(waitpointKey, at), waitpointState: 'pending', expiresAt };
    waiting.waitpointCount += 1;
    waiting.pendingIds = [...waiting.pendingIds, waitpointId];
    noteNextExpiry(execution);
  }),
  pending_waitpoint_closed: changes((execution, event) => {
    end(leavePending(execution, event.waitpointId), 'closed', event.at, event.closeReason);
  }),
  pending_waitpoint_expired: changes((execution, event) => {
    end(leavePending(execution, event.waitpointId), 'expired', event.at, 'never_committed');
  }),
  signal_accepted: changes((execution, event) => {
    execution.waiting ??= nothingYet();
    take(execution.waiting, event, execution.endedChildren);
    if (event.effect === 'kept_for_a_wait') execution.keptSignalCount += 1;
  }),
  suspension_closed: changes((execution, event) => {
    const { closerSignalId, resumeTrigger, delayUntil } = event;
    closeWaits(execution, event.at, event.closeReason, { resumeTrigger, closerSignalId });
    const suspension = execution.waiting?.suspension;
    // A timeout signal is observed like any other signal.
    if (suspension !== undefined && resumeTrigger === 'timeout' && closerSignalId !== '')
      suspension.satisfierSignalIds.push(closerSignalId);
    if (resumeTrigger === '') return;
    become(execution, delayUntil === undefined ? 'ready' : 'resume_delay', event.at, delayUntil);
    execution.delayUntil = delayUntil;
  }),
  suspension_escalated: changes((execution, event) => {
    execution.dueAt = undefined;
    execution.editedAt = event.at;
    execution.suspendReason = 'waiting_for_operator_review';
    const suspension = execution.waiting?.suspension;
    if (suspension === undefined) return;
    suspension.reasonCode = 'waiting_for_operator_review';
    suspension.timeoutAt = undefined;
  }),
};
