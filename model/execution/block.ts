/**
 * blockExecutionForAdmission, blockRoute, unblockExecution: a scheduler outside the engine takes work out of its queue
 * because a budget, a quota, missing capabilities or the state of a lane prevents it from running, and puts it back.
 * Only claimable work can be blocked, so a block never overwrites a delay, a dependency or a grant. Spec 01 section
 * 3.5, spec 09 section 6.2; rulings 19 and 23.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject, type Rejected } from '../operation.js';
import type { Event } from '../events.js';
import { echoed } from '../core/wire-form.js';
import { hasLiveGrant } from '../grant/grant.js';
import { partitionOfExecution } from '../ids.js';
import { notActive, notEligible } from '../lease/fence.js';
import type { ReadonlyExecution } from './facts.js';
import { BLOCKS, isBlocked, isHeld, isTerminal, SITUATIONS, type BlockReason } from './situation.js';

const REJECTIONS = ['execution_not_found', 'execution_not_active', 'execution_not_eligible'] as const;
type Refusal = Rejected<(typeof REJECTIONS)[number]>;

/** Why an execution cannot be blocked, if so: it is granted to a worker, or an operator holds it. */
function refusalOf(execution: ReadonlyExecution | undefined, now: number): Refusal | undefined {
  if (execution === undefined) return reject('execution_not_found');
  if (isTerminal(execution.situation)) return notActive(execution);
  const isOpen = execution.situation === 'ready' && !isHeld(execution) && !hasLiveGrant(execution, now);
  return isOpen ? undefined : notEligible(execution);
}

function blocked(executionId: string, at: number, blockingReason: BlockReason, blockingDetail: string): Event {
  return { type: 'execution_blocked', executionId, at, blockingReason, blockingDetail };
}

export const blockExecutionForAdmission = operation({
  name: 'blockExecutionForAdmission',
  args: z.strictObject({
    executionId: field.executionId,
    blockingReason: field.wordOf(BLOCKS),
    /** A description for readers. */
    blockingDetail: field.reason.default(''),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('blocked'), executionId: echoed(field.executionId) }),
    /** It is blocked for this reason already; its detail is unchanged. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_blocked']) }),
  ]),
  rejects: REJECTIONS,
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'blockingReason', 'blockingDetail'] },
  memory: 'frees',
  decide(view, { executionId, blockingReason, blockingDetail }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution?.situation === BLOCKS[blockingReason])
      return accept({ kind: 'already_satisfied', reason: 'already_blocked' });
    const refusal = refusalOf(execution, now);
    if (refusal !== undefined) return refusal;
    return accept({ kind: 'blocked', executionId }, blocked(executionId, now, blockingReason, blockingDetail));
  },
});

export const blockRoute = operation({
  name: 'blockRoute',
  args: z.strictObject({
    executionId: field.executionId,
    /** The capabilities that no worker offers, for readers. */
    reasonDetail: field.reason.default(''),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('blocked'), executionId: echoed(field.executionId) }),
    /** The execution has moved on since the caller looked; a scheduler continues with the next one. */
    z.object({ kind: z.literal('not_blocked'), reason: z.enum(REJECTIONS) }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'reasonDetail'] },
  memory: 'frees',
  decide(view, { executionId, reasonDetail }, { now }) {
    const execution = view.executions.get(executionId);
    const outcome = { kind: 'blocked', executionId } as const;
    if (execution?.situation === 'blocked_route') return accept(outcome);
    const refusal = refusalOf(execution, now);
    if (refusal !== undefined) return accept({ kind: 'not_blocked', reason: refusal.code });
    return accept(outcome, blocked(executionId, now, 'waiting_for_capable_worker', reasonDetail));
  },
});

export const unblockExecution = operation({
  name: 'unblockExecution',
  args: z.strictObject({
    executionId: field.executionId,
    /** Refuse unless this is the current block: a caller that saw another one must not lift it. */
    expectedBlockingReason: field.wordOf(BLOCKS).optional(),
  }),
  outcome: z.object({
    kind: z.literal('unblocked'),
    executionId: echoed(field.executionId),
    publicState: z.literal('waiting'),
  }),
  rejects: ['execution_not_found', 'execution_not_eligible'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'expectedBlockingReason'] },
  memory: 'frees',
  decide(view, { executionId, expectedBlockingReason }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const { situation } = execution;
    if (!isBlocked(situation)) return notEligible(execution);
    if (expectedBlockingReason !== undefined && SITUATIONS[situation].blocking !== expectedBlockingReason)
      return notEligible(execution);
    return accept(
      { kind: 'unblocked', executionId, publicState: 'waiting' },
      { type: 'execution_unblocked', executionId, at: now },
    );
  },
});
