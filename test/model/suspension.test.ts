/** Waiting: an execution is suspended until signals satisfy its condition, an operator says so, or time is over. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ArgsOf } from '../../model/machine.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import { faultOf } from '../../model/suspension/validation.js';
import { parseCommand } from '../../src/backend/boundary.js';
import {
  claimArgs,
  claimed,
  CLASSES,
  created,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  START,
  SUSPENDED_UNTIL,
  uuid,
  X,
  type Then,
} from './dsl.js';

const KEY = 'wpk:a';
const single: ResumeCondition = { type: 'single', waitpointKey: KEY, matcher: { type: 'by_name', name: 'go' } };
const binding = (n: number, waitpointKey: string) => ({ waitpointId: uuid(510 + n), waitpointKey });

const suspend = (args: Partial<ArgsOf<'suspendExecution'>> = {}): ArgsOf<'suspendExecution'> => ({
  executionId: X,
  fence: FENCE,
  suspensionId: uuid(500),
  waitpoints: [binding(1, KEY)],
  resumeCondition: single,
  ...args,
});

const approve = (n: number, args: Partial<ArgsOf<'deliverApprovalSignal'>> = {}): ArgsOf<'deliverApprovalSignal'> => ({
  executionId: X,
  waitpointId: uuid(511),
  signalId: uuid(600 + n),
  signalName: 'go',
  idempotencySuffix: String(n),
  ...args,
});

const suspended = (args: Partial<ArgsOf<'suspendExecution'>> = {}, history: readonly Event[] = IN_CLASS.AL): Then =>
  given(...history).when('suspendExecution', suspend(args));

type Facts = Partial<ArgsOf<'deliverApprovalSignal'>>;

/** The reason for which a suspension is refused before anything is stored. */
function faultIn(args: Partial<ArgsOf<'suspendExecution'>>): unknown {
  try {
    return parseCommand('suspendExecution', suspend(args), 'memory');
  } catch (error) {
    return (error as { detail?: { reason?: string } }).detail?.reason;
  }
}

const effectOf = (then: Then): unknown => then.decision.ok && (then.decision.outcome as { effect?: string }).effect;

