/**
 * deliverApprovalSignal: an operator, who holds no token, sends a signal to a waitpoint. It carries a decision and no
 * payload. The same decision with the same suffix is taken once; other people are other sources. Spec 06 section 7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { deliver, deliveryOutcome, NOTHING_SENT } from './deliver.js';

/** The sender's key of a decision. */
const approvalKey = (signalName: string, suffix: string): string => `approval:${signalName}:${suffix}`;

/** An approval's key begins with its name and ends with the suffix: together they are no longer than any key. */
const MAX_SUFFIX_BYTES = 64;

export const deliverApprovalSignal = operation({
  name: 'deliverApprovalSignal',
  args: z.object({
    executionId: field.executionId,
    waitpointId: field.plainUuid,
    /** Minted by the caller. */
    signalId: field.plainUuid,
    /** The decision: `approved`, `rejected`, or what the handler waits for. */
    signalName: field.signalName,
    /** Distinguishes decisions of one name; the same one again is a duplicate. */
    idempotencySuffix: field.signalText.refine((text) => text.length <= MAX_SUFFIX_BYTES, {
      error: `must be at most ${MAX_SUFFIX_BYTES} characters`,
    }),
    /** How long the decision is known, ms. */
    signalDedupTtlMs: field.positiveDurationMs.default(DEFAULTS.signalDedupTtlMs),
    /** Signals of the execution from which on a further one is refused; its policy may say fewer. */
    maxSignalsPerExecution: field.integer(1, LIMITS.maxSignals).default(LIMITS.maxSignals),
    /** Who decided; each is a source of its own. */
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
