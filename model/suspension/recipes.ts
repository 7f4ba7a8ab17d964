/** What each event does to an execution and to its waiting. The Lua twins are in `lua/suspension/events.lua`. */
import { changes } from '../core/entity.js';
import type { EventNamed } from '../events.js';
import type { Execution } from '../execution/facts.js';
import { become, endOwnership } from '../execution/lifecycle.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { suspensionEvents } from './events.js';
import { signalKeyOf, type Suspension, type Waiting } from './facts.js';

/** Bindings as events carry them: a line for each. */
export const bindingsText = (waitpoints: readonly { waitpointId: string; waitpointKey: string }[]): string =>
  waitpoints.map(({ waitpointId, waitpointKey }) => `${waitpointId}\t${waitpointKey}`).join('\n');

function bindingsOf(text: string): { waitpointId: string; waitpointKey: string }[] {
  return text.split('\n').map((line) => {
    const [waitpointId = '', waitpointKey = ''] = line.split('\t');
    return { waitpointId, waitpointKey };
  });
}

const EFFECTS_THAT_MATCH: ReadonlySet<string> = new Set([
  'appended_to_waitpoint_duplicate',
  'appended_to_waitpoint',
  'resume_condition_satisfied',
]);

/** Closes what an execution waits for, if it waits: its suspension, and every waitpoint of it. */
export function closeWaits(
  { waiting }: Execution,
  at: number,
  closeReason: string,
  { resumeTrigger = '', closerSignalId = '' } = {},
): void {
  const suspension = waiting?.suspension;
  if (waiting === undefined || suspension === undefined || suspension.closing !== undefined) return;
  suspension.closing = { closedAt: at, closeReason, resumeTrigger, closerSignalId };
  for (const id of suspension.waitpointIds) {
    const waitpoint = waiting.waitpoints[id];
    if (waitpoint === undefined) continue;
    waitpoint.waitpointState = 'closed';
    waitpoint.closedAt = at;
    waitpoint.closeReason = closeReason;
  }
}

const nothingYet = (): Waiting => ({
  suspension: undefined,
  waitpoints: {},
  signals: {},
  signalKeys: {},
  signalCount: 0,
  payloadBytes: 0,
});

function suspensionOf(event: EventNamed<'execution_suspended'>): Suspension {
  return {
    suspensionId: event.suspensionId,
    attemptIndex: event.attemptIndex,
    reasonCode: event.reasonCode,
    suspendedBy: event.suspendedBy,
    timeoutAt: event.timeoutAt,
    timeoutBehavior: event.timeoutBehavior,
    resumeDelayMs: event.resumeDelayMs,
    suspendedAt: event.at,
    waitpointIds: bindingsOf(event.waitpoints).map(({ waitpointId }) => waitpointId),
    condition: event.condition,
    progress: [],
    satisfierSignalIds: [],
    closing: undefined,
  };
}

function take(waiting: Waiting, event: EventNamed<'signal_accepted'>): void {
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
    correlationId: event.correlationId,
    payloadBytes: event.payloadBytes,
    payloadEncoding: event.payloadEncoding,
    targetScope: event.targetScope,
    createdAt: event.createdAt,
  };
  waiting.payloadBytes += event.payloadBytes;
  if (signalKey !== '') waiting.signalKeys[signalKeyOf(waitpointId, signalKey)] = signalId;
  waiting.signalCount += 1;
  const waitpoint = waiting.waitpoints[waitpointId];
  if (waitpoint !== undefined) {
    waitpoint.signalCount += 1;
    if (EFFECTS_THAT_MATCH.has(effect)) waitpoint.matchedSignalCount += 1;
    waitpoint.lastSignalAt = at;
  }
  if (event.added === '' || waiting.suspension === undefined) return;
  waiting.suspension.progress.push(...event.added.split('\n'));
  waiting.suspension.satisfierSignalIds.push(signalId);
}

type Recipes = { [Type in keyof typeof suspensionEvents]: ExecutionRecipe<Type> };

export const suspensionRecipes: Recipes = {
  execution_suspended: changes((execution, event) => {
    endOwnership(execution);
    become(execution, 'suspended', event.at, event.timeoutAt);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
    execution.suspendReason = event.reasonCode;
    execution.waiting ??= nothingYet();
    execution.waiting.suspension = suspensionOf(event);
    for (const { waitpointId, waitpointKey } of bindingsOf(event.waitpoints)) {
      execution.waiting.waitpoints[waitpointId] = {
        waitpointKey,
        waitpointState: 'active',
        createdAt: event.at,
        closedAt: undefined,
        closeReason: undefined,
        signalCount: 0,
        matchedSignalCount: 0,
        lastSignalAt: undefined,
      };
    }
  }),
  signal_accepted: changes((execution, event) => {
    if (execution.waiting !== undefined) take(execution.waiting, event);
  }),
  suspension_closed: changes((execution, event) => {
    const { closerSignalId, resumeTrigger, delayUntil } = event;
    closeWaits(execution, event.at, event.closeReason, { resumeTrigger, closerSignalId });
    const suspension = execution.waiting?.suspension;
    // What time says in the place of a signal is observed as one.
    if (suspension !== undefined && resumeTrigger === 'timeout' && closerSignalId !== '')
      suspension.satisfierSignalIds.push(closerSignalId);
    if (resumeTrigger === '') return;
    become(execution, delayUntil === undefined ? 'ready' : 'resume_delay', event.at, delayUntil);
    execution.delayUntil = delayUntil;
  }),
  suspension_escalated: changes((execution) => {
    execution.dueAt = undefined;
    execution.suspendReason = 'waiting_for_operator_review';
    const suspension = execution.waiting?.suspension;
    if (suspension === undefined) return;
    suspension.reasonCode = 'waiting_for_operator_review';
    suspension.timeoutAt = undefined;
  }),
};
