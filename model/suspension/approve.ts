/**
 * deliverApprovalSignal: an operator sends a signal to a waitpoint without its token. It carries a decision and no
 * payload. The same decision with the same suffix is accepted once; each operator is a separate source. Spec 06 section
 * 7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { deliver, deliveryOutcome, NOTHING_SENT } from './deliver.js';

/** The idempotency key of a decision. A colon of the name is escaped: the key has one where the suffix begins. */
const approvalKey = (signalName: string, suffix: string): string =>
  `approval:${signalName.replaceAll('%', '%25').replaceAll(':', '%3A')}:${suffix}`;

/** The key of an approval has the suffix behind the name. */
const MAX_SUFFIX_BYTES = 64;

export const deliverApprovalSignal = operation({
  name: 'deliverApprovalSignal',
  args: z.strictObject({
    executionId: field.executionId,
    waitpointId: field.plainUuid,
    /** Minted by the caller. */
    signalId: field.plainUuid,
    /** The decision: `approved`, `rejected`, or another name that the handler waits for. */
    signalName: field.signalName,
    /** Distinguishes decisions of the same name; a repeated suffix is a duplicate. */
    idempotencySuffix: field.label(MAX_SUFFIX_BYTES),
    /** How long a repeated decision is recognised, ms. */
    signalDedupTtlMs: field.positiveDurationMs.default(DEFAULTS.signalDedupTtlMs),
    /** Most signals of the execution: a further one is refused. Its policy may set a lower number. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** The operator; each identity is a separate source. */
    decidedBy: field.looseLabel.default(''),
  }),
  outcome: deliveryOutcome,
  rejects: [
    'execution_not_found',
    'waitpoint_not_found',
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
      'signalId',
      'signalName',
      'idempotencySuffix',
      'signalDedupTtlMs',
      'maxSignalsPerExecution',
      'decidedBy',
    ],
  },
  memory: 'adds',
  decide: (view, args, context) =>
    deliver(
      view,
      {
        executionId: args.executionId,
        waitpointId: args.waitpointId,
        signalId: args.signalId,
        signalName: args.signalName,
        signalCategory: 'approval',
        sourceType: 'operator',
        sourceIdentity: args.decidedBy,
        signalKey: approvalKey(args.signalName, args.idempotencySuffix),
        keyTtlMs: args.signalDedupTtlMs,
        maxSignals: args.maxSignalsPerExecution,
        resumeDelayMs: 0,
        ...NOTHING_SENT,
        targetScope: 'execution',
      },
      context,
    ),
});
