/** Metered work: queues of its own, claims by meter set with admissions, and what becomes of these. */
import { describe, expect, test } from 'vitest';
import { LIMITS, OFFER_AGAIN_MS, RETURN_GRACE_MS, VOID_MEMORY_MS } from '../../model/limits.js';
import { isMeterSet, meterSetOf, metersOf, narrowestLimitsOf, partsOfMeterSet } from '../../model/metering/meters.js';
import { shortIdOf } from '../../model/short-id.js';
import { claimArgs, created, given, idOf, NOW, PARTITION, START, uuid, X } from './dsl.js';

const [POLICY, BUDGET, LEASE] = [uuid(700), uuid(701), uuid(102)];
const METERS = metersOf({ quotaPolicyIds: [POLICY] });
const SET = meterSetOf(METERS);
const ID = shortIdOf(LEASE);

const metered = created({ meters: METERS });
const claim = claimArgs({ meters: SET });
const FENCE = { leaseId: LEASE, leaseEpoch: 1, attemptId: uuid(202) };
const voided = { partition: PARTITION, admissionId: LEASE };
const settled = { partition: PARTITION, admissionIds: [LEASE] };
const due = { partition: PARTITION };

describe('meter sets', () => {
  test('name every meter once, in one order', () => {
    const set = meterSetOf(metersOf({ budgetIds: [BUDGET, BUDGET], quotaPolicyIds: [POLICY] }));
    expect(set).toBe(meterSetOf(metersOf({ quotaPolicyIds: [POLICY], budgetIds: [BUDGET] })));
    expect(partsOfMeterSet(set)).toEqual({ budgetIds: [BUDGET], quotaPolicyIds: [POLICY], keyedQuotas: [] });
    expect(partsOfMeterSet('')).toEqual({ budgetIds: [], quotaPolicyIds: [], keyedQuotas: [] });
    const keyed = { quotaPolicyId: POLICY, windowSeconds: 60, maxRequestsPerWindow: 100, maxConcurrent: 5 };
    expect(partsOfMeterSet(meterSetOf(metersOf({ keyedQuotas: [keyed] }))).keyedQuotas).toEqual([keyed]);
    expect(metersOf(undefined)).toEqual([]);
  });

  test('give the narrowest limit of each kind, and nothing where there is none', () => {
    const limits = (...of: readonly (readonly [rate: number, atOnce: number])[]) =>
      narrowestLimitsOf(
        meterSetOf(
          metersOf({
            quotaPolicyIds: [POLICY],
            keyedQuotas: of.map(([maxRequestsPerWindow, maxConcurrent], i) => ({
              ...{ quotaPolicyId: uuid(800 + i), windowSeconds: 60, maxRequestsPerWindow, maxConcurrent },
            })),
          }),
        ),
      );
    expect(limits()).toEqual({ maxConcurrent: Infinity, maxRequestsPerWindow: Infinity });
    expect(limits([1, 0])).toEqual({ maxConcurrent: Infinity, maxRequestsPerWindow: 1 });
    expect(limits([9, 3], [7, 5], [0, 4])).toEqual({ maxConcurrent: 3, maxRequestsPerWindow: 7 });
  });

  test('name quotas with the largest limits that there are', () => {
    const keyed = {
      quotaPolicyId: POLICY,
      windowSeconds: LIMITS.maxQuotaWindowSeconds,
      maxRequestsPerWindow: LIMITS.maxQuotaRate,
      maxConcurrent: LIMITS.maxQuotaConcurrency,
    };
    expect(isMeterSet(meterSetOf(metersOf({ keyedQuotas: [keyed] })))).toBe(true);
    for (const name of ['windowSeconds', 'maxRequestsPerWindow', 'maxConcurrent'] as const)
      expect(isMeterSet(meterSetOf(metersOf({ keyedQuotas: [{ ...keyed, [name]: 1_234_567 }] })))).toBe(false);
  });

  test.each(['', 'q', `x${ID}`, `q${ID},q${ID}`, `q${ID},b${ID}`, `${SET}\t`])('cannot be: %j', (text) => {
    expect(isMeterSet(text)).toBe(false);
  });
});

