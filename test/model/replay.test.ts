/** Replays: what has ended runs again, as often as its policy says, without what its last run left. */
import { describe, expect, test } from 'vitest';
import {
  claimArgs,
  claimed,
  CLASSES_ALONE,
  created,
  event,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  START,
  uuid,
  X,
} from './dsl.js';

const replay = { executionId: X, reason: 'again', requestedBy: 'ann' };
const owner = { executionId: X, fence: FENCE };
const REPLAYED = event('execution_replayed', { at: NOW, replayCount: 1, requestedBy: 'ann', replayReason: '' });
const capped = (maxReplayCount: number) => created({ policy: { maxReplayCount } });

describe('replayExecution', () => {
  test.each(CLASSES_ALONE)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('replayExecution', replay);
    if (state === 'none') result.refuses('execution_not_found');
    else if (!state.startsWith('T')) result.refuses('execution_not_terminal');
    else {
      result
        .answers({ kind: 'replayed', executionId: X, publicState: 'waiting', replayCount: 1 })
        .then({
          type: 'execution_replayed',
          replayCount: 1,
          requestedBy: 'ann',
          replayReason: 'again',
          wasSkipped: false,
        })
        .leaves({
          situation: 'ready',
          nextAttempt: 'replay',
          dueAt: undefined,
          replayCount: 1,
          failureReason: '',
          failureCategory: undefined,
          cancelledBy: undefined,
          cancellationReason: '',
          totalAttemptCount: 1,
          startedAt: START,
        })
        .leavesState({ attemptState: 'pending_replay_attempt', publicState: 'waiting', terminalOutcome: 'none' });
      result.when('claimForWorker', claimArgs(), NOW).answers({
        kind: 'claimed',
        executions: [{ executionId: X, claimKind: 'fresh', attemptType: 'replay', attemptIndex: 1, leaseEpoch: 2 }],
      });
    }
  });

  test('is allowed ten times, or as often as the policy says', () => {
    const ended = event('execution_completed');
    const again = (n: number) => event('execution_replayed', { replayCount: n, requestedBy: 'ann', replayReason: '' });
    const often = Array.from({ length: 10 }, (_, i) => [ended, again(i + 1)]).flat();
    given(created(), claimed(), ...often, ended)
      .when('replayExecution', replay)
      .refuses('max_replays_exhausted', { maxReplayCount: '10' });
    given(capped(1), claimed(), ended, again(1), ended)
      .when('replayExecution', replay)
      .refuses('max_replays_exhausted', { maxReplayCount: '1' });
    given(capped(0), claimed(), ended).when('replayExecution', replay).refuses('max_replays_exhausted');
    given(capped(2), claimed(), ended, again(1), ended).when('replayExecution', replay).answers({ replayCount: 2 });
  });

  test('happens once when the caller passes the known count', () => {
    given(...IN_CLASS.Tfailed)
      .when('replayExecution', { ...replay, expectedReplayCount: 0 })
      .answers({ kind: 'replayed' })
      .when('replayExecution', { ...replay, expectedReplayCount: 0 }, NOW)
      .answers({ kind: 'already_satisfied', reason: 'already_replayed', replayCount: 1 })
      .nothingHappens()
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, NOW)
      .when('replayExecution', { ...replay, expectedReplayCount: 0 }, NOW)
      .answers({ kind: 'already_satisfied' });
  });

  test('clears the result, and restores the allowances of retries, reclaims and hand-backs', () => {
    const retried = event('retry_scheduled', { failureReason: 'r', failureCategory: 'io', delayUntil: START });
    const policy = { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 1 }, retryableCategories: [] } };
    const result = given(created({ policy: policy as never }), claimed(), retried, event('execution_promoted'))
      .when('claimForWorker', claimArgs())
      .when('completeExecution', { executionId: X, fence: second, resultPayload: Uint8Array.of(1) }, NOW)
      .when('replayExecution', replay, NOW)
      .leaves({ retryCount: 0, leaseReclaimCount: 0, leaseReleaseCount: 0, resultBytes: undefined });
    expect(result.reads('getExecutionResult', { executionId: X }, NOW)).toMatchObject({ outcome: undefined });
    expect(result.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { replayCount: 1, completedAt: undefined, purgeAt: undefined, resultBytes: undefined },
    });
    expect(result.reads('describeExecution', { executionId: X }, NOW)).toMatchObject({
      outcome: { currentAttempt: undefined },
    });
    result
      .when('claimForWorker', claimArgs({ claims: [{ leaseId: uuid(103), attemptId: uuid(203) }] }), NOW)
      .when('failExecution', { executionId: X, fence: third, failureReason: 'r' }, NOW)
      .answers({ kind: 'retry_scheduled', nextAttemptIndex: 3 });
  });

  const second = { leaseId: uuid(102), leaseEpoch: 2, attemptId: uuid(202) };
  const third = { leaseId: uuid(103), leaseEpoch: 3, attemptId: uuid(203) };

  test('of work that was never claimed', () => {
    given(created(), event('execution_cancelled', { cancellationReason: '', cancelledBy: 'operator_override' }))
      .when('replayExecution', replay)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ executions: [{ attemptType: 'replay', attemptIndex: 0, leaseEpoch: 1 }] });
  });

  test('keeps a future deadline, and drops a past one', () => {
    const ended = [claimed(), event('execution_completed')];
    given(created({ executionDeadlineAt: NOW + 1 }), ...ended)
      .when('replayExecution', replay)
      .then({ type: 'execution_replayed', executionDeadlineAt: NOW + 1 })
      .when('applyDue', { partition: '{fp:0}' }, NOW + 1)
      .then({ type: 'execution_expired', expireReason: 'execution_deadline' });
    given(created({ executionDeadlineAt: NOW }), ...ended)
      .when('replayExecution', replay)
      .then({ type: 'execution_replayed', executionDeadlineAt: undefined })
      .leaves({ executionDeadlineAt: undefined })
      .when('applyDue', { partition: '{fp:0}' }, NOW + 9)
      .nothingHappens();
  });

  test('ends the rights of the last owner: its calls are refused', () => {
    given(...IN_CLASS.Tcompleted, REPLAYED)
      .when('completeExecution', owner)
      .refuses('execution_not_active', { attemptState: 'pending_replay_attempt' });
    given(...IN_CLASS.Tcompleted, REPLAYED)
      .when('cancelExecution', { executionId: X, reason: '', ...FENCE })
      .refuses('stale_lease');
  });

  test('is not held by a hold of the previous run', () => {
    given(created(), event('execution_held', { heldBy: 'ann', holdReason: '' }))
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' })
      .when('replayExecution', replay, NOW)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'claimed' });
  });
});
