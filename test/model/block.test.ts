/** Blocks: a scheduler outside the engine takes work out of its queue, and puts it back. */
import { describe, expect, test } from 'vitest';
import { BLOCKS } from '../../model/execution/situation.js';
import type { OperationName } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { claimArgs, CLASSES, created, event, given, IN_CLASS, NOW, START, X } from './dsl.js';

const block = { executionId: X, blockingReason: 'waiting_for_quota', blockingDetail: 'too many at once' } as const;
const route = { executionId: X, reasonDetail: 'nobody has a gpu' };

const isReady = (state: string): boolean => state === 'RW' || state === 'RI';
const isTerminal = (state: string): boolean => state.startsWith('T');

test('a reason that is none of a block has a code of its own', () => {
  const refused = (name: OperationName, args: object) => () =>
    parseCommand(name, { executionId: X, ...args }, 'memory');
  const fault = expect.objectContaining({ code: 'invalid_blocking_reason' });
  const blockingReason = 'waiting_for_delay';
  expect(refused('blockExecutionForAdmission', { blockingReason })).toThrow(fault);
  expect(refused('unblockExecution', { expectedBlockingReason: blockingReason })).toThrow(fault);
  const creation = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
  expect(refused('createExecution', { ...creation, initialBlock: { blockingReason } })).toThrow(fault);
});

describe('blockExecutionForAdmission', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('blockExecutionForAdmission', block);
    if (state === 'none') result.refuses('execution_not_found');
    else if (isTerminal(state)) result.refuses('execution_not_active', { lifecyclePhase: 'terminal' });
    else if (!isReady(state)) result.refuses('execution_not_eligible');
    else {
      result
        .answers({ kind: 'blocked', executionId: X })
        .then({ type: 'execution_blocked', blockingReason: 'waiting_for_quota', blockingDetail: 'too many at once' })
        .leaves({ situation: 'blocked_quota', blockingDetail: 'too many at once', dueAt: undefined })
        .leavesState({
          eligibilityState: 'blocked_by_quota',
          blockingReason: 'waiting_for_quota',
          publicState: 'rate_limited',
          attemptState: state === 'RI' ? 'attempt_interrupted' : 'pending_first_attempt',
        })
        .when('claimForWorker', claimArgs(), NOW)
        .answers({ kind: 'no_work' });
    }
  });

  test.each([
    ['waiting_for_budget', 'blocked_by_budget', 'rate_limited'],
    ['waiting_for_quota', 'blocked_by_quota', 'rate_limited'],
    ['waiting_for_capable_worker', 'blocked_by_route', 'waiting'],
    ['paused_by_policy', 'blocked_by_lane_state', 'waiting'],
  ] as const)('because of %s reads as %s, %s', (blockingReason, eligibilityState, publicState) => {
    const result = given(created()).when('blockExecutionForAdmission', { ...block, blockingReason });
    result.leavesState({ eligibilityState, blockingReason, publicState });
    expect(result.reads('describeExecution', { executionId: X }, NOW)).toMatchObject({
      outcome: { blockingReason, blockingDetail: 'too many at once' },
    });
    result
      .when('blockExecutionForAdmission', { ...block, blockingReason, blockingDetail: 'other words' }, NOW)
      .answers({ kind: 'already_satisfied', reason: 'already_blocked' })
      .nothingHappens();
  });

  test('ends with the execution, and its deadline still applies', () => {
    const blocked = event('execution_blocked', { blockingReason: 'waiting_for_budget', blockingDetail: 'why' });
    given(created({ executionDeadlineAt: NOW }), blocked)
      .when('applyDue', { partition: '{fp:0}' })
      .then({ type: 'execution_expired' })
      .leaves({ blockingDetail: '' });
    given(created(), blocked)
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' })
      .leaves({ blockingDetail: '' })
      .when('replayExecution', { executionId: X }, NOW)
      .leaves({ situation: 'ready' });
  });
});

describe('blockRoute', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('blockRoute', route);
    if (isReady(state)) {
      result
        .answers({ kind: 'blocked', executionId: X })
        .then({ type: 'execution_blocked', blockingReason: 'waiting_for_capable_worker' })
        .leavesState({ eligibilityState: 'blocked_by_route', publicState: 'waiting' });
    } else if (state === 'BI') {
      result.answers({ kind: 'blocked' }).nothingHappens();
    } else {
      const reason =
        state === 'none'
          ? 'execution_not_found'
          : isTerminal(state)
            ? 'execution_not_active'
            : 'execution_not_eligible';
      result.answers({ kind: 'not_blocked', reason }).nothingHappens();
    }
  });
});

describe('unblockExecution', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('unblockExecution', { executionId: X });
    if (state === 'none') result.refuses('execution_not_found');
    else if (state !== 'BW' && state !== 'BI') result.refuses('execution_not_eligible');
    else {
      result
        .answers({ kind: 'unblocked', executionId: X, publicState: 'waiting' })
        .then({ type: 'execution_unblocked' })
        .leaves({ situation: 'ready', blockingDetail: '', createdAt: START })
        .when('claimForWorker', claimArgs(), NOW)
        .answers({ executions: [{ claimKind: state === 'BI' ? 'resumed' : 'fresh' }] });
    }
  });

  test('lifts only the block that the caller names', () => {
    for (const expectedBlockingReason of Object.keys(BLOCKS) as (keyof typeof BLOCKS)[]) {
      const result = given(...IN_CLASS.BW).when('unblockExecution', { executionId: X, expectedBlockingReason });
      if (expectedBlockingReason === 'waiting_for_budget') result.answers({ kind: 'unblocked' });
      else result.refuses('execution_not_eligible', { publicState: 'rate_limited' });
    }
  });

  test('leaves held work out of its queue', () => {
    given(...IN_CLASS.BW)
      .when('holdExecution', { executionId: X })
      .answers({ kind: 'held', publicState: 'rate_limited' })
      .leavesState({ eligibilityState: 'blocked_by_budget' })
      .when('unblockExecution', { executionId: X }, NOW)
      .leavesState({ eligibilityState: 'blocked_by_operator' })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work' });
  });
});
