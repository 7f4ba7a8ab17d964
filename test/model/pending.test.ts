/** Waitpoints that are made before their suspension: what comes to them is kept, until a suspension uses them or time is over. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ArgsOf } from '../../model/machine.js';
import type { WaitpointToken } from '../../model/signing/token.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import {
  claimArgs,
  claimed,
  CLASSES,
  created,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  PARTITION,
  uuid,
  X,
  type Then,
} from './dsl.js';

const KEY = 'wpk:a';
const SECRET = new Uint8Array(32).fill(1);
const W = uuid(511);
const owner = { executionId: X, fence: FENCE };

const create = (args: Partial<ArgsOf<'createPendingWaitpoint'>> = {}): ArgsOf<'createPendingWaitpoint'> => ({
  ...owner,
  waitpointId: W,
  waitpointKey: KEY,
  expiresInMs: 1_000,
  ...args,
});
const single: ResumeCondition = { type: 'single', waitpointKey: KEY, matcher: { type: 'by_name', name: 'go' } };
const suspend = (args: Partial<ArgsOf<'suspendExecution'>> = {}): ArgsOf<'suspendExecution'> => ({
  ...owner,
  suspensionId: uuid(500),
  waitpoints: [{ waitpointId: W, usePending: true }],
  resumeCondition: single,
  ...args,
});
const approve = (n: number, signalName = 'go', decidedBy = ''): ArgsOf<'deliverApprovalSignal'> => ({
  executionId: X,
  waitpointId: W,
  signalId: uuid(600 + n),
  signalName,
  idempotencySuffix: String(n),
  decidedBy,
});
const rotate = { partition: PARTITION, newKid: 'k1', newSecret: SECRET };

/** A running execution of a partition with a key. */
const running = (...history: readonly Event[]): Then =>
  given(...(history.length > 0 ? history : IN_CLASS.AL)).when('rotateWaitpointHmacSecret', rotate);
/** With a waitpoint that waits for a suspension. */
const made = (): Then => running().when('createPendingWaitpoint', create(), NOW);

describe('createPendingWaitpoint', () => {
  test.each(CLASSES)('in %s', (state) => {
    const then = given(...IN_CLASS[state])
      .when('rotateWaitpointHmacSecret', rotate)
      .when('createPendingWaitpoint', create(), NOW);
    if (state === 'none') then.refuses('execution_not_found');
    else if (state === 'AL')
      then
        .answers({ kind: 'created', waitpointId: W, waitpointKey: KEY, expiresAt: NOW + 1_000 })
        .then({ type: 'pending_waitpoint_created', waitpointId: W, waitpointKey: KEY, expiresAt: NOW + 1_000 })
        .leaves({ situation: 'running', pendingExpiresAt: NOW + 1_000 });
    else if (state === 'AX' || state === 'AE') then.refuses('lease_expired');
    else if (state === 'AR') then.refuses('lease_revoked');
    else then.refuses('execution_not_active');
  });

  test('needs a fence, and a key of the partition', () => {
    running()
      .when('createPendingWaitpoint', create({ fence: undefined }), NOW)
      .refuses('fence_required');
    running()
      .when('createPendingWaitpoint', create({ fence: { leaseId: FENCE.leaseId } }), NOW)
      .refuses('partial_fence_triple');
    running()
      .when('createPendingWaitpoint', create({ fence: { ...FENCE, leaseEpoch: 9 } }), NOW)
      .refuses('stale_lease');
    given(...IN_CLASS.AL)
      .when('createPendingWaitpoint', create(), NOW)
      .refuses('hmac_secret_not_initialized');
    running(created(), claimed({ attemptTimeoutAt: NOW }))
      .when('createPendingWaitpoint', create(), NOW)
      .refuses('attempt_timed_out');
    running(created({ executionDeadlineAt: NOW }), claimed())
      .when('createPendingWaitpoint', create(), NOW)
      .refuses('execution_deadline_passed');
  });

  test('again is the same waitpoint, under the current key', () => {
    const again = made().when('createPendingWaitpoint', create({ expiresInMs: 5 }), NOW + 9);
    again.answers({ kind: 'created', expiresAt: NOW + 1_000 }).nothingHappens();
    const { waitpointToken: token } = (again.decision as { outcome: { waitpointToken: WaitpointToken } }).outcome;
    expect(again.reads('readWaitpointToken', { executionId: X, waitpointId: W }, NOW)).toMatchObject({
      outcome: token,
    });
    made()
      .when('createPendingWaitpoint', create({ waitpointKey: 'b' }), NOW)
      .refuses('waitpoint_already_exists');
  });

  test('stops at its limits', () => {
    made()
      .when('createPendingWaitpoint', create({ waitpointId: uuid(512), maxWaitpointsPerExecution: 1 }), NOW)
      .refuses('waitpoint_limit_exceeded', { limit: 'execution' });
    let many = running();
    for (let n = 0; n < 64; n++)
      many = many.when('createPendingWaitpoint', create({ waitpointId: uuid(2_000 + n) }), NOW);
    many.when('createPendingWaitpoint', create(), NOW).refuses('waitpoint_limit_exceeded', { limit: 'pending' });
  });
});

