/**
 * deliverSignal: whoever holds the token of a waitpoint sends it a signal. To a caller without the right token an unknown
 * execution, an unknown waitpoint and a wrong token look alike (ruling 21). Spec 06 section 7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation, reject } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { isTokenOf, tokenFault } from '../signing/token.js';
import { deliver, deliveryOutcome } from './deliver.js';
import { SIGNAL_SCOPES } from './facts.js';

export const deliverSignal = operation({
  name: 'deliverSignal',
  args: z.object({
    executionId: field.executionId,
    waitpointId: field.plainUuid,
    waitpointToken: field.token,
    /** Minted by the caller: the same id again is a duplicate. */
    signalId: field.plainUuid,
    signalName: field.signalName,
    signalCategory: field.signalText.default('external'),
    sourceType: field.signalText.default('external'),
    /** Who sends it; each is a source of its own. */
    sourceIdentity: field.looseLabel.default(''),
    /** The sender's own name for it: the same one again is a duplicate while it is known. */
    idempotencyKey: field.looseLabel.default(''),
    /** How long that name is known, ms. */
    dedupTtlMs: field.positiveDurationMs.default(DEFAULTS.signalDedupTtlMs),
    /** Signals of the execution from which on a further one is refused; its policy may say fewer. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** How long what it resumes waits before it can be claimed, ms; what the suspension says when 0. */
    resumeDelayMs: field.durationMs.default(0),
    /** The sender's word for what it belongs to: a request, a case. */
    correlationId: field.looseLabel.default(''),
    /** When its sender says that it was made, ms since the epoch. Default: when it is accepted. */
    createdAt: field.timestampMs.optional(),
    /** What it was sent to; kept, and nothing follows from it. */
    targetScope: field.wordOf(SIGNAL_SCOPES).default('waitpoint'),
    payloadEncoding: field.encoding.default('json'),
    /** What the handler is given, at most 64 KiB; an empty one is none. */
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
    // Both are there: that was looked at.
    if (!decision.ok && (decision.code === 'execution_not_found' || decision.code === 'waitpoint_not_found'))
      return reject('invalid_token');
    return decision;
  },
});