describe('suspendExecution', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('suspendExecution', suspend({ waitpoints: [binding(9, KEY)] }));
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'AL')
      result
        .answers({ kind: 'suspended', executionId: X, suspensionId: uuid(500), publicState: 'suspended' })
        .leaves({ situation: 'suspended', nextAttempt: 'resume', currentLeaseId: undefined })
        .leavesState({
          lifecyclePhase: 'suspended',
          ownershipState: 'unowned',
          eligibilityState: 'not_applicable',
          blockingReason: 'waiting_for_signal',
          attemptState: 'attempt_interrupted',
          publicState: 'suspended',
        });
    // The very suspension that it is in.
    else if (state === 'SW') result.answers({ kind: 'suspended' }).nothingHappens();
    else if (state === 'AX' || state === 'AE') result.refuses('lease_expired');
    else if (state === 'AR') result.refuses('lease_revoked');
    else result.refuses('execution_not_active');
  });

  test('in another suspension, or by another owner', () => {
    given(...IN_CLASS.SW)
      .when('suspendExecution', suspend({ suspensionId: uuid(499) }))
      .refuses('execution_not_active');
    given(...IN_CLASS.SW)
      .when('suspendExecution', suspend({ fence: { ...FENCE, attemptId: uuid(999) } }))
      .refuses('execution_not_active');
    suspended({ fence: { ...FENCE, leaseEpoch: 2 } }).refuses('stale_lease');
    suspended({ fence: undefined }).refuses('fence_required');
    suspended({ fence: { leaseId: FENCE.leaseId } }).refuses('partial_fence_triple');
  });

  test('of an attempt, or an execution, that has timed out is refused', () => {
    suspended({}, [created(), claimed({ attemptTimeoutAt: NOW })]).refuses('attempt_timed_out');
    suspended({}, [created({ executionDeadlineAt: NOW }), claimed()]).refuses('execution_deadline_passed');
  });

  test('that was resumed is answered as before when its worker repeats the call, until a worker claims the execution', () => {
    const resumed = suspended().when('resumeExecution', { executionId: X }, NOW);
    const again = suspend();
    resumed
      .when('suspendExecution', again, NOW)
      .answers({ kind: 'suspended', suspensionId: uuid(500), superseded: true })
      .nothingHappens();
    resumed.when('suspendExecution', suspend({ suspensionId: uuid(499) }), NOW).refuses('execution_not_active');
    resumed.when('claimForWorker', claimArgs(), NOW).when('suspendExecution', again, NOW).refuses('stale_lease');
  });

  test('with an earlier waitpoint is refused', () => {
    suspended()
      .when('resumeExecution', { executionId: X }, NOW)
      .when('claimForWorker', claimArgs(), NOW)
      .when(
        'suspendExecution',
        suspend({
          suspensionId: uuid(505),
          fence: { leaseId: uuid(102), leaseEpoch: 2, attemptId: FENCE.attemptId },
        }),
        NOW,
      )
      .refuses('waitpoint_already_exists', { waitpointId: uuid(511) });
  });

  test('with the id of the last one, or of one that timed out, is refused and changes nothing', () => {
    const fence = { leaseId: uuid(102), leaseEpoch: 2, attemptId: FENCE.attemptId };
    const next = (n: number, more: object) => suspend({ fence, waitpoints: [binding(n, KEY)], ...more });
    const resumed = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior: 'auto_resume_with_timeout_signal' })
      .when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL)
      .when('claimForWorker', claimArgs(), SUSPENDED_UNTIL);
    resumed
      .when('suspendExecution', next(2, {}), SUSPENDED_UNTIL)
      .refuses('idempotency_conflict', { suspensionId: uuid(500) });
    resumed
      .when('suspendExecution', next(2, { suspensionId: uuid(501) }), SUSPENDED_UNTIL)
      .when('resumeExecution', { executionId: X }, SUSPENDED_UNTIL)
      .when('claimForWorker', claimArgs({ claims: [{ leaseId: uuid(103), attemptId: uuid(203) }] }), SUSPENDED_UNTIL)
      .when('suspendExecution', next(3, { fence: { ...fence, leaseId: uuid(103), leaseEpoch: 3 } }), SUSPENDED_UNTIL)
      .refuses('idempotency_conflict', { suspensionId: uuid(500) });
  });

  test('keeps the rest of the attempt for the resumption', () => {
    suspended({}, [created(), claimed({ attemptTimeoutAt: NOW + 700 })])
      .leaves({ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: 700 })
      .when('deliverApprovalSignal', approve(1), NOW + 5_000)
      .leaves({ situation: 'ready', attemptTimeoutRemainingMs: 700 })
      .when('claimForWorker', claimArgs(), NOW + 6_000)
      .answers({
        kind: 'claimed',
        executions: [
          { claimKind: 'resumed', attemptId: FENCE.attemptId, leaseEpoch: 2, attemptTimeoutAt: NOW + 6_700 },
        ],
      });
  });

  test.each([
    ['waiting_for_approval', 'waiting_for_approval'],
    ['waiting_for_callback', 'waiting_for_callback'],
    ['waiting_for_tool_result', 'waiting_for_tool_result'],
    ['waiting_for_operator_review', 'paused_by_operator'],
    ['manual_pause', 'paused_by_operator'],
    ['paused_by_policy', 'paused_by_policy'],
    ['paused_by_budget', 'waiting_for_budget'],
    ['step_boundary', 'waiting_for_signal'],
  ] as const)('because of %s reads as %s', (reasonCode, blockingReason) => {
    suspended({ reasonCode }).leavesState({ blockingReason });
  });
});