describe('a signal to a waitpoint that no suspension has used', () => {
  test('is kept, and recognised when it is repeated', () => {
    made()
      .when('deliverApprovalSignal', approve(1), NOW)
      .answers({ kind: 'accepted', effect: 'buffered_for_pending_waitpoint' })
      .when('deliverApprovalSignal', { ...approve(1), signalId: uuid(699) }, NOW)
      .answers({ kind: 'duplicate', existingSignalId: uuid(601) });
  });

  test('is refused once the waitpoint has expired, recorded or not', () => {
    made()
      .when('deliverApprovalSignal', approve(1), NOW + 1_000)
      .refuses('pending_waitpoint_expired');
    made()
      .when('expirePendingWaitpoint', { executionId: X, waitpointId: W }, NOW + 1_000)
      .when('deliverApprovalSignal', approve(1), NOW + 1_000)
      .refuses('waitpoint_closed');
  });
});

describe('a suspension that uses an existing waitpoint', () => {
  test('waits for missing signals', () => {
    made()
      .when('deliverApprovalSignal', approve(1, 'no'), NOW)
      .when('suspendExecution', suspend(), NOW + 5)
      .answers({ kind: 'suspended', waitpoints: [{ waitpointId: W, waitpointKey: KEY }] })
      .leaves({ situation: 'suspended', pendingExpiresAt: undefined })
      .when('deliverApprovalSignal', approve(2), NOW + 6)
      .answers({ effect: 'resume_condition_satisfied' });
  });

  test('keeps the lease when the stored signals are enough, and names them', () => {
    const condition: ResumeCondition = { type: 'count', n: 2, countKind: 'distinct_sources', waitpoints: [KEY] };
    const done = made()
      .when('deliverApprovalSignal', approve(1, 'go', 'ann'), NOW)
      .when('deliverApprovalSignal', approve(2, 'go', 'ann'), NOW)
      .when('deliverApprovalSignal', approve(3, 'go', 'bob'), NOW)
      .when('deliverApprovalSignal', approve(4, 'go', 'cleo'), NOW)
      .when('suspendExecution', suspend({ resumeCondition: condition }), NOW + 5)
      .answers({ kind: 'already_satisfied', suspensionId: uuid(500) })
      .then({ type: 'suspension_skipped' })
      .leaves({ situation: 'running', currentLeaseId: FENCE.leaseId, pendingExpiresAt: undefined });
    const read = done.reads('observeSignals', { executionId: X, attemptIndex: 0 }, NOW);
    expect(read).toMatchObject({ outcome: { signals: [{ sourceIdentity: 'ann' }, { sourceIdentity: 'bob' }] } });
    const listed = done.reads('listSignals', { executionId: X }, NOW) as { outcome: { signals: { effect: string }[] } };
    expect(listed.outcome.signals.map(({ effect }) => effect)).toEqual([
      'appended_to_waitpoint',
      'appended_to_waitpoint_duplicate',
      'resume_condition_satisfied',
      'buffered_for_pending_waitpoint',
    ]);
    // The reply was lost.
    done
      .when('suspendExecution', suspend({ resumeCondition: condition }), NOW + 6)
      .answers({ kind: 'already_satisfied' })
      .nothingHappens();
    done.when('deliverApprovalSignal', approve(5), NOW + 6).refuses('waitpoint_closed');
  });

  test('is repeated only by the owner that kept its lease: the id of another owner is refused', () => {
    const released = made()
      .when('deliverApprovalSignal', approve(1), NOW)
      .when('suspendExecution', suspend(), NOW)
      .answers({ kind: 'already_satisfied' })
      .when('releaseLease', owner, NOW)
      .when('claimForWorker', claimArgs(), NOW);
    const fence = { leaseId: uuid(102), leaseEpoch: 2, attemptId: FENCE.attemptId };
    released.when('suspendExecution', suspend({ fence }), NOW).refuses('idempotency_conflict');
  });

  test('is refused for a waitpoint that is missing, used or closed', () => {
    running().when('suspendExecution', suspend(), NOW).refuses('waitpoint_not_found');
    made()
      .when('suspendExecution', suspend(), NOW + 1_000)
      .refuses('pending_waitpoint_expired');
    made()
      .when('closeWaitpoint', { ...owner, waitpointId: W }, NOW)
      .when('suspendExecution', suspend(), NOW)
      .refuses('waitpoint_not_pending');
    made()
      .when('suspendExecution', suspend({ resumeCondition: { ...single, waitpointKey: 'b' } as ResumeCondition }), NOW)
      .refuses('invalid_input', { field: 'resumeCondition', reason: 'waitpoint_key_mismatch' });
    const other: ResumeCondition = {
      type: 'all_of',
      members: [single, { ...single, waitpointKey: 'b' } as ResumeCondition],
    };
    made()
      .when('suspendExecution', suspend({ resumeCondition: other }), NOW)
      .refuses('invalid_input', {
        field: 'resumeCondition',
        reason: 'referenced_waitpoint_key_missing_binding: b',
      });
    given(...IN_CLASS.AL)
      .when('suspendExecution', suspend({ waitpoints: [{ waitpointId: W, waitpointKey: KEY }], tokens: true }), NOW)
      .refuses('hmac_secret_not_initialized');
    running()
      .when(
        'suspendExecution',
        suspend({ waitpoints: [{ waitpointId: W, waitpointKey: KEY }], maxWaitpointsPerExecution: 1, tokens: true }),
        NOW,
      )
      .answers({ kind: 'suspended', waitpoints: [{ waitpointId: W }] });
    made()
      .when(
        'suspendExecution',
        suspend({ waitpoints: [{ waitpointId: uuid(512), waitpointKey: KEY }], maxWaitpointsPerExecution: 1 }),
        NOW,
      )
      .refuses('waitpoint_limit_exceeded', { limit: 'execution' });
  });
});

