/** Holds: an operator keeps an execution from being claimed, whatever its situation, and lets it go again. */
import { describe, expect, test } from 'vitest';
import {
  claimArgs,
  claimed,
  CLASSES,
  CLASSES_ALONE,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  idOf,
  IN_CLASS,
  NOW,
  START,
  uuid,
  X,
} from './dsl.js';

const HELD = event('execution_held', { at: NOW, heldBy: 'ann', holdReason: 'why' });
const hold = { executionId: X, reason: 'why', requestedBy: 'ann' };
const Y = idOf(2);

const PUBLIC_STATES: Readonly<Record<string, string>> = {
  R: 'waiting',
  D: 'delayed',
  A: 'active',
  BW: 'rate_limited',
  BI: 'waiting',
  S: 'suspended',
};

describe('holdExecution', () => {
  test.each(CLASSES_ALONE)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('holdExecution', hold);
    if (state === 'none') result.refuses('execution_not_found');
    else if (state.startsWith('T')) result.refuses('execution_not_active', { lifecyclePhase: 'terminal' });
    else if (state === 'BO') result.answers({ kind: 'already_satisfied', reason: 'already_held' }).nothingHappens();
    else {
      result
        .answers({ kind: 'held', executionId: X, publicState: PUBLIC_STATES[state] ?? PUBLIC_STATES[state.charAt(0)] })
        .then({ type: 'execution_held', heldBy: 'ann', holdReason: 'why' })
        .leaves({ heldAt: NOW, heldBy: 'ann', holdReason: 'why' });
      // Whatever it was, nobody can take it.
      result.when('claimForWorker', claimArgs(), NOW).answers({ kind: 'no_work' });
    }
  });

  test('makes claimable work read as blocked by an operator, and keeps the rest of the vector', () => {
    for (const state of ['RW', 'RI'] as const) {
      given(...IN_CLASS[state], HELD)
        .when('holdExecution', hold)
        .answers({ kind: 'already_satisfied', reason: 'already_held' })
        .nothingHappens()
        .leavesState({
          lifecyclePhase: 'runnable',
          eligibilityState: 'blocked_by_operator',
          blockingReason: 'paused_by_operator',
          publicState: 'waiting',
        });
    }
    given(...IN_CLASS.DW, HELD)
      .when('holdExecution', hold)
      .leavesState({ eligibilityState: 'not_eligible_until_time', publicState: 'delayed' });
    given(...IN_CLASS.AE, HELD)
      .when('holdExecution', hold)
      .leavesState({ ownershipState: 'lease_expired_reclaimable', publicState: 'active' });
  });

  test('shows the holder and the reason', () => {
    const result = given(created(), HELD).when('holdExecution', hold);
    expect(result.reads('describeExecution', { executionId: X }, NOW)).toMatchObject({
      outcome: { blockingReason: 'paused_by_operator', blockingDetail: 'held by ann: why', lastMutationAt: NOW },
    });
    expect(result.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { hold: { heldAt: NOW, heldBy: 'ann', reason: 'why' } },
    });
  });

  test('leaves the owner alone, and takes effect when the ownership ends', () => {
    const owner = { executionId: X, fence: FENCE };
    const owned = () => given(created(), claimed(), HELD);
    owned()
      .when('completeExecution', owner)
      .answers({ kind: 'completed' })
      .leaves({ heldAt: undefined, heldBy: undefined });
    owned()
      .when('releaseLease', owner)
      .answers({ kind: 'released' })
      .leavesState({ eligibilityState: 'blocked_by_operator' })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work' });
    owned()
      .when('revokeLease', { executionId: X })
      .answers({ kind: 'revoked' })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work' });
    owned()
      .when('delayExecution', { ...owner, delayUntil: NOW + 1 })
      .leavesState({ publicState: 'delayed' })
      .when('promoteDelayed', { executionId: X }, NOW + 1)
      .answers({ kind: 'promoted' })
      .leavesState({ eligibilityState: 'blocked_by_operator' });
  });
});

describe('releaseHold', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('releaseHold', hold);
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'BO') result.answers({ kind: 'hold_released', publicState: 'waiting' });
    else result.answers({ kind: 'already_satisfied', reason: 'not_held' }).nothingHappens();
  });

  test('returns held work to its place', () => {
    const other = created({ executionId: Y, at: START + 1 });
    given(created(), other, HELD)
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed', executions: [{ executionId: Y }] })
      .when('releaseHold', hold, NOW)
      .answers({ kind: 'hold_released', executionId: X, publicState: 'waiting' })
      .then({ type: 'hold_released', releasedBy: 'ann', releaseReason: 'why' })
      .leaves({ heldAt: undefined, heldBy: undefined, holdReason: '' });
    given(created(), other, HELD)
      .when('releaseHold', hold)
      .when('claimForWorker', claimArgs({ claims: [{ leaseId: uuid(103), attemptId: uuid(203) }] }), NOW)
      .answers({ kind: 'claimed', executions: [{ executionId: X, claimKind: 'fresh' }] });
  });

  test('returns lapsed work as lapsed work, and a delay continues', () => {
    given(...IN_CLASS.AE, HELD)
      .when('releaseHold', hold)
      .answers({ publicState: 'active' })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'claimed', executions: [{ claimKind: 'reclaimed' }] });
    given(...IN_CLASS.DW, HELD)
      .when('releaseHold', hold)
      .answers({ publicState: 'delayed' })
      .leaves({ dueAt: DELAYED_UNTIL })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work' });
  });
});