const all = (...members: ResumeCondition[]): ResumeCondition => ({ type: 'all_of', members });
const one = (waitpointKey: string): ResumeCondition => ({
  type: 'single',
  waitpointKey,
  matcher: { type: 'wildcard' },
});
type Count = Extract<ResumeCondition, { type: 'count' }>;
const count = (n: number, countKind: Count['countKind'], ...waitpoints: string[]): ResumeCondition => ({
  type: 'count',
  n,
  countKind,
  waitpoints,
});
const A = binding(1, 'a');
const B = binding(2, 'b');

describe('a condition is checked before anything is stored', () => {
  test.each<[string, ArgsOf<'suspendExecution'>['waitpoints'], ResumeCondition, string]>([
    ['no waitpoint', [], one('a'), 'waitpoints_empty'],
    ['another key', [A], one('b'), 'waitpoint_key_mismatch'],
    [
      'an existing waitpoint behind the first',
      [A, B, { waitpointId: uuid(513), usePending: true }],
      all(one('a'), one('b')),
      'additional_waitpoint_binding_must_be_fresh at waitpoints[2]',
    ],
    [
      'an empty key before an existing waitpoint',
      [A, binding(2, ''), { waitpointId: uuid(513), usePending: true }],
      one('a'),
      'additional_waitpoint_binding_empty_key at waitpoints[1]',
    ],
    ['an empty key of the first', [binding(1, '')], one(''), 'additional_waitpoint_binding_empty_key at waitpoints[0]'],
    [
      'an existing waitpoint with others',
      [{ waitpointId: uuid(513), usePending: true }, A],
      one('a'),
      'use_pending_with_extras_unsupported',
    ],
    ['an empty key', [A, binding(2, '')], all(one('a')), 'additional_waitpoint_binding_empty_key at waitpoints[1]'],
    ['a key twice', [A, binding(2, 'a')], all(one('a')), 'duplicate_waitpoint_binding: a'],
    ['an id twice', [A, binding(1, 'b')], all(one('a'), one('b')), 'duplicate_waitpoint_binding: b'],
    ['an unbound key', [A], all(one('a'), one('b')), 'referenced_waitpoint_key_missing_binding: b'],
    ['a key for nothing', [A, B], all(one('a')), 'extra_binding_not_referenced_by_condition: b'],
    ['only a timeout, and none', [A], { type: 'timeout_only' }, 'timeout_only_without_deadline'],
    [
      'an empty name',
      [A],
      { type: 'single', waitpointKey: 'a', matcher: { type: 'by_name', name: '' } },
      'resume_condition: empty signal name (use Wildcard instead)',
    ],
    [
      "a name of the engine's",
      [A],
      all({ type: 'single', waitpointKey: 'a', matcher: { type: 'by_name', name: '__x' } }),
      'resume_condition: reserved signal name: __x',
    ],
    ['no members', [A], all(one('a'), all()), 'allof_empty_members at path members[1]'],
    ['a count of none', [A], count(0, 'distinct_signals', 'a'), 'count_n_zero at path <root>'],
    [
      'a count over nothing',
      [A],
      all(one('a'), count(1, 'distinct_signals')),
      'count_waitpoints_empty at path members[1]',
    ],
    [
      'more waitpoints than there are',
      [A],
      all(all(count(2, 'distinct_waitpoints', 'a', 'a'))),
      'count_exceeds_waitpoint_set: n=2 > waitpoints.len()=1 at path members[0].members[0]',
    ],
    ['what can never be', [A], all(one('a'), { type: 'operator_only' }), 'leaf_never_satisfiable at path members[1]'],
    [
      'too deep',
      [A],
      all(all(all(all(all(one('a')))))),
      'depth 5 exceeds cap 4 at path members[0].members[0].members[0].members[0]',
    ],
    ['too large', [A], all(...Array.from({ length: 256 }, () => one('a'))), 'condition exceeds 256 nodes'],
    [
      'too long',
      [A],
      all(...Array.from({ length: 5 }, () => count(1, 'distinct_sources', ...Array<string>(205).fill('a')))),
      'condition exceeds 1024 waitpoint keys',
    ],
  ])('%s', (_, waitpoints, resumeCondition, fault) => {
    expect(faultOf({ waitpoints, resumeCondition })).toBe(fault);
    expect(() => parseCommand('suspendExecution', suspend({ waitpoints, resumeCondition }), 'memory')).toThrow(
      expect.objectContaining({ code: 'invalid_input', detail: { field: 'arguments', reason: fault } }),
    );
  });

  test('and accepted if it is valid, four levels deep', () => {
    const deep = all(all(all(count(1, 'distinct_sources', 'a'))));
    expect(faultOf({ waitpoints: [A], resumeCondition: deep })).toBeUndefined();
    const large = all(...Array.from({ length: 255 }, () => one('a')));
    expect(faultOf({ waitpoints: [A], resumeCondition: large })).toBeUndefined();
    const long = all(...Array.from({ length: 4 }, () => count(1, 'distinct_sources', ...Array<string>(256).fill('a'))));
    expect(faultOf({ waitpoints: [A], resumeCondition: long })).toBeUndefined();
    expect(faultOf({ waitpoints: [A], resumeCondition: { type: 'operator_only' } })).toBeUndefined();
  });
});

