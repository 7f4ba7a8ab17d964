/** Grants: a scheduler lets one worker take one execution, by its id, and nobody else takes it meanwhile. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ArgsOf } from '../../model/machine.js';
import {
  claimArgs,
  claimed,
  CLASSES,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  idOf,
  IN_CLASS,
  NOW,
  PARTITION,
  RETENTION_MS,
  slotEnd,
  START,
  uuid,
  X,
} from './dsl.js';

const Y = idOf(2);
const GRANT_ID = uuid(700);
const TTL_MS = 1_000;
const LAST = NOW + TTL_MS;

const issue = (facts: Partial<ArgsOf<'issueClaimGrant'>> = {}): ArgsOf<'issueClaimGrant'> => ({
  executionId: X,
  grantId: GRANT_ID,
  workerId: 'w2',
  workerInstanceId: 'w2-1',
  grantTtlMs: TTL_MS,
  ...facts,
});
const ISSUED = event('grant_issued', {
  at: NOW,
  grantExpiresAt: LAST,
  grantId: GRANT_ID,
  grantWorkerId: 'w2',
  grantWorkerInstanceId: 'w2-1',
  grantIsStrict: false,
});
const take = (facts: Partial<ArgsOf<'claimExecution'>> = {}): ArgsOf<'claimExecution'> => ({
  executionId: X,
  workerId: 'w2',
  workerInstanceId: 'w2-1',
  leaseId: uuid(102),
  attemptId: uuid(202),
  leaseTtlMs: 5_000,
  ...facts,
});
const resume = (facts: Partial<ArgsOf<'claimResumedExecution'>> = {}): ArgsOf<'claimResumedExecution'> => ({
  executionId: X,
  workerId: 'w2',
  workerInstanceId: 'w2-1',
  leaseId: uuid(102),
  leaseTtlMs: 5_000,
  ...facts,
});
const GONE = { grantExpiresAt: undefined, grantId: undefined, grantWorkerId: undefined };

describe('issueClaimGrant', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('issueClaimGrant', issue());
    if (state === 'none') result.refuses('execution_not_found');
    else if (!state.startsWith('R')) result.refuses('execution_not_eligible');
    else {
      result
        .answers({
          kind: 'granted',
          executionId: X,
          partition: PARTITION,
          grantId: GRANT_ID,
          claimKind: state === 'RI' ? 'resumed' : 'fresh',
          laneId: 'lane',
          expiresAt: LAST,
        })
        .then({ type: 'grant_issued', grantId: GRANT_ID, grantWorkerId: 'w2', grantExpiresAt: LAST })
        .leavesState({ eligibilityState: 'eligible_now', publicState: 'waiting' })
        // Nobody finds it any more.
        .when('claimForWorker', claimArgs(), NOW)
        .answers({ kind: 'no_work' });
    }
  });

  test('again by the same worker and instance gives the same grant, and by others none', () => {
    const granted = () => given(created(), ISSUED);
    granted()
      .when('issueClaimGrant', issue({ grantId: uuid(701), grantTtlMs: 9_000 }), LAST)
      .answers({ kind: 'granted', grantId: GRANT_ID, expiresAt: LAST })
      .nothingHappens();
    granted()
      .when('issueClaimGrant', issue({ workerInstanceId: 'w2-2' }))
      .refuses('grant_already_exists');
    granted()
      .when('issueClaimGrant', issue({ workerId: 'w3' }))
      .refuses('grant_already_exists');
    // One that is over counts no longer, also while nobody has noticed.
    granted()
      .when('issueClaimGrant', issue({ grantId: uuid(701), workerId: 'w3' }), LAST + 1)
      .answers({ kind: 'granted', grantId: uuid(701) })
      .leaves({ grantWorkerId: 'w3', grantExpiresAt: LAST + 1 + TTL_MS });
  });

  test('checks the capabilities of the worker', () => {
    const needs = () => given(created({ requiredCapabilities: ['eu', 'gpu'] }));
    needs()
      .when('issueClaimGrant', issue({ workerCapabilities: ['gpu'] }))
      .refuses('capability_mismatch', { missing: 'eu' });
    needs()
      .when('issueClaimGrant', issue({ kinds: ['other'] }))
      .refuses('capability_mismatch', { missing: 'eu,gpu', executionKind: 'kind' });
    needs()
      .when('issueClaimGrant', issue({ workerCapabilities: ['gpu', 'cpu', 'eu'], kinds: ['other', 'kind'] }))
      .answers({ kind: 'granted' });
  });

  test('refuses held work, and work of another lane', () => {
    const held = event('execution_held', { at: NOW, heldBy: 'ann', holdReason: '' });
    given(created(), held).when('issueClaimGrant', issue()).refuses('execution_not_eligible');
    given(created())
      .when('issueClaimGrant', issue({ laneId: 'other' }))
      .refuses('invalid_input', { field: 'laneId' });
    given(created())
      .when('issueClaimGrant', issue({ laneId: 'lane' }))
      .answers({ kind: 'granted' });
  });

  test('grants nothing in a paused lane; earlier grants can still be claimed', () => {
    const paused: Event = { type: 'lane_paused', laneId: 'lane', at: NOW, requestedBy: 'ann', reason: '' };
    given(created(), paused)
      .when('issueClaimGrant', issue())
      .refuses('execution_not_eligible', { laneState: 'paused' });
    given(...IN_CLASS.AX, paused)
      .when('issueReclaimGrant', issue())
      .answers({ kind: 'not_reclaimable', detail: 'lane_paused' })
      .nothingHappens();
    // A call that is repeated after a lost reply gets its grant.
    given(created(), ISSUED, paused)
      .when('issueClaimGrant', issue())
      .answers({ kind: 'granted', grantId: GRANT_ID })
      .nothingHappens();
    given(...IN_CLASS.AE, ISSUED, paused)
      .when('issueReclaimGrant', issue())
      .answers({ kind: 'granted', grantId: GRANT_ID })
      .nothingHappens();
    given(created(), ISSUED, paused).when('claimExecution', take()).answers({ kind: 'claimed' });
    given(created(), paused)
      .when('issueGrantAndClaim', { executionId: X, leaseId: uuid(102), attemptId: uuid(202) })
      .answers({ kind: 'claimed' });
  });

  test("records the scheduler's notes", () => {
    const notes = { capabilityHash: 'h', routeSnapshotJson: '{}', admissionSummary: 'slot 3' };
    given(created())
      .when('issueClaimGrant', issue(notes))
      .then({ type: 'grant_issued', ...notes });
    const none = { capabilityHash: undefined, routeSnapshotJson: undefined, admissionSummary: undefined };
    given(created())
      .when('issueClaimGrant', issue({ capabilityHash: '', routeSnapshotJson: '', admissionSummary: '' }))
      .then({ type: 'grant_issued', ...none });
  });

  test('is shown by explain', () => {
    const result = given(created(), ISSUED).when('issueClaimGrant', issue());
    expect(result.reads('describeExecution', { executionId: X }, NOW)).toMatchObject({
      outcome: { blockingReason: 'waiting_for_worker', blockingDetail: `granted to w2 until ${LAST}` },
    });
    expect(result.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { grant: { grantId: GRANT_ID, workerId: 'w2', workerInstanceId: 'w2-1', expiresAt: LAST } },
    });
  });
});

describe('a grant ends', () => {
  test('at its time, and the work returns to its place', () => {
    const other = created({ executionId: Y, at: START + 1 });
    const granted = () => given(created(), other, ISSUED);
    granted()
      .when('applyDue', { partition: PARTITION }, LAST)
      .answers({ grantsLapsed: 0, nextDueAt: LAST + 1 });
    granted()
      .when('applyDue', { partition: PARTITION }, LAST + 1)
      .answers({ kind: 'applied', grantsLapsed: 1 })
      .then({ type: 'grant_lapsed', executionId: X })
      .leaves(GONE)
      .when('claimForWorker', claimArgs(), LAST + 1)
      .answers({ kind: 'claimed', executions: [{ executionId: X }] });
  });

  test('before a deadline, and with the end of the execution', () => {
    given(created({ executionDeadlineAt: LAST }), ISSUED)
      .when('applyDue', { partition: PARTITION }, LAST)
      .answers({ grantsLapsed: 0, expired: [{ executionId: X, expireReason: 'execution_deadline' }] })
      .leaves(GONE);
    given(created(), ISSUED)
      .when('cancelExecution', { executionId: X, reason: 'why', source: 'operator_override' })
      .answers({ kind: 'cancelled' })
      .leaves(GONE);
  });

  test('with a hold, permanently', () => {
    given(created(), ISSUED)
      .when('holdExecution', { executionId: X })
      .leaves(GONE)
      .when('claimExecution', take(), NOW)
      .refuses('execution_not_leaseable')
      .when('releaseHold', { executionId: X }, NOW)
      .answers({ kind: 'hold_released' })
      .when('claimExecution', take(), NOW)
      .refuses('invalid_claim_grant');
  });

  test('with a block, which is possible only once the grant is unusable', () => {
    const block = { executionId: X, blockingReason: 'waiting_for_quota' } as const;
    given(created(), ISSUED).when('blockExecutionForAdmission', block, LAST).refuses('execution_not_eligible');
    given(created(), ISSUED)
      .when('blockRoute', { executionId: X }, LAST)
      .answers({ kind: 'not_blocked', reason: 'execution_not_eligible' });
    given(created(), ISSUED)
      .when('blockExecutionForAdmission', block, LAST + 1)
      .answers({ kind: 'blocked' })
      .leaves({ ...GONE, situation: 'blocked_quota' });
  });

  test('with the attempt of the lost owner', () => {
    const policy = {
      retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 10 }, retryableCategories: [] },
    } as never;
    const timed = [created({ policy }), claimed({ attemptTimeoutAt: LAST }), event('lease_revoked', { reason: 'r' })];
    given(...timed, ISSUED)
      .when('applyDue', { partition: PARTITION }, LAST)
      .answers({ attemptsTimedOut: [X] })
      .leaves({ ...GONE, situation: 'retry_backoff' });
  });
});

describe('claimExecution', () => {
  test.each(CLASSES)('in %s, granted where possible', (state) => {
    const isGranted = state.startsWith('R') || state === 'AE' || state === 'AR';
    const result = given(...IN_CLASS[state], ...(isGranted ? [ISSUED] : [])).when('claimExecution', take());
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'RI') result.refuses('use_claim_resumed_execution');
    else if (state !== 'RW') result.refuses('execution_not_leaseable');
    else {
      result
        .answers({
          kind: 'claimed',
          executionId: X,
          leaseId: uuid(102),
          leaseEpoch: 1,
          attemptId: uuid(202),
          attemptIndex: 0,
          attemptType: 'initial',
          claimKind: 'fresh',
          leaseExpiresAt: NOW + 5_000,
          executionKind: 'kind',
          tags: {},
        })
        .then({ type: 'execution_claimed', attemptType: 'initial', workerId: 'w2', workerInstanceId: 'w2-1' })
        .leaves({ ...GONE, situation: 'running' });
    }
  });

  test('with no grant, another grant, or one of another worker', () => {
    given(created()).when('claimExecution', take()).refuses('invalid_claim_grant');
    const granted = () => given(created(), ISSUED);
    granted()
      .when('claimExecution', take({ workerId: 'w3' }))
      .refuses('invalid_claim_grant');
    granted()
      .when('claimExecution', take({ grantId: uuid(701) }))
      .refuses('invalid_claim_grant');
    granted()
      .when('claimExecution', take({ laneId: 'other' }))
      .refuses('invalid_input', { field: 'laneId' });
    granted()
      .when('claimExecution', take({ grantId: GRANT_ID, laneId: 'lane' }))
      .answers({ kind: 'claimed' });
  });

  test('by another instance of the worker, unless the grant is strict', () => {
    const other = take({ workerInstanceId: 'w2-2' });
    given(created(), ISSUED).when('claimExecution', other).answers({ kind: 'claimed' });
    given(created(), { ...ISSUED, grantIsStrict: true } as typeof ISSUED)
      .when('claimExecution', other)
      .refuses('invalid_claim_grant');
    given(created(), { ...ISSUED, grantIsStrict: true } as typeof ISSUED)
      .when('claimExecution', take())
      .answers({ kind: 'claimed' });
  });

  test('up to and including the last millisecond of the grant', () => {
    given(created(), ISSUED).when('claimExecution', take(), LAST).answers({ kind: 'claimed' });
    given(created(), ISSUED)
      .when('claimExecution', take(), LAST + 1)
      .refuses('claim_grant_expired');
  });

  test('repeated after a lost reply gets the same lease while it is in force', () => {
    const first = given(created({ policy: { timeoutPolicy: { attemptTimeoutMs: 60_000 } } }), ISSUED).when(
      'claimExecution',
      take(),
    );
    first
      .when('claimExecution', take({ leaseTtlMs: 9_000 }), NOW + 10)
      .answers({
        kind: 'claimed',
        leaseExpiresAt: NOW + 5_000,
        attemptTimeoutAt: NOW + 60_000,
        attemptType: 'initial',
      })
      .nothingHappens()
      .when('claimExecution', take({ leaseId: uuid(103) }), NOW + 10)
      .refuses('execution_not_leaseable')
      .when('claimExecution', take({ attemptId: uuid(203) }), NOW + 10)
      .refuses('execution_not_leaseable')
      .when('claimExecution', take(), NOW + 5_000)
      .refuses('execution_not_leaseable');
  });

  test('begins a retry where one is pending', () => {
    const retrying = event('retry_scheduled', { failureCategory: 'c', failureReason: 'r', delayUntil: NOW });
    given(created(), claimed(), retrying, event('execution_promoted', { at: NOW }), ISSUED)
      .when('claimExecution', take())
      .answers({ attemptType: 'retry', attemptIndex: 1, leaseEpoch: 2 })
      .when('claimExecution', take(), NOW)
      .answers({ attemptType: 'retry', attemptIndex: 1 })
      .nothingHappens();
  });
});

describe('claimResumedExecution', () => {
  test.each(CLASSES)('in %s, granted where possible', (state) => {
    const isGranted = state.startsWith('R') || state === 'AE' || state === 'AR';
    const result = given(...IN_CLASS[state], ...(isGranted ? [ISSUED] : [])).when('claimResumedExecution', resume());
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'RW') result.refuses('not_a_resumed_execution');
    else if (state !== 'RI') result.refuses('execution_not_leaseable');
    else {
      result
        .answers({ kind: 'claimed', attemptId: FENCE.attemptId, attemptIndex: 0, claimKind: 'resumed', leaseEpoch: 2 })
        .then({ type: 'execution_resumed', attemptId: FENCE.attemptId, leaseId: uuid(102) })
        .leaves({ ...GONE, totalAttemptCount: 1 })
        .when('claimResumedExecution', resume(), NOW)
        .answers({ kind: 'claimed', leaseId: uuid(102) })
        .nothingHappens();
    }
  });

  test('needs a grant in time', () => {
    given(...IN_CLASS.RI)
      .when('claimResumedExecution', resume())
      .refuses('invalid_claim_grant');
    given(...IN_CLASS.RI, ISSUED)
      .when('claimResumedExecution', resume(), LAST + 1)
      .refuses('claim_grant_expired');
    given(...IN_CLASS.RI, ISSUED)
      .when('claimResumedExecution', resume({ laneId: 'other' }))
      .refuses('invalid_input');
  });
});

describe('issueReclaimGrant', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('issueReclaimGrant', issue());
    const granted = { kind: 'granted', claimKind: 'reclaimed', grantId: GRANT_ID, expiresAt: LAST };
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'AX') result.answers(granted).then({ type: 'lease_expired' }, { type: 'grant_issued' });
    else if (state === 'AE' || state === 'AR') result.answers(granted).then({ type: 'grant_issued' });
    else result.answers({ kind: 'not_reclaimable', detail: 'execution_not_reclaimable' }).nothingHappens();
  });

  test('names what the worker lacks, and changes nothing', () => {
    const lapsed = [created({ requiredCapabilities: ['gpu'] }), claimed({ leaseExpiresAt: NOW })];
    given(...lapsed)
      .when('issueReclaimGrant', issue({ kinds: ['other'] }))
      .answers({ kind: 'not_reclaimable', detail: 'capability_mismatch: gpu; kind kind' })
      .nothingHappens();
    given(...IN_CLASS.AE)
      .when('issueReclaimGrant', issue({ kinds: ['other'] }))
      .answers({ kind: 'not_reclaimable', detail: 'capability_mismatch: kind kind' });
  });

  test('is refused while another grant is live, in another lane, and while the execution is held', () => {
    given(...IN_CLASS.AE, ISSUED)
      .when('issueReclaimGrant', issue({ workerId: 'w3' }))
      .refuses('grant_already_exists')
      .when('issueReclaimGrant', issue({ grantId: uuid(701) }), NOW)
      .answers({ kind: 'granted', grantId: GRANT_ID })
      .nothingHappens();
    given(...IN_CLASS.AE)
      .when('issueReclaimGrant', issue({ laneId: 'other' }))
      .refuses('invalid_input');
    given(...IN_CLASS.AE, event('execution_held', { at: NOW, heldBy: 'ann', holdReason: '' }))
      .when('issueReclaimGrant', issue())
      .answers({ kind: 'not_reclaimable', detail: 'execution_not_reclaimable' });
  });

  test('ends work at the reclaim cap, also when its lapse was not recorded yet', () => {
    const policy = { maxReclaimCount: 0 };
    const capped = { kind: 'reclaim_cap_exceeded', executionId: X, reclaimCount: 0 };
    const failed = { type: 'execution_failed', failureCategory: 'max_reclaims_exceeded' } as const;
    given(created({ policy }), claimed({ leaseExpiresAt: NOW }))
      .when('issueReclaimGrant', issue())
      .answers(capped)
      .then({ type: 'lease_expired' }, { ...failed, purgeAt: slotEnd(NOW + RETENTION_MS) })
      .leaves({ situation: 'failed' });
    given(created({ policy }), claimed(), event('lease_revoked', { reason: 'r' }))
      .when('issueReclaimGrant', issue())
      .answers(capped)
      .then(failed);
  });
});

describe('reclaimExecution', () => {
  test.each(CLASSES)('in %s, granted where possible', (state) => {
    const isGranted = state.startsWith('R') || state === 'AE' || state === 'AR';
    const result = given(...IN_CLASS[state], ...(isGranted ? [ISSUED] : [])).when('reclaimExecution', take());
    if (state === 'none') result.refuses('execution_not_found');
    else if (state !== 'AE' && state !== 'AR') result.answers({ kind: 'not_reclaimable' }).nothingHappens();
    else {
      result
        .answers({ kind: 'claimed', claimKind: 'reclaimed', attemptType: 'reclaim', attemptIndex: 1, leaseEpoch: 2 })
        .then({ type: 'execution_claimed', attemptType: 'reclaim', attemptId: uuid(202) })
        .leaves({ ...GONE, leaseReclaimCount: 1, totalAttemptCount: 2, leaseRevokeReason: '' })
        .when('reclaimExecution', take(), NOW)
        .answers({ kind: 'claimed', claimKind: 'reclaimed', attemptType: 'reclaim' })
        .nothingHappens()
        // Whose grant it was does not matter any more.
        .when('completeExecution', { executionId: X, fence: FENCE }, NOW)
        .refuses('stale_lease');
    }
  });

  test('needs a grant of its worker, in time; any instance may use it', () => {
    const lost = [...IN_CLASS.AE, { ...ISSUED, grantIsStrict: true } as typeof ISSUED];
    const missing = { kind: 'grant_not_found', executionId: X };
    given(...IN_CLASS.AE)
      .when('reclaimExecution', take())
      .answers(missing)
      .nothingHappens();
    given(...lost)
      .when('reclaimExecution', take({ workerId: 'w3' }))
      .answers(missing);
    given(...lost)
      .when('reclaimExecution', take({ grantId: uuid(701) }))
      .answers(missing);
    given(...lost)
      .when('reclaimExecution', take(), LAST + 1)
      .answers(missing);
    given(...lost)
      .when('reclaimExecution', take({ laneId: 'other' }))
      .refuses('invalid_input');
    given(...lost)
      .when('reclaimExecution', take({ workerInstanceId: 'w2-9' }))
      .answers({ kind: 'claimed' });
  });

  test('at the cap ends the execution, with or without a grant; the policy takes precedence over the caller', () => {
    const cap = { kind: 'reclaim_cap_exceeded', executionId: X, reclaimCount: 0 };
    given(...IN_CLASS.AE)
      .when('reclaimExecution', { ...take(), maxReclaimCount: 0 })
      .answers(cap)
      .then({ type: 'execution_failed', failureReason: 'max_reclaims_exceeded' })
      .leaves({ situation: 'failed' });
    given(created({ policy: { maxReclaimCount: 1 } }), claimed(), event('lease_revoked', { reason: 'r' }), ISSUED)
      .when('reclaimExecution', { ...take(), maxReclaimCount: 0 })
      .answers({ kind: 'claimed' });
  });
});

describe('issueGrantAndClaim', () => {
  const operate = (facts: Partial<ArgsOf<'issueGrantAndClaim'>> = {}): ArgsOf<'issueGrantAndClaim'> => ({
    executionId: X,
    leaseDurationMs: 5_000,
    leaseId: uuid(102),
    attemptId: uuid(202),
    ...facts,
  });

  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('issueGrantAndClaim', operate());
    if (state === 'none') result.refuses('execution_not_found');
    else if (!['RW', 'RI', 'DI', 'BI'].includes(state)) result.refuses('execution_not_eligible');
    else {
      const isFresh = state === 'RW';
      result
        .answers({ kind: 'claimed', claimKind: isFresh ? 'fresh' : 'resumed', leaseExpiresAt: NOW + 5_000 })
        .then(
          { type: 'grant_issued', grantWorkerId: 'operator', grantExpiresAt: NOW },
          { type: isFresh ? 'execution_claimed' : 'execution_resumed', workerId: 'operator' },
        )
        .leaves({ ...GONE, situation: 'running', delayUntil: undefined, blockingDetail: '' })
        .when('issueGrantAndClaim', operate(), NOW)
        .answers({ kind: 'claimed', leaseId: uuid(102), claimKind: isFresh ? 'fresh' : 'resumed' })
        .nothingHappens();
    }
  });

  test('checks holds, live grants and the lane, but no capabilities', () => {
    given(created({ requiredCapabilities: ['gpu'] }))
      .when('issueGrantAndClaim', operate())
      .answers({ kind: 'claimed' });
    given(created(), event('execution_held', { at: NOW, heldBy: 'ann', holdReason: '' }))
      .when('issueGrantAndClaim', operate())
      .refuses('execution_not_eligible');
    given(created(), ISSUED)
      .when('issueGrantAndClaim', operate(), LAST)
      .refuses('grant_already_exists')
      .when('issueGrantAndClaim', operate(), LAST + 1)
      .answers({ kind: 'claimed' });
    given(created())
      .when('issueGrantAndClaim', operate({ laneId: 'other' }))
      .refuses('invalid_input');
  });

  test('takes a parked attempt before its time, permanently', () => {
    given(...IN_CLASS.DI)
      .when('issueGrantAndClaim', operate())
      .when('promoteDelayed', { executionId: X }, DELAYED_UNTIL)
      .answers({ kind: 'already_satisfied' });
  });
});

describe('scanEligibleExecutions', () => {
  const scan = (facts: object = {}) => ({ partition: PARTITION, laneId: 'lane', ...facts });
  const world = () =>
    given(
      created({ at: START }),
      created({ executionId: idOf(2), at: START + 1, priority: 9_000 }),
      created({ executionId: idOf(3), at: START + 2, requiredCapabilities: ['gpu'], executionKind: 'render' }),
      created({ executionId: idOf(4), at: START + 3, laneId: 'other' }),
      created({ executionId: idOf(5), at: START + 3 }),
      event('execution_held', { executionId: idOf(5), heldBy: 'ann', holdReason: '' }),
      created({ executionId: idOf(6), at: START + 4 }),
      claimed({ executionId: idOf(6) }),
      event('lease_revoked', { executionId: idOf(6), reason: 'r' }),
      created({ executionId: idOf(7), at: START + 5 }),
    ).when('issueClaimGrant', issue({ executionId: idOf(7) }));

  test.each([
    ['what waits, most urgent first', {}, [2, 1, 3]],
    ['no more than is wanted', { limit: 2 }, [2, 1]],
    ['nothing', { limit: 0 }, []],
    ['what was lost', { among: 'lost' }, [6]],
    ['what a worker can do', { workerCapabilities: [] }, [2, 1]],
    ['what a capable worker can do', { workerCapabilities: ['gpu'] }, [2, 1, 3]],
    ['work of a kind', { kinds: ['render'] }, [3]],
    ['work of another lane', { laneId: 'other' }, [4]],
  ])('shows %s', (_, facts, expected) => {
    expect(world().reads('scanEligibleExecutions', scan(facts), NOW)).toMatchObject({ outcome: expected.map(idOf) });
  });
});
