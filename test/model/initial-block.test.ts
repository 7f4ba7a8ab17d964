/** A creation that is blocked or held from the first moment. */
import { describe, expect, test } from 'vitest';
import { createExecution } from '../../model/execution/create.js';
import { BLOCK_REASONS, BLOCKS, SITUATIONS } from '../../model/execution/situation.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { created, given, NOW, PARTITION, X } from './dsl.js';

const creation = (more: object = {}) => ({
  executionId: X,
  namespace: 'n',
  laneId: 'mail',
  executionKind: 'k',
  creatorIdentity: 'scheduler',
  ...more,
});
const block = (blockingReason: string, blockingDetail?: string) => ({
  initialBlock: { blockingReason, blockingDetail },
});
const claim = {
  partition: PARTITION,
  laneId: 'mail',
  workerId: 'w',
  workerInstanceId: 'w-1',
  workerCapabilities: [],
  leaseTtlMs: 1_000,
  claims: [{ leaseId: '01900000-0000-7000-8000-000000000001', attemptId: '01900000-0000-7000-8000-000000000002' }],
};

describe('a block from the start', () => {
  test('is the block of a scheduler: no worker gets the execution before it is lifted', () => {
    for (const reason of BLOCK_REASONS) {
      const { publicState } = SITUATIONS[BLOCKS[reason]];
      given()
        .when('createExecution', creation(block(reason, 'no room')))
        .answers({ kind: 'created', publicState })
        .then(
          { type: 'execution_created', executionId: X },
          { type: 'execution_blocked', executionId: X, at: NOW, blockingReason: reason, blockingDetail: 'no room' },
        )
        .when('claimForWorker', claim, NOW)
        .answers({ kind: 'no_work' })
        .when('unblockExecution', { executionId: X, expectedBlockingReason: reason }, NOW)
        .answers({ kind: 'unblocked', publicState: 'waiting' });
    }
  });

  test('is fenced by its reason', () => {
    given()
      .when('createExecution', creation(block('waiting_for_budget')))
      .when('unblockExecution', { executionId: X, expectedBlockingReason: 'waiting_for_quota' }, NOW)
      .refuses('execution_not_eligible');
  });

  test('keeps the deadline, the priority and the tags', () => {
    given()
      .when('createExecution', creation({ ...block('paused_by_policy'), executionDeadlineAt: NOW + 5, priority: 7 }))
      .answers({ publicState: 'waiting', priority: 7 })
      .when('applyDue', { partition: PARTITION }, NOW + 5)
      .answers({ expired: [{ executionId: X, expireReason: 'execution_deadline' }] });
  });

  test('is refused together with a delay, which would be lost', () => {
    const refused = (more: object) => () => parseCommand('createExecution', creation(more), 'memory');
    expect(refused({ ...block('waiting_for_quota'), delayUntil: NOW + 5 })).toThrow(/initialBlock/);
    expect(refused({ ...block('waiting_for_quota'), policy: { delayUntil: NOW + 5 } })).toThrow(/initialBlock/);
    expect(refused(block('waiting_for_delay'))).toThrow(/initialBlock/);
    expect(refused(block('waiting_for_quota', 'two\nlines'))).toThrow(/initialBlock/);
  });
});

describe('a hold from the start', () => {
  const held = creation(block('paused_by_operator', 'checking'));

  test('is the hold of the creator', () => {
    given()
      .when('createExecution', held)
      .answers({ kind: 'created', publicState: 'waiting' })
      .then(
        { type: 'execution_created' },
        { type: 'execution_held', executionId: X, at: NOW, heldBy: 'scheduler', holdReason: 'checking' },
      )
      .when('claimForWorker', claim, NOW)
      .answers({ kind: 'no_work' })
      .when('releaseHold', { executionId: X }, NOW)
      .answers({ kind: 'hold_released', publicState: 'waiting' });
  });

  test('keeps its delay', () => {
    given()
      .when('createExecution', { ...held, delayUntil: NOW + 5 })
      .answers({ publicState: 'delayed' })
      .when('applyDue', { partition: PARTITION }, NOW + 5)
      .answers({ promoted: 1 })
      .when('claimForWorker', claim, NOW + 5)
      .answers({ kind: 'no_work' });
  });
});

test('is ignored for a duplicate, which is neither blocked nor held', () => {
  given(created())
    .when('createExecution', creation(block('waiting_for_budget')))
    .answers({ kind: 'duplicate', executionId: X })
    .nothingHappens();
});

test('announces no work', () => {
  const { createsWork } = createExecution;
  expect(createsWork?.(creation() as never)).toHaveLength(1);
  expect(createsWork?.(creation(block('paused_by_operator')) as never)).toEqual([]);
});