describe('deliverApprovalSignal', () => {
  test.each(CLASSES)('in %s, without a wait', (state) => {
    const result = given(...IN_CLASS[state]).when('deliverApprovalSignal', approve(1));
    result.refuses(state === 'none' ? 'execution_not_found' : 'waitpoint_not_found');
  });

  test('takes a suffix of up to 64 bytes', () => {
    const approved = (idempotencySuffix: string) => () =>
      parseCommand('deliverApprovalSignal', approve(1, { idempotencySuffix }), 'memory');
    for (const longest of ['s'.repeat(64), 'é'.repeat(32)]) {
      expect(approved(longest)).not.toThrow();
      expect(approved(`${longest}s`)).toThrow('idempotencySuffix: must be 1 to 64 bytes');
    }
  });

  test('resumes the execution, at once or after a delay', () => {
    suspended()
      .when('deliverApprovalSignal', approve(1, { decidedBy: 'ann' }), NOW)
      .answers({ kind: 'accepted', signalId: uuid(601), effect: 'resume_condition_satisfied' })
      .then(
        { type: 'signal_accepted', signalId: uuid(601), sourceIdentity: 'ann', signalCategory: 'approval' },
        { type: 'suspension_closed', closeReason: 'resumed', resumeTrigger: 'signal', closerSignalId: uuid(601) },
      )
      .leaves({ situation: 'ready', nextAttempt: 'resume', dueAt: undefined });
    const delayed = suspended({ resumePolicy: { resumeDelayMs: 50 } }).when('deliverApprovalSignal', approve(1), NOW);
    expect(delayed.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { blockingDetail: `resumption delayed until ${NOW + 50}` },
    });
    delayed
      .leaves({ situation: 'resume_delay', dueAt: NOW + 50, delayUntil: NOW + 50 })
      .leavesState({ blockingReason: 'waiting_for_resume_delay', publicState: 'delayed' })
      .when('promoteDelayed', { executionId: X }, NOW + 50)
      .answers({ kind: 'promoted' });
  });

  test('counts once: the same decision, or the same id, is a duplicate also when it is late', () => {
    const done = suspended().when('deliverApprovalSignal', approve(1), NOW);
    done
      .when('deliverApprovalSignal', approve(1, { signalId: uuid(699) }), NOW + 1)
      .answers({ kind: 'duplicate', existingSignalId: uuid(601) })
      .nothingHappens();
    done
      .when('deliverApprovalSignal', approve(2, { signalId: uuid(601) }), NOW + 1)
      .answers({ kind: 'duplicate', existingSignalId: uuid(601) });
    done.when('deliverApprovalSignal', approve(2), NOW + 1).refuses('waitpoint_closed');
    done
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, NOW + 2)
      .when('deliverApprovalSignal', approve(3), NOW + 2)
      .refuses('target_not_signalable');
  });

  test('tells names and suffixes with colons apart', () => {
    let it = suspended({ resumeCondition: { type: 'operator_only' } });
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a%3Ab', 'c'],
    ] as const;
    for (const [n, [signalName, idempotencySuffix]] of pairs.entries())
      it = it
        .when('deliverApprovalSignal', approve(n, { signalName, idempotencySuffix }), NOW)
        .answers({ kind: 'accepted' });
    it.when('deliverApprovalSignal', approve(9, { signalName: 'a:b', idempotencySuffix: 'c' }), NOW).answers({
      kind: 'duplicate',
    });
  });

  test('forgets a decision after its time', () => {
    suspended({ resumeCondition: { type: 'operator_only' } })
      .when('deliverApprovalSignal', approve(1, { signalDedupTtlMs: 10 }), NOW)
      .answers({ effect: 'no_op' })
      .when('deliverApprovalSignal', approve(1, { signalId: uuid(699) }), NOW + 10)
      .answers({ kind: 'accepted', effect: 'no_op' });
  });

  test('stops at the maximum number of signals', () => {
    suspended({ resumeCondition: { type: 'operator_only' } })
      .when('deliverApprovalSignal', approve(1), NOW)
      .when('deliverApprovalSignal', approve(2, { maxSignalsPerExecution: 1 }), NOW)
      .refuses('signal_limit_exceeded');
  });

  test('counts distinct sources, and answers with the effect of a signal', () => {
    const twoPeople: ResumeCondition = {
      type: 'count',
      n: 2,
      countKind: 'distinct_sources',
      matcher: { type: 'by_name', name: 'go' },
      waitpoints: [KEY],
    };
    let it = suspended({ resumeCondition: twoPeople });
    const effects = [
      approve(1, { decidedBy: 'ann' }),
      approve(2, { decidedBy: 'ann' }),
      approve(3, { signalName: 'no', decidedBy: 'bob' }),
      approve(4, { decidedBy: 'bob' }),
    ].map((args) => effectOf((it = it.when('deliverApprovalSignal', args, NOW))));
    expect(effects).toEqual([
      'appended_to_waitpoint',
      'appended_to_waitpoint_duplicate',
      'signal_ignored_matcher_failed',
      'resume_condition_satisfied',
    ]);
    const read = it.reads('observeSignals', { executionId: X, attemptIndex: 0 }, NOW);
    expect(read).toMatchObject({ outcome: { signals: [{ signalId: uuid(601) }, { signalId: uuid(604) }] } });
    expect(it.reads('observeSignals', { executionId: X, attemptIndex: 1 }, NOW)).toMatchObject({
      outcome: { signals: [] },
    });
    expect(it.reads('listSignals', { executionId: X }, NOW)).toMatchObject({ outcome: { signals: { length: 4 } } });
  });

  test('satisfies nested conditions, each by itself', () => {
    const waitpoints = [A, B];
    const condition = all(all(count(1, 'distinct_signals', 'a', 'b')), all(one('a'), one('b')));
    const to = (n: number, waitpointId: string) => approve(n, { waitpointId });
    const first = suspended({ waitpoints, resumeCondition: condition }).when(
      'deliverApprovalSignal',
      to(1, uuid(511)),
      NOW,
    );
    expect(effectOf(first)).toBe('appended_to_waitpoint');
    expect(effectOf(first.when('deliverApprovalSignal', to(2, uuid(512)), NOW))).toBe('resume_condition_satisfied');
  });
});

