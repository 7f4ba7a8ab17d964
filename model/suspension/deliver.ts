/** Delivers a signal whose sender is authorised. Spec 06 section 7. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, reject, type Context } from '../operation.js';
import { present } from '../core/present.js';
import { echoed } from '../core/wire-form.js';
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import { evaluate } from './condition.js';
import { SIGNAL_EFFECTS, signalKeyOf, type SIGNAL_SCOPES, type Waiting } from './facts.js';
import { resumption } from './resumption.js';

const { kept_for_a_wait: _, ...EFFECTS_AT_WAITPOINTS } = SIGNAL_EFFECTS;

export const deliveryOutcome = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('accepted'),
    signalId: echoed(field.plainUuid),
    effect: field.wordOf(EFFECTS_AT_WAITPOINTS),
  }),
  /** The signal was accepted before, under this id. */
  z.object({ kind: z.literal('duplicate'), existingSignalId: field.plainUuid }),
]);

export interface Delivery {
  readonly executionId: string;
  readonly waitpointId: string;
  readonly signalId: string;
  readonly signalName: string;
  readonly signalCategory: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  /** The sender's idempotency key; none when empty. */
  readonly signalKey: string;
  readonly keyTtlMs: number;
  readonly maxSignals: number;
  /** How long a resumed execution is delayed before it can be claimed, ms. 0: the delay of the suspension. */
  readonly resumeDelayMs: number;
  /** None when empty. */
  readonly correlationId: string;
  readonly payload: Uint8Array | undefined;
  readonly payloadEncoding: string;
  readonly targetScope: keyof typeof SIGNAL_SCOPES;
  readonly createdAt: number | undefined;
}

/** The optional parts of a signal when its sender gives none. */
export const NOTHING_SENT = {
  correlationId: '',
  payload: undefined,
  payloadEncoding: '',
  createdAt: undefined,
} as const;

/** The id under which a signal was accepted before. */
function earlierId(waiting: Waiting, { waitpointId, signalId, signalKey }: Delivery, now: number): string | undefined {
  const ofKey = signalKey === '' ? undefined : waiting.signalKeys[signalKeyOf(waitpointId, signalKey)];
  const expiresAt = ofKey === undefined ? undefined : waiting.signals[ofKey]?.signalKeyExpiresAt;
  if (expiresAt !== undefined && expiresAt > now) return ofKey;
  return waiting.signals[signalId] === undefined ? undefined : signalId;
}

/** The effect of a signal to a waitpoint that no suspension has used yet. */
const BUFFERED = { effect: 'buffered_for_pending_waitpoint', added: [] as readonly string[] } as const;

/** The limit that a further signal would exceed, if any. */
function limitReached(
  { policy }: ReadonlyExecution,
  { signalCount, payloadBytes: known }: Waiting,
  { maxSignals }: Delivery,
  payloadBytes: number,
  kept: number,
): string | undefined {
  if (signalCount >= Math.min(maxSignals, policy?.maxSignalsPerExecution ?? maxSignals)) return 'signals';
  if (payloadBytes > 0 && known + payloadBytes > LIMITS.maxSignalPayloadsBytes) return 'payload_bytes';
  return kept >= LIMITS.maxBufferedSignals ? 'buffered' : undefined;
}

export function deliver(view: View, delivery: Delivery, { now }: Context) {
  const { executionId, waitpointId, signalId, signalKey } = delivery;
  const execution = view.executions.get(executionId);
  if (execution === undefined) return reject('execution_not_found');
  const { waiting } = execution;
  const waitpoint = waiting?.waitpoints[waitpointId];
  if (waiting === undefined || waitpoint === undefined) return reject('waitpoint_not_found');
  const existingSignalId = earlierId(waiting, delivery, now);
  if (existingSignalId !== undefined) return accept({ kind: 'duplicate', existingSignalId });
  if (isTerminal(execution.situation)) return reject('target_not_signalable');
  const { suspension } = waiting;
  const { waitpointState } = waitpoint;
  if (waitpointState === 'closed' || waitpointState === 'expired') return reject('waitpoint_closed');
  const isPending = waitpointState === 'pending';
  if (isPending && (waitpoint.expiresAt ?? Infinity) <= now) return reject('pending_waitpoint_expired');
  const payloadBytes = delivery.payload?.byteLength ?? 0;
  const limit = limitReached(execution, waiting, delivery, payloadBytes, isPending ? waitpoint.signalCount : 0);
  if (limit !== undefined) return reject('signal_limit_exceeded', { limit });
  const { effect, added } =
    isPending || suspension === undefined
      ? BUFFERED
      : evaluate(suspension.condition, suspension.progress, { ...delivery, waitpointKey: waitpoint.waitpointKey });
  const accepted: Event = {
    type: 'signal_accepted',
    executionId,
    at: now,
    signalId,
    waitpointId,
    signalName: delivery.signalName,
    signalCategory: delivery.signalCategory,
    sourceType: delivery.sourceType,
    sourceIdentity: delivery.sourceIdentity,
    signalKey,
    signalKeyExpiresAt: signalKey === '' ? undefined : Math.min(now + delivery.keyTtlMs, LIMITS.maxInteger),
    effect,
    added: added.join('\n'),
    correlationId: delivery.correlationId,
    payloadBytes,
    payloadEncoding: payloadBytes === 0 ? undefined : delivery.payloadEncoding,
    targetScope: delivery.targetScope,
    createdAt: delivery.createdAt,
    ...namingOf(execution),
  };
  const delayMs = delivery.resumeDelayMs || (suspension?.resumeDelayMs ?? 0);
  const events =
    effect === 'resume_condition_satisfied'
      ? [accepted, resumption(executionId, now, delayMs, { trigger: 'signal', signalId })]
      : [accepted];
  const decision = acceptAll({ kind: 'accepted', signalId, effect }, events);
  if (payloadBytes === 0) return decision;
  return { ...decision, payload: { executionId, signalId, bytes: present(delivery.payload) } };
}
