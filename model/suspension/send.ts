/**
 * signalExecution: sends a signal by name, without a waitpoint or a token, from a sender that may signal the execution.
 * If the open suspension has a waitpoint for the name, the signal is delivered there. In any other state, even before
 * the first attempt, it is kept: handlers read kept signals before they wait (`listSignals`), and a suspension whose
 * worker has not seen all of them is refused (`signals_arrived`).
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject, type Decision } from '../operation.js';
import { present } from '../core/present.js';
import { echoed } from '../core/wire-form.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { channelOf } from './channel.js';
import { deliver } from './deliver.js';
import { SIGNAL_EFFECTS } from './facts.js';

/** Signals by name reach only waitpoints of an open suspension, never unused ones. */
const { buffered_for_pending_waitpoint: _, ...EFFECTS_BY_NAME } = SIGNAL_EFFECTS;

const outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('accepted'), signalId: echoed(field.plainUuid), effect: field.wordOf(EFFECTS_BY_NAME) }),
  /** The signal was accepted before, under this id. */
  z.object({ kind: z.literal('duplicate'), existingSignalId: field.plainUuid }),
]);

const REJECTIONS = ['execution_not_found', 'target_not_signalable', 'signal_limit_exceeded'] as const;
type Sent = Decision<z.output<typeof outcome>, (typeof REJECTIONS)[number]>;

export const signalExecution = operation({
  name: 'signalExecution',
  args: z.strictObject({
    executionId: field.executionId,
    /** Minted by the caller: a repeated id is a duplicate. */
    signalId: field.plainUuid,
    /** Received by waitpoints whose key up to the first `#` is this name. */
    signalName: field.signalName,
    signalCategory: field.signalText.default('external'),
    sourceType: field.signalText.default('external'),
    /** The sender; each identity is a separate source. */
    sourceIdentity: field.looseLabel.default(''),
    /** Most signals of the execution: a further one is refused. Its policy may set a lower number. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** The sender's label of the subject: a request, a case. */
    correlationId: field.looseLabel.default(''),
    /** Time of creation according to the sender, ms since the epoch. Default: the time of acceptance. */
    createdAt: field.timestampMs.optional(),
    payloadEncoding: field.encoding.default('json'),
    /** Payload for the handler, at most 64 KiB; an empty one counts as absent. */
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
      // These refusals cannot occur: the waitpoint was found above, and is open.
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
    return { ...decision, payload: { executionId, signalId, bytes: present(payload) } };
  },
});

/** The first waitpoint of an open suspension that receives signals of a name. */
function listeningAt({ situation, waiting }: ReadonlyExecution, signalName: string): string | undefined {
  if (situation !== 'suspended') return undefined;
  return waiting?.suspension?.waitpointIds.find(
    (id) => channelOf(waiting.waitpoints[id]?.waitpointKey ?? '') === signalName,
  );
}