describe('the idempotency key of a suspension', () => {
  const named = suspend({ waitpoints: [{ waitpointId: W, waitpointKey: KEY }], idempotencyKey: 'gate', tokens: true });

  test('gives the first answer to the same request, whatever ids it has', () => {
    const first = running().when('suspendExecution', named, NOW);
    const again = first.when('suspendExecution', { ...named, suspensionId: uuid(501), fence: undefined }, NOW + 9);
    again.answers({ kind: 'suspended', suspensionId: uuid(500), superseded: false }).nothingHappens();
    first
      .when('suspendExecution', { ...named, reasonCode: 'manual_pause' }, NOW)
      .refuses('idempotency_conflict')
      .when('resumeExecution', { executionId: X }, NOW)
      .when('suspendExecution', named, NOW)
      .answers({ kind: 'suspended', superseded: true });
  });

  test('covers an explicit timeout behaviour, because without one the policy of the execution applies', () => {
    const first = running().when('suspendExecution', named, NOW);
    first
      .when('suspendExecution', { ...named, timeoutBehavior: 'fail' }, NOW)
      .refuses('idempotency_conflict')
      .nothingHappens();
  });

  test('covers the id of an existing waitpoint', () => {
    const other = uuid(513);
    const use = (waitpointId: string) =>
      suspend({ waitpoints: [{ waitpointId, usePending: true }], idempotencyKey: 'gate' });
    made()
      .when('createPendingWaitpoint', { ...owner, waitpointId: other, waitpointKey: KEY, expiresInMs: 60_000 }, NOW)
      .when('suspendExecution', use(W), NOW)
      .when('suspendExecution', { ...use(W), suspensionId: uuid(501) }, NOW)
      .answers({ kind: 'suspended', suspensionId: uuid(500) })
      .when('suspendExecution', { ...use(other), suspensionId: uuid(501) }, NOW)
      .refuses('idempotency_conflict');
  });

  test('is kept a minute longer than the suspension, or for seven days', () => {
    const timed = running().when('suspendExecution', { ...named, timeoutAt: NOW + 10 }, NOW);
    timed.when('suspendExecution', { ...named, timeoutAt: NOW + 10 }, NOW + 60_009).answers({ kind: 'suspended' });
    timed
      .when('suspendExecution', { ...named, timeoutAt: NOW + 10, suspensionId: uuid(501) }, NOW + 60_010)
      .refuses('execution_not_active');
    running()
      .when('suspendExecution', named, NOW)
      .when('suspendExecution', { ...named, suspensionId: uuid(501) }, NOW + 604_800_000)
      .refuses('execution_not_active');
  });
});

