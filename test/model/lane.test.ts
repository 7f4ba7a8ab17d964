/** Lanes that operators pause, drain and resume: what is given, what is taken, and what stays as it is. */
import { describe, expect, test } from 'vitest';
import { claimArgs, created, event, given, idOf, IN_CLASS, NOW, PARTITION, X, type StateClass } from './dsl.js';

const asked = { partition: PARTITION, laneId: 'lane', reason: 'why', requestedBy: 'ann' };
const said = { laneId: 'lane', requestedBy: 'ann', reason: 'why' };
const PAUSED = event('lane_paused', { at: NOW, ...said });
const DRAINED = event('lane_drained', { at: NOW, ...said });
const RESUMED = event('lane_resumed', { at: NOW, ...said });

const CREATE = {
  executionId: idOf(2),
  namespace: 'ns',
  laneId: 'lane',
  executionKind: 'kind',
  creatorIdentity: 'test',
};

describe('the state of a lane', () => {
  test('is changed once, whether the lane had work or not', () => {
    given(created())
      .when('pauseLane', asked, NOW)
      .answers({ kind: 'lane_paused', laneId: 'lane', previousState: 'open' })
      .then({ type: 'lane_paused', ...said });
    given(PAUSED).when('pauseLane', asked, NOW).answers({ kind: 'already_satisfied', reason: 'already_paused' });
    given(PAUSED)
      .when('drainLane', asked, NOW)
      .answers({ kind: 'lane_drained', laneId: 'lane', previousState: 'paused' })
      .then({ type: 'lane_drained', ...said });
    given(DRAINED).when('drainLane', asked, NOW).answers({ kind: 'already_satisfied', reason: 'already_draining' });
    given(DRAINED)
      .when('resumeLane', asked, NOW)
      .answers({ kind: 'lane_resumed', laneId: 'lane', previousState: 'draining' })
      .then({ type: 'lane_resumed', ...said });
    given(RESUMED).when('resumeLane', asked, NOW).answers({ kind: 'already_satisfied', reason: 'already_open' });
    given().when('resumeLane', asked, NOW).answers({ kind: 'already_satisfied', reason: 'already_open' });
  });

  test('is read with its requester, time and reason; an unknown lane is open', () => {
    const read = { partition: PARTITION, laneId: 'lane' };
    const paused = given(PAUSED).when('purgeExecution', { executionId: X }, NOW).reads('readLane', read, NOW);
    expect(paused).toMatchObject({
      outcome: { laneState: 'paused', stateChangedAt: NOW, stateChangedBy: 'ann', stateReason: 'why' },
    });
    const unknown = given().when('purgeExecution', { executionId: X }, NOW).reads('readLane', read, NOW);
    expect(unknown).toMatchObject({ outcome: { laneId: 'lane', laneState: 'open', stateChangedAt: undefined } });
  });
});

describe('a paused lane', () => {
  const CLAIMABLE: readonly StateClass[] = ['RW', 'RI', 'AE', 'AR'];
  test.each(CLAIMABLE)('gives nothing that is %s, shows no head, and gives it after the resume', (state) => {
    given(...IN_CLASS[state], PAUSED)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work' });
    const heads = given(...IN_CLASS[state], PAUSED)
      .when('purgeExecution', { executionId: idOf(9) }, NOW)
      .reads('listQueueHeads', { partition: PARTITION, laneIds: ['lane'] }, NOW);
    expect(heads).toMatchObject({ outcome: [] });
    given(...IN_CLASS[state], PAUSED, RESUMED)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'claimed' });
    given(...IN_CLASS[state], PAUSED, DRAINED)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'claimed' });
  });

  test('accepts new work', () => {
    given(created(), PAUSED).when('createExecution', CREATE, NOW).answers({ kind: 'created' });
  });
});

describe('a draining lane', () => {
  test('refuses new work, and answers duplicate for existing work', () => {
    given(created(), DRAINED).when('createExecution', CREATE, NOW).refuses('lane_draining', { laneId: 'lane' });
    given(created(), DRAINED)
      .when('createExecution', { ...CREATE, executionId: X }, NOW)
      .answers({ kind: 'duplicate', executionId: X });
    given(created(), DRAINED)
      .when('createExecution', { ...CREATE, laneId: 'other' }, NOW)
      .answers({ kind: 'created' });
    given(created(), DRAINED, RESUMED).when('createExecution', CREATE, NOW).answers({ kind: 'created' });
  });

  test('gives its existing work', () => {
    given(created(), DRAINED).when('claimForWorker', claimArgs(), NOW).answers({ kind: 'claimed' });
  });
});