describe('claimForWorker', () => {
  test('takes no metered work without its set, and only such work with it', () => {
    const other = created({ executionId: idOf(2) });
    const unmetered = given(metered, other).when('claimForWorker', claimArgs());
    unmetered.answers({ kind: 'claimed', executions: [{ executionId: idOf(2) }] });
    const bySet = given(metered, other).when('claimForWorker', claim);
    bySet.answers({ kind: 'claimed', executions: [{ executionId: X }] });
    bySet.then({ type: 'execution_claimed', meters: METERS });
    const wrong = claimArgs({ meters: meterSetOf(metersOf({ quotaPolicyIds: [BUDGET] })) });
    given(metered).when('claimForWorker', wrong).answers({ kind: 'no_work' });
    given(metered).when('claimForWorker', claimArgs()).answers({ kind: 'no_work' });
  });

  test('refuses an admission that was used or voided', () => {
    const world = given(metered, created({ executionId: idOf(2), meters: METERS }));
    const first = world.when('claimForWorker', claim);
    first.when('claimForWorker', claim, NOW).refuses('admission_void');
    const late = given(metered).when('voidAdmission', voided);
    late.when('claimForWorker', claim, NOW).refuses('admission_void');
    late.when('claimForWorker', claimArgs(), NOW).answers({ kind: 'no_work' });
  });
});

describe('an ownership that ends', () => {
  const held = () => given(metered).when('claimForWorker', claim);
  const returned = { type: 'admission_returned', admissionId: ID } as const;

  test.each([
    [
      'failExecution',
      { executionId: X, fence: FENCE, failureReason: 'r', failureClass: 'permanent' },
      'execution_failed',
    ],
    ['cancelExecution', { executionId: X, reason: 'r', ...FENCE }, 'execution_cancelled'],
    ['delayExecution', { executionId: X, fence: FENCE, delayUntil: NOW + 9 }, 'execution_delayed'],
    ['releaseLease', { executionId: X, fence: FENCE }, 'lease_released'],
    ['revokeLease', { executionId: X }, 'lease_revoked'],
  ] as const)('by %s returns its slots, once', (name, args, type) => {
    const ended = held().when(name, args, NOW + 1);
    ended.then({ type }, returned);
    ended.when('applyDue', due, NOW + 1).answers({ deliveries: [{ kind: 'admission', id: ID, text: SET }] });
  });

  test('by a lapse returns them too; reclaimed work holds another slot', () => {
    const lapsed = held().when('applyDue', due, NOW + 5_000);
    lapsed.then({ type: 'lease_expired' }, returned);
    const again = { ...claim, claims: [{ leaseId: uuid(103), attemptId: uuid(203) }] };
    lapsed.when('claimForWorker', again, NOW + 5_000).answers({ kind: 'claimed' });
  });

  test('is reported until it is settled', () => {
    const ended = held().when('releaseLease', { executionId: X, fence: FENCE }, NOW + 1);
    ended
      .when('applyDue', due, NOW + 1)
      .then({ type: 'admission_offered' })
      .answers({ others: { admission: 1 } });
    ended.when('applyDue', due, NOW + OFFER_AGAIN_MS).answers({ deliveries: [] });
    ended.when('applyDue', due, NOW + 1 + OFFER_AGAIN_MS).answers({ deliveries: [{ id: ID }] });
    ended.when('settleAdmissions', settled, NOW + 9_000).answers({ kind: 'settled', settled: 1 });
    ended
      .when('settleAdmissions', settled, NOW + 9_000)
      .answers({ kind: 'settled', settled: 0 })
      .nothingHappens();
    ended.when('applyDue', due, NOW + 30_000).answers({ deliveries: [] });
  });

  test('by a completion is left to its worker for a second', () => {
    const ended = held().when('completeExecution', { executionId: X, fence: FENCE }, NOW + 1);
    ended.then({ type: 'execution_completed', admissionId: ID });
    ended.when('applyDue', due, NOW + RETURN_GRACE_MS).answers({ deliveries: [] });
    const offered = ended.when('applyDue', due, NOW + 1 + RETURN_GRACE_MS);
    offered.answers({ deliveries: [{ kind: 'admission', id: ID, text: SET }] });
    ended.when('settleAdmissions', settled, NOW + RETURN_GRACE_MS).answers({ kind: 'settled', settled: 1 });
    ended.when('applyDue', due, NOW + 30_000).answers({ deliveries: [] });
  });

  test("by an operator's completion is due at once", () => {
    const ended = held().when('completeExecution', { executionId: X, source: 'operator_override' }, NOW + 1);
    ended.then({ type: 'execution_completed', admissionId: undefined }, returned);
    ended.when('applyDue', due, NOW + 1).answers({ deliveries: [{ kind: 'admission', id: ID, text: SET }] });
  });

  test('of work that was claimed by a grant holds no slot', () => {
    const grant = { grantId: uuid(800), workerId: 'w2', workerInstanceId: 'w2-1' };
    const granted = given(metered).when('issueClaimGrant', { executionId: X, ...grant });
    const owner = { workerId: 'w2', workerInstanceId: 'w2-1', laneId: 'lane', leaseTtlMs: 5_000 };
    granted.when('claimExecution', { executionId: X, ...owner, leaseId: LEASE, attemptId: uuid(202) }, NOW);
    granted.when('completeExecution', { executionId: X, fence: FENCE }, NOW).then({ type: 'execution_completed' });
  });

  test.each(['completeExecution', 'releaseLease'] as const)(
    'by %s does not return the admission of another execution that was claimed with the same lease id',
    (name) => {
      const Y = idOf(2);
      const world = given(metered, created({ executionId: Y, meters: METERS })).when('claimForWorker', claim);
      const owner = { workerId: 'w2', workerInstanceId: 'w2-1' };
      world.when('issueClaimGrant', { executionId: Y, grantId: uuid(800), ...owner }, NOW);
      const taken = { ...owner, laneId: 'lane', leaseTtlMs: 5_000, leaseId: LEASE, attemptId: uuid(202) };
      world.when('claimExecution', { executionId: Y, ...taken }, NOW).answers({ kind: 'claimed' });
      const ended = world.when(name, { executionId: Y, fence: FENCE }, NOW);
      ended.then({ type: name === 'releaseLease' ? 'lease_released' : 'execution_completed' });
      ended.when('voidAdmission', voided, NOW).answers({ kind: 'in_use', executionId: X });
    },
  );
});