describe('the policy of a resumption', () => {
  const consumed = (args: Partial<ArgsOf<'suspendExecution'>>, ...signals: [number, Facts][]): unknown[] => {
    let then = suspended(args);
    for (const [n, facts] of signals) then = then.when('deliverApprovalSignal', approve(n, facts), NOW + n);
    const resumed = then.when('resumeExecution', { executionId: X }, NOW + 90);
    const read = resumed.reads('listSignals', { executionId: X }, NOW + 99) as {
      outcome: { signals: { consumedAt: number | undefined }[] };
    };
    return read.outcome.signals.map(({ consumedAt }) => consumedAt);
  };
  const both = { waitpoints: [A, B], resumeCondition: all(one('a'), one('b')) };

  test('marks the signals that satisfied the condition as consumed at the resumption, whatever caused it', () => {
    expect(consumed({}, [1, { signalName: 'other' }], [2, {}])).toEqual([undefined, NOW + 2]);
    expect(consumed(both, [1, {}])).toEqual([NOW + 90]);
    expect(consumed(both, [1, {}], [2, {}])).toEqual([NOW + 90, undefined]);
    expect(consumed({ ...both, resumePolicy: { consumeMatchedSignals: false } }, [1, {}])).toEqual([undefined]);
  });

  test('marks the signal of a timeout, and no signal of a wait that ended its execution', () => {
    const over = (timeoutBehavior: 'fail' | 'auto_resume_with_timeout_signal') =>
      suspended({ ...both, timeoutAt: SUSPENDED_UNTIL, timeoutBehavior })
        .when('deliverApprovalSignal', approve(1), NOW)
        .when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL)
        .reads('listSignals', { executionId: X }, SUSPENDED_UNTIL);
    expect(over('auto_resume_with_timeout_signal')).toMatchObject({
      outcome: { signals: [{ consumedAt: SUSPENDED_UNTIL }, { consumedAt: SUSPENDED_UNTIL }] },
    });
    expect(over('fail')).toMatchObject({ outcome: { signals: [{ consumedAt: undefined }] } });
  });

  test('is stored with its other members', () => {
    const resumePolicy = { resumeDelayMs: 7, consumeMatchedSignals: false, retainSignalBufferUntilClosed: true };
    const said = { resumePolicy, continuationMetadataPointer: 'page 2', requestedBy: 'policy' } as const;
    expect(suspended(said).reads('describeSuspension', { executionId: X }, NOW)).toMatchObject({
      outcome: { ...said, resumePolicy: { resumeTarget: 'runnable', closeWaitpointOnResume: true, ...resumePolicy } },
    });
    expect(
      suspended()
        .when('deliverApprovalSignal', approve(1), NOW + 5)
        .reads('describeSuspension', { executionId: X }, NOW + 9),
    ).toMatchObject({ outcome: { lastSignalAt: NOW + 5, continuationMetadataPointer: undefined } });
  });

  test('has its waitpoints read the same in one read of all waits', () => {
    const then = suspended();
    const waitpointsIn = (name: 'describeSuspension' | 'readWaits'): unknown =>
      (then.reads(name, { executionId: X }, NOW) as { outcome: { waitpoints: unknown } }).outcome.waitpoints;
    expect(waitpointsIn('readWaits')).toMatchObject([{ activatedAt: NOW }]);
    expect(waitpointsIn('readWaits')).toEqual(waitpointsIn('describeSuspension'));
  });

  test('always closes its waitpoints: another value is refused', () => {
    expect(faultIn({ resumePolicy: { closeWaitpointOnResume: false } })).toBe('close_waitpoint_on_resume_unsupported');
  });

  test('is covered by the idempotency key of a suspension', () => {
    const named = suspended({ idempotencyKey: 'k' });
    named.when('suspendExecution', suspend({ idempotencyKey: 'k' }), NOW).answers({ kind: 'suspended' });
    for (const other of [
      { resumePolicy: { consumeMatchedSignals: false } },
      { resumePolicy: { retainSignalBufferUntilClosed: true } },
      { continuationMetadataPointer: 'page 2' },
      { timeoutBehavior: 'expire' as const },
    ])
      named.when('suspendExecution', suspend({ idempotencyKey: 'k', ...other }), NOW).refuses('idempotency_conflict');
  });
});