describe('closeWaitpoint', () => {
  const close = { ...owner, waitpointId: W };

  test('closes a waitpoint that no suspension has used, once', () => {
    const closed = made().when('closeWaitpoint', close, NOW + 1);
    closed
      .answers({ kind: 'closed' })
      .then({ type: 'pending_waitpoint_closed', waitpointId: W, closeReason: 'proactive_close' })
      .leaves({ situation: 'running', pendingExpiresAt: undefined });
    closed.when('closeWaitpoint', close, NOW + 2).answers({ kind: 'already_satisfied', reason: 'already_closed' });
  });

  test('is for the owner only, and for unused waitpoints only', () => {
    running().when('closeWaitpoint', close, NOW).refuses('waitpoint_not_found');
    made()
      .when('closeWaitpoint', { ...close, fence: undefined }, NOW)
      .refuses('fence_required');
    made()
      .when('closeWaitpoint', { ...close, fence: { leaseEpoch: 1 } }, NOW)
      .refuses('partial_fence_triple');
    made()
      .when('closeWaitpoint', { ...close, fence: { ...FENCE, leaseEpoch: 2 } }, NOW)
      .refuses('stale_lease');
    made()
      .when('closeWaitpoint', close, NOW + 40_000)
      .refuses('lease_expired');
    made()
      .when('revokeLease', { executionId: X, reason: 'r' }, NOW)
      .when('closeWaitpoint', close, NOW)
      .refuses('lease_revoked');
    made().when('releaseLease', owner, NOW).when('closeWaitpoint', close, NOW).refuses('execution_not_active');
    made().when('suspendExecution', suspend(), NOW).when('closeWaitpoint', close, NOW).refuses('waitpoint_not_pending');
    given().when('closeWaitpoint', close, NOW).refuses('execution_not_found');
  });
});

describe('expirePendingWaitpoints', () => {
  const expire = { executionId: X, waitpointId: W };

  test('ends unused waitpoints, whichever call applies it', () => {
    const facts = { situation: 'running', pendingExpiresAt: undefined } as const;
    made()
      .when('expirePendingWaitpoint', expire, NOW + 1_000)
      .answers({ kind: 'waitpoint_expired' })
      .leaves(facts);
    made()
      .when('createPendingWaitpoint', create({ waitpointId: uuid(512), expiresInMs: 999 }), NOW)
      .when('applyDue', { partition: PARTITION }, NOW + 1_000)
      .answers({ kind: 'applied', waitpointsExpired: 2 })
      .then({ type: 'pending_waitpoint_expired', waitpointId: W }, { type: 'pending_waitpoint_expired' })
      .leaves(facts);
    made()
      .when('applyDue', { partition: PARTITION }, NOW + 999)
      .answers({ waitpointsExpired: 0, nextDueAt: NOW + 1_000 });
  });

  test('checks the time again', () => {
    const answers = (then: Then, reason: string) => then.answers({ kind: 'already_satisfied', reason });
    answers(running().when('expirePendingWaitpoint', expire, NOW), 'not_found_cleaned');
    answers(made().when('expirePendingWaitpoint', expire, NOW + 999), 'not_yet_due');
    const used = made().when('suspendExecution', suspend(), NOW);
    answers(used.when('expirePendingWaitpoint', expire, NOW + 1_000), 'not_pending_cleaned');
  });
});

describe('a waitpoint that no suspension has used', () => {
  test('outlives its attempt, because its token was handed out', () => {
    const next = { leaseId: uuid(102), leaseEpoch: 2, attemptId: uuid(202) };
    running()
      .when('createPendingWaitpoint', create({ expiresInMs: 100_000 }), NOW)
      .when('markLeaseExpiredIfDue', { executionId: X }, NOW + 40_000)
      .when('deliverApprovalSignal', approve(1), NOW + 40_000)
      .answers({ effect: 'buffered_for_pending_waitpoint' })
      .when('claimForWorker', claimArgs(), NOW + 40_000)
      .when('suspendExecution', suspend({ fence: next }), NOW + 40_001)
      .answers({ kind: 'already_satisfied' });
  });

  test.each([
    ['completeExecution', owner, 'attempt_ended'],
    ['failExecution', { ...owner, failureReason: 'r', failureClass: 'permanent' }, 'attempt_ended'],
    ['cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, 'cancelled'],
  ] as const)('ends with its execution: %s', (name, args, closeReason) => {
    const ended = made().when(name, args, NOW + 1);
    expect(ended.execution?.waiting).toMatchObject({
      pendingIds: [],
      waitpoints: { [W]: { waitpointState: 'closed', closeReason, closedAt: NOW + 1 } },
    });
    expect(ended.execution?.pendingExpiresAt).toBeUndefined();
  });
});