describe('voidAdmission', () => {
  test('makes an admission unusable for a day', () => {
    const first = given(metered).when('voidAdmission', voided);
    first.answers({ kind: 'voided' }).then({ type: 'admission_voided', admissionId: ID });
    first.when('voidAdmission', voided, NOW).answers({ kind: 'voided' }).nothingHappens();
    first
      .when('applyDue', due, NOW + VOID_MEMORY_MS)
      .then({ type: 'admission_forgotten' })
      .answers({ deliveries: [] });
  });

  test('says who uses an admission, or that it is being returned', () => {
    const held = given(metered).when('claimForWorker', claim);
    held.when('voidAdmission', voided, NOW).answers({ kind: 'in_use', executionId: X }).nothingHappens();
    held.when('completeExecution', { executionId: X, fence: FENCE }, NOW + 1);
    held
      .when('voidAdmission', voided, NOW + 1)
      .answers({ kind: 'returned' })
      .nothingHappens();
  });
});

describe('listMeteredHeads', () => {
  test('pages over the first entries of queues, by meter set', () => {
    const other = metersOf({ quotaPolicyIds: [BUDGET] });
    const world = given(
      created({ executionId: idOf(1), at: START, meters: METERS }),
      created({ executionId: idOf(2), at: START + 1, meters: METERS, priority: 5 }),
      created({ executionId: idOf(3), meters: other, executionKind: 'k2' }),
      created({ executionId: idOf(4) }),
      created({ executionId: idOf(5), laneId: 'other', meters: METERS, priority: 9 }),
    ).when('settleAdmissions', settled);
    const page = { partition: PARTITION, laneIds: ['lane', 'other'], limit: 1 };
    const head = { laneId: 'lane', requiredCapabilities: [] };
    const cursor = `lane\t${SET}\t\tkind`;
    expect(world.reads('listMeteredHeads', page, NOW)).toMatchObject({
      outcome: { heads: [{ ...head, executionKind: 'kind', priority: 5, meters: SET }], nextCursor: cursor },
    });
    expect(world.reads('listMeteredHeads', { ...page, cursor, limit: 9 }, NOW)).toMatchObject({
      outcome: {
        heads: [
          { ...head, executionKind: 'k2', priority: 0, meters: meterSetOf(other) },
          { ...head, laneId: 'other', executionKind: 'kind', priority: 9, meters: SET },
        ],
        nextCursor: undefined,
      },
    });
    expect(world.reads('listQueueHeads', { partition: PARTITION, laneIds: ['lane'] }, NOW)).toMatchObject({
      outcome: [{ executionKind: 'kind' }],
    });
  });
});