describe('the policy of an execution', () => {
  const policed = (
    suspensionPolicy: { defaultTimeoutMs?: number; timeoutBehavior: 'fail' | 'cancel' },
    args: Partial<ArgsOf<'suspendExecution'>> = {},
  ): Then => suspended(args, [created({ policy: { suspensionPolicy } }), claimed()]);

  test('gives a suspension without a timeout its default', () => {
    policed({ defaultTimeoutMs: 700, timeoutBehavior: 'cancel' })
      .then({ type: 'execution_suspended', timeoutAt: NOW + 700, timeoutBehavior: 'cancel' })
      .when('applyDue', { partition: '{fp:0}' }, NOW + 700)
      .leaves({ situation: 'cancelled' });
    policed({ defaultTimeoutMs: 700, timeoutBehavior: 'cancel' }, { timeoutBehavior: 'expire' }).then({
      type: 'execution_suspended',
      timeoutAt: NOW + 700,
      timeoutBehavior: 'expire',
    });
  });

  test('does not apply to a suspension with a timeout, and its behaviour needs a default timeout', () => {
    policed({ defaultTimeoutMs: 700, timeoutBehavior: 'cancel' }, { timeoutAt: SUSPENDED_UNTIL }).then({
      type: 'execution_suspended',
      timeoutAt: SUSPENDED_UNTIL,
      timeoutBehavior: 'fail',
    });
    policed({ timeoutBehavior: 'cancel' }).then({
      type: 'execution_suspended',
      timeoutAt: undefined,
      timeoutBehavior: 'fail',
    });
  });

  test('bounds the signals, and a sender may pass a lower bound, not a higher one', () => {
    const history = [created({ policy: { maxSignalsPerExecution: 2 } }), claimed()];
    const other = { signalName: 'other' };
    const first = suspended({}, history).when('deliverApprovalSignal', approve(1, other), NOW);
    first
      .when('deliverApprovalSignal', approve(2, { ...other, maxSignalsPerExecution: 1 }), NOW)
      .refuses('signal_limit_exceeded', { limit: 'signals' });
    const second = first.when('deliverApprovalSignal', approve(2, { ...other, maxSignalsPerExecution: 9 }), NOW);
    second.answers({ kind: 'accepted' });
    second.when('deliverApprovalSignal', approve(3), NOW).refuses('signal_limit_exceeded', { limit: 'signals' });
    second
      .when('signalExecution', { executionId: X, signalId: uuid(699), signalName: 'elsewhere' }, NOW)
      .refuses('signal_limit_exceeded', { limit: 'signals' });
  });
});

