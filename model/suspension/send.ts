/**
 * signalExecution: a signal by its name, from a sender that may send the execution anything; it needs no waitpoint and no
 * token. A suspended execution that listens to the name takes it as if it had come to its waitpoint. In any other state,
 * also before the execution ran at all, it is kept: handlers read what was kept before they wait (`listSignals`), and a
 * suspension that has not seen all of it is refused (`signals_arrived`).
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject, type Decision } from '../core/operation.js';
import { echoed } from '../core/wire-form.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { channelOf } from './channel.js';
import { deliver } from './deliver.js';
import { SIGNAL_EFFECTS } from './facts.js';

/** What is heard by name is a waitpoint of an open suspension: none that is only prepared. */
const { buffered_for_pending_waitpoint: _, ...EFFECTS_BY_NAME } = SIGNAL_EFFECTS;

const outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('accepted'), signalId: echoed(field.plainUuid), effect: field.wordOf(EFFECTS_BY_NAME) }),
  /** It was taken before, under this id. */
  z.object({ kind: z.literal('duplicate'), existingSignalId: field.plainUuid }),
]);

const REJECTIONS = ['execution_not_found', 'target_not_signalable', 'signal_limit_exceeded'] as const;
type Sent = Decision<z.output<typeof outcome>, (typeof REJECTIONS)[number]>;

export const signalExecution = operation({
  name: 'signalExecution',
  args: z.object({
    executionId: field.executionId,
    /** Minted by the caller: the same id again is a duplicate. */
    signalId: field.plainUuid,
    /** What waits for it listens to this name: that of its waitpoint's key, up to a `#`. */
    signalName: field.signalName,
    signalCategory: field.signalText.default('external'),
    sourceType: field.signalText.default('external'),
    /** Who sends it; each is a source of its own. */
    sourceIdentity: field.looseLabel.default(''),
    /** Signals of the execution from which on a further one is refused; its policy may say fewer. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** The sender's word for what it belongs to: a request, a case. */
    correlationId: field.looseLabel.default(''),
    /** When its sender says that it was made, ms since the epoch. Default: when it is accepted. */
    createdAt: field.timestampMs.optional(),
    payloadEncoding: field.encoding.default('json'),
    /** What the handler is given, at most 64 KiB; an empty one is none. */
    payload: field.signalPayload.optional(),
  }),
  outcome,
  rejects: REJECTIONS,
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: [
      'executionId',
      'signalId',
      'signalName',
      'signalCategory',
      'sourceType',
      'sourceIdentity',
      'maxSignalsPerExecution',
      'correlationId',
      'createdAt',
      'payloadEncoding',
      'payload',
    ],
  },
  memory: 'adds',
  decide(view, args, context) {
    const { executionId, signalId, payload } = args;
    const { signalName, signalCategory, sourceType, sourceIdentity, correlationId, createdAt } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const waitpointId = listeningAt(execution, signalName);
    if (waitpointId !== undefined) {
      const decision = deliver(
        view,
        {
          ...{
            executionId,
            waitpointId,
            signalId,
            signalName,
            signalCategory,
            sourceType,
            sourceIdentity,
            correlationId,
          },
          ...{ signalKey: '', keyTtlMs: 0, maxSignals: args.maxSignalsPerExecution, resumeDelayMs: 0, createdAt },
          ...{ payload, payloadEncoding: args.payloadEncoding, targetScope: 'execution' },
        },
        context,
      );
      // It is there, and open: that was looked at.
      if (!decision.ok && (decision.code === 'waitpoint_not_found' || decision.code === 'waitpoint_closed'))
        return reject('target_not_signalable');
      return decision as Sent;
    }
    const { waiting } = execution;
    if (waiting?.signals[signalId] !== undefined) return accept({ kind: 'duplicate', existingSignalId: signalId });
    if (isTerminal(execution.situation)) return reject('target_not_signalable');
    const payloadBytes = payload?.byteLength ?? 0;
    const most = execution.policy?.maxSignalsPerExecution ?? args.maxSignalsPerExecution;
    if ((waiting?.signalCount ?? 0) >= Math.min(most, args.maxSignalsPerExecution))
      return reject('signal_limit_exceeded', { limit: 'signals' });
    if (payloadBytes > 0 && (waiting?.payloadBytes ?? 0) + payloadBytes > LIMITS.maxSignalPayloadsBytes)
      return reject('signal_limit_exceeded', { limit: 'payload_bytes' });
    const effect = 'kept_for_a_wait';
    const decision = acceptAll({ kind: 'accepted', signalId, effect }, [
      {
        type: 'signal_accepted',
        executionId,
        at: context.now,
        ...{ signalId, waitpointId: '', signalName, signalCategory, sourceType, sourceIdentity },
        ...{ signalKey: '', signalKeyExpiresAt: undefined, effect, added: '', correlationId, payloadBytes },
        payloadEncoding: payloadBytes === 0 ? undefined : args.payloadEncoding,
        targetScope: 'execution',
        createdAt,
        ...namingOf(execution),
      },
    ]);
    if (payloadBytes === 0) return decision;
    return { ...decision, payload: { executionId, signalId, bytes: payload as Uint8Array } };
  },
});

/** The first waitpoint of an open suspension at which signals of a name are heard. */
function listeningAt({ situation, waiting }: ReadonlyExecution, signalName: string): string | undefined {
  if (situation !== 'suspended') return undefined;
  return waiting?.suspension?.waitpointIds.find(
    (id) => channelOf(waiting.waitpoints[id]?.waitpointKey ?? '') === signalName,
  );
}