describe('createExecution with a full quota', () => {
  const [A, B, C] = [idOf(1), idOf(2), idOf(3)];
  const at = (n: number, facts: object = {}) =>
    created({ executionId: idOf(n), at: START + n, meters: METERS, ...facts });
  const create = (strategy: 'drop' | 'cancel_oldest', room: number, facts: object = {}) => ({
    executionId: C,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'kind',
    creatorIdentity: 'c',
    policy: { quotaPolicyIds: [POLICY] },
    whenFull: { strategy, room },
    ...facts,
  });

  test('drops the execution when as many wait as there is room for, and creates it otherwise', () => {
    const full = given(at(1), at(2)).when('createExecution', create('drop', 2));
    full.answers({ kind: 'dropped', executionId: C }).nothingHappens();
    given(at(1), at(2)).when('createExecution', create('drop', 3)).answers({ kind: 'created' });
    given().when('createExecution', create('drop', 0)).answers({ kind: 'dropped' });
    given(at(1))
      .when('createExecution', create('drop', 1, { delayUntil: NOW + 1 }))
      .answers({ kind: 'created' });
    given(at(1))
      .when('createExecution', create('drop', 1, { policy: undefined }))
      .answers({ kind: 'created' });
    given(at(1))
      .when('createExecution', create('drop', 1, { executionId: A }))
      .answers({ kind: 'duplicate' });
    const other = at(1, { executionKind: 'other' });
    given(other).when('createExecution', create('drop', 1)).answers({ kind: 'created' });
  });

  test('cancels the oldest of the least urgent waiting executions, if there is one', () => {
    const replaced = given(at(1), at(2)).when('createExecution', create('cancel_oldest', 2));
    replaced.answers({ kind: 'replaced', executionId: C, publicState: 'waiting', cancelledExecutionId: A });
    replaced.then(
      { type: 'execution_created', executionId: C },
      { type: 'execution_cancelled', executionId: A, cancelledBy: 'quota_replaced' },
    );
    const urgent = given(at(1, { priority: 5 }), at(2, { priority: 3 })).when(
      'createExecution',
      create('cancel_oldest', 0),
    );
    urgent.answers({ kind: 'replaced', cancelledExecutionId: B });
    // The clock was put back.
    const later = { at: NOW + 600_000 };
    given(at(1, { ...later, priority: 1 }), at(2))
      .when('createExecution', create('cancel_oldest', 0))
      .answers({ kind: 'replaced', cancelledExecutionId: B });
    given(at(1, { priority: 1 }), at(2, { ...later, priority: 1 }))
      .when('createExecution', create('cancel_oldest', 0))
      .answers({ kind: 'replaced', cancelledExecutionId: A });
    given().when('createExecution', create('cancel_oldest', 0)).answers({ kind: 'created' });
    given(at(1)).when('createExecution', create('cancel_oldest', 2)).answers({ kind: 'created' });
  });

  test('never cancels an execution that was started', () => {
    const claimed = () => given(at(1)).when('claimForWorker', claim, NOW);
    claimed().when('createExecution', create('cancel_oldest', 0), NOW).answers({ kind: 'created' });
    const lost = () => claimed().when('revokeLease', { executionId: A, reason: 'gone' }, NOW);
    lost().when('createExecution', create('cancel_oldest', 1), NOW).answers({ kind: 'created' });
    lost().when('createExecution', create('drop', 1), NOW).answers({ kind: 'dropped' });
  });
});