describe('resumeExecution', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('resumeExecution', { executionId: X });
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'SW')
      result
        .answers({ kind: 'resumed', executionId: X, publicState: 'waiting' })
        .then({ type: 'suspension_closed', resumeTrigger: 'operator' })
        .leaves({ situation: 'ready', nextAttempt: 'resume' });
    else result.refuses('execution_not_suspended');
  });

  test('after a delay', () => {
    given(...IN_CLASS.SW)
      .when('resumeExecution', { executionId: X, resumeDelayMs: 5 })
      .answers({ publicState: 'delayed' })
      .leaves({ situation: 'resume_delay', dueAt: NOW + 5 });
  });
});

describe('expireSuspension', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('expireSuspension', { executionId: X });
    if (state === 'none') result.answers({ kind: 'already_satisfied', reason: 'not_found_cleaned' });
    else if (state === 'SW') result.answers({ kind: 'already_satisfied', reason: 'not_yet_due' });
    else result.answers({ kind: 'already_satisfied', reason: 'not_suspended_cleaned' });
  });

  test.each([
    ['fail', { situation: 'failed', failureReason: 'suspension_timeout:fail', failureCategory: 'suspension_timeout' }],
    ['cancel', { situation: 'cancelled', cancellationReason: 'suspension_timeout:cancel' }],
    ['expire', { situation: 'expired', failureReason: 'suspension_timeout:expire' }],
    ['auto_resume', { situation: 'ready', nextAttempt: 'resume' }],
    ['auto_resume_with_timeout_signal', { situation: 'ready', nextAttempt: 'resume' }],
    ['escalate', { situation: 'suspended', dueAt: undefined, suspendReason: 'waiting_for_operator_review' }],
  ] as const)('%s', (timeoutBehavior, facts) => {
    const waiting = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior });
    waiting
      .when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL)
      .answers({ kind: 'expired', behaviorApplied: timeoutBehavior })
      .leaves(facts);
    // As due work it is the same.
    const again = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior });
    again
      .when('applyDue', { partition: '{fp:0}' }, SUSPENDED_UNTIL)
      .answers({
        kind: 'applied',
        suspensionsTimedOut: [{ executionId: X, behaviorApplied: timeoutBehavior }],
        expired: [],
      })
      .leaves(facts);
  });

  test('can deliver a signal that reports the timeout', () => {
    const over = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior: 'auto_resume_with_timeout_signal' }).when(
      'expireSuspension',
      { executionId: X },
      SUSPENDED_UNTIL,
    );
    expect(over.reads('observeSignals', { executionId: X, attemptIndex: 0 }, SUSPENDED_UNTIL)).toMatchObject({
      outcome: {
        resumeTrigger: 'timeout',
        signals: [
          {
            signalId: uuid(500),
            signalName: '__timeout__',
            signalCategory: 'timeout',
            sourceType: 'engine',
            sourceIdentity: 'suspension_timeout',
          },
        ],
      },
    });
  });

  test('escalates to an operator, whom the state names, as it named the time before', () => {
    const waiting = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior: 'escalate', reasonCode: 'step_boundary' });
    const detail = (it: Then) => it.reads('describeExecution', { executionId: X }, NOW);
    expect(detail(waiting)).toMatchObject({
      outcome: { blockingDetail: `suspended: step_boundary until ${SUSPENDED_UNTIL}` },
    });
    const held = waiting.when('holdExecution', { executionId: X, reason: 'why', requestedBy: 'ann' }, NOW);
    const over = held.when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL);
    expect(detail(over)).toMatchObject({
      outcome: {
        blockingDetail: 'suspended: waiting_for_operator_review; held by ann: why',
        lastMutationAt: SUSPENDED_UNTIL,
      },
    });
  });

  test('leaves a signal that a sender gave the id of the suspension', () => {
    const over = suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior: 'auto_resume_with_timeout_signal' })
      .when('signalExecution', { executionId: X, signalId: uuid(500), signalName: 'other', sourceIdentity: 'ann' }, NOW)
      .when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL)
      .answers({ kind: 'expired', behaviorApplied: 'auto_resume_with_timeout_signal' })
      .leaves({ situation: 'ready' });
    expect(over.reads('listSignals', { executionId: X }, SUSPENDED_UNTIL)).toMatchObject({
      outcome: { signals: [{ signalId: uuid(500), signalName: 'other', sourceIdentity: 'ann' }] },
    });
  });

  test('lets an escalated suspension be resumed by its signal', () => {
    suspended({ timeoutAt: SUSPENDED_UNTIL, timeoutBehavior: 'escalate' })
      .when('expireSuspension', { executionId: X }, SUSPENDED_UNTIL)
      .leavesState({ blockingReason: 'paused_by_operator' })
      .when('deliverApprovalSignal', approve(1), SUSPENDED_UNTIL)
      .leaves({ situation: 'ready' });
  });
});

describe('the end of a suspended execution', () => {
  test('closes its suspension and its waitpoints', () => {
    const ends: [Then, string][] = [
      [
        suspended().when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, NOW),
        'cancelled',
      ],
      [
        suspended({}, [created({ executionDeadlineAt: NOW + 5 }), claimed()]).when(
          'expireExecution',
          { executionId: X, expireReason: 'execution_deadline' },
          NOW + 5,
        ),
        'expired:execution_deadline',
      ],
    ];
    for (const [end, closeReason] of ends)
      expect(end.reads('describeSuspension', { executionId: X }, NOW)).toMatchObject({
        outcome: { closeReason, resumeTrigger: undefined, waitpoints: [{ state: 'closed', closeReason }] },
      });
  });

  test('leaves nothing to describe where nothing was awaited', () => {
    const it = given(created()).when('resumeExecution', { executionId: X }, START);
    expect(it.reads('describeSuspension', { executionId: X }, START)).toEqual({
      ok: true,
      outcome: undefined,
      events: [],
    });
  });
});
