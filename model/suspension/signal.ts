/**
 * deliverSignal: a caller with the token of a waitpoint sends it a signal. A caller without the right token cannot
 * distinguish an unknown execution, an unknown waitpoint and a wrong token (ruling 21). Spec 06 section 7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { isTokenOf, tokenFault } from '../signing/token.js';
import { deliver, deliveryOutcome } from './deliver.js';
import { SIGNAL_SCOPES } from './facts.js';

export const deliverSignal = operation({
  name: 'deliverSignal',
  args: z.strictObject({
    executionId: field.executionId,
    waitpointId: field.plainUuid,
    waitpointToken: field.token,
    /** Minted by the caller: a repeated id is a duplicate. */
    signalId: field.plainUuid,
    signalName: field.signalName,
    signalCategory: field.signalText.default('external'),
    sourceType: field.signalText.default('external'),
    /** The sender; each identity is a separate source. */
    sourceIdentity: field.looseLabel.default(''),
    /** A repeated key is a duplicate while it is known. */
    idempotencyKey: field.looseLabel.default(''),
    /** How long the key is known, ms. */
    dedupTtlMs: field.positiveDurationMs.default(DEFAULTS.signalDedupTtlMs),
    /** Most signals of the execution: a further one is refused. Its policy may set a lower number. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** How long a resumed execution is delayed before it can be claimed, ms. 0: the delay of the suspension. */
    resumeDelayMs: field.durationMs.default(0),
    /** The sender's label of the subject: a request, a case. */
    correlationId: field.looseLabel.default(''),
    /** Time of creation according to the sender, ms since the epoch. Default: the time of acceptance. */
    createdAt: field.timestampMs.optional(),
    /** The target of the signal; stored, but without effect. */
    targetScope: field.wordOf(SIGNAL_SCOPES).default('waitpoint'),
    payloadEncoding: field.encoding.default('json'),
    /** Payload for the handler, at most 64 KiB; an empty one counts as absent. */
    payload: field.signalPayload.optional(),
  }),
  outcome: deliveryOutcome,
  rejects: [
    'missing_token',
    'invalid_token',
    'hmac_secret_not_initialized',
    'token_expired',
    'target_not_signalable',
    'waitpoint_closed',
    'pending_waitpoint_expired',
    'signal_limit_exceeded',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: [
      'executionId',
      'waitpointId',
      'waitpointToken',
      'signalId',
      'signalName',
      'signalCategory',
      'sourceType',
      'sourceIdentity',
      'idempotencyKey',
      'dedupTtlMs',
      'maxSignalsPerExecution',
      'resumeDelayMs',
      'correlationId',
      'createdAt',
      'targetScope',
      'payloadEncoding',
      'payload',
    ],
  },
  memory: 'adds',
  decide(view, args, context) {
    const { executionId, waitpointId, waitpointToken } = args;
    const fault = tokenFault(view, waitpointToken, context.now);
    if (fault !== undefined) return reject(fault);
    const waitpoint = view.executions.get(executionId)?.waiting?.waitpoints[waitpointId];
    if (waitpoint === undefined || !isTokenOf(view, waitpointToken, { waitpointId, ...waitpoint }))
      return reject('invalid_token');
    const { signalId, signalName, signalCategory, sourceType, sourceIdentity } = args;
    const { correlationId, payload, payloadEncoding, targetScope, createdAt } = args;
    const decision = deliver(
      view,
      {
        ...{ executionId, waitpointId, signalId, signalName, signalCategory, sourceType, sourceIdentity },
        signalKey: args.idempotencyKey,
        keyTtlMs: args.dedupTtlMs,
        maxSignals: args.maxSignalsPerExecution,
        resumeDelayMs: args.resumeDelayMs,
        ...{ correlationId, payload, payloadEncoding, targetScope, createdAt },
      },
      context,
    );
    // These refusals cannot occur: both were found above.
    if (!decision.ok && (decision.code === 'execution_not_found' || decision.code === 'waitpoint_not_found'))
      return reject('invalid_token');
    return decision;
  },
});
