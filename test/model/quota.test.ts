/** Quota policies: admissions by rate and by concurrency, their slots, and the claimers that wait for room. */
import { describe, expect, test } from 'vitest';
import { IDLE_QUOTA_MS, SLOT_CHECK_MS } from '../../model/limits.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import type { ArgsOf } from '../../model/machine.js';
import { shortIdOf } from '../../model/short-id.js';
import { given, NOW, PARTITION, uuid, type Then } from './dsl.js';

const ID = uuid(700);
const DUE = { partition: '{q:0}' };
const ids = (...numbers: number[]): string[] => numbers.map((n) => uuid(n));
const shorts = (...numbers: number[]): string[] => ids(...numbers).map((id) => shortIdOf(id));

type Limits = Omit<ArgsOf<'createQuotaPolicy'>, 'quotaPolicyId'>;
const policy = (limits: Limits): Then => given().when('createQuotaPolicy', { quotaPolicyId: ID, ...limits });
const check = (...numbers: number[]): ArgsOf<'checkAdmission'> => ({
  quotaPolicyId: ID,
  admissionIds: ids(...numbers),
  partition: PARTITION,
});
const SET = meterSetOf(metersOf({ quotaPolicyIds: [ID] }));
const waiting = (instance: string, ...numbers: number[]): ArgsOf<'checkAdmission'> => ({
  ...check(...numbers),
  laneId: 'lane',
  workerInstanceId: instance,
  meters: SET,
});
const nameOf = (instance: string): string => `lane\t${PARTITION}\t${SET}\t${instance}`;
const release = (...numbers: number[]): ArgsOf<'releaseAdmission'> => ({
  quotaPolicyId: ID,
  admissionIds: ids(...numbers),
});

describe('createQuotaPolicy', () => {
  test('creates a policy once, and reports another definition', () => {
    const made = policy({ maxConcurrent: 2 });
    made
      .answers({ kind: 'created', quotaPolicyId: ID })
      .then({ type: 'quota_policy_created', concurrencyCap: 2, keyed: false });
    const again = { quotaPolicyId: ID, maxConcurrent: 2 };
    const same = { kind: 'already_satisfied', quotaPolicyId: ID, reason: 'already_exists' } as const;
    made.when('createQuotaPolicy', again, NOW).answers(same).nothingHappens();
    const other = { quotaPolicyId: ID, maxConcurrent: 3 };
    made.when('createQuotaPolicy', other, NOW).answers({ reason: 'definition_differs' }).nothingHappens();
  });

  test('requires a window for a rate', () => {
    expect(() => policy({ maxRequestsPerWindow: 3 })).toThrow(expect.objectContaining({ code: 'invalid_quota_spec' }));
  });
});

describe('checkAdmission', () => {
  test('admits what fits, in order, and known admissions again', () => {
    const made = policy({ maxConcurrent: 2 });
    made.when('checkAdmission', check(1, 2, 3), NOW).answers({ kind: 'admitted', count: 2 });
    made.when('checkAdmission', check(1, 2), NOW).answers({ kind: 'admitted', count: 2 }).nothingHappens();
    made.when('checkAdmission', check(3), NOW).answers({ kind: 'concurrency_exceeded' }).nothingHappens();
    made.when('releaseAdmission', release(1), NOW).answers({ kind: 'released', released: 1 });
    made.when('checkAdmission', check(3), NOW).answers({ kind: 'admitted', count: 1 });
  });

  test('never admits more than the rate in any window', () => {
    const made = policy({ windowSeconds: 1, maxRequestsPerWindow: 2, jitterMs: 10 });
    made.when('checkAdmission', check(1), NOW).answers({ kind: 'admitted', count: 1 });
    made.when('checkAdmission', check(2, 3), NOW + 400).answers({ kind: 'admitted', count: 1 });
    const full = made.when('checkAdmission', { ...check(3), jitter: 0.5 }, NOW + 900);
    full.answers({ kind: 'rate_exceeded', retryAfterMs: 105 });
    // A release makes no room in the window; what was not used never was in it.
    made.when('releaseAdmission', release(1), NOW + 900);
    made.when('checkAdmission', check(3), NOW + 999).answers({ kind: 'rate_exceeded', retryAfterMs: 1 });
    made.when('releaseAdmission', { ...release(2), unused: true }, NOW + 999);
    made.when('checkAdmission', check(3), NOW + 999).answers({ kind: 'admitted' });
    made.when('checkAdmission', check(4), NOW + 1_000).answers({ kind: 'admitted' });
  });

  test('creates the policy of a key, once', () => {
    const limits = { maxConcurrent: 1 };
    given().when('checkAdmission', check(1)).refuses('quota_policy_not_found', { quotaPolicyId: ID });
    const first = given().when('checkAdmission', { ...check(1), limits });
    first.answers({ kind: 'admitted' }).then({ type: 'quota_policy_created', keyed: true }, { type: 'quota_admitted' });
    first.when('checkAdmission', { ...check(2), limits }, NOW).answers({ kind: 'concurrency_exceeded' });
  });
});

describe('a refused claimer', () => {
  test('is woken by room, the longest waiting first, and as many as fit', () => {
    const made = policy({ maxConcurrent: 2 });
    made.when('checkAdmission', check(1, 2), NOW);
    const since = [
      ['c', NOW],
      ['b', NOW + 1],
      ['a', NOW + 1],
    ] as const;
    for (const [i, [instance, at]] of since.entries()) {
      const refused = made.when('checkAdmission', waiting(instance, 10 + i), at);
      refused.then({ type: 'quota_refused', waiter: nameOf(instance), wanted: 1 });
    }
    const freed = made.when('releaseAdmission', release(1, 2), NOW + 9);
    freed.then({ type: 'quota_released', admissions: shorts(1, 2), woken: `${nameOf('c')}\n${nameOf('a')}` });
    made
      .when('releaseAdmission', release(1, 2), NOW + 9)
      .answers({ released: 0 })
      .nothingHappens();
  });

  test('is woken when the window moves', () => {
    const made = policy({ windowSeconds: 1, maxRequestsPerWindow: 1, slotTtlMs: 60_000 });
    made.when('checkAdmission', check(1), NOW);
    made.when('checkAdmission', waiting('a', 2), NOW + 1).answers({ kind: 'rate_exceeded', retryAfterMs: 999 });
    made.when('applyDue', DUE, NOW + 999).nothingHappens();
    made.when('applyDue', DUE, NOW + 1_000).then({ type: 'quota_window_moved', woken: nameOf('a') });
    expect(made.reads('readQuotaPolicyLimits', { quotaPolicyId: ID }, NOW + 1_000)).toMatchObject({
      outcome: { waiting: 0 },
    });
  });

  test('is forgotten after its waiting time', () => {
    const made = policy({ maxConcurrent: 1 });
    made.when('checkAdmission', check(1), NOW);
    made.when('checkAdmission', { ...waiting('a', 2), waiterTtlMs: 5 }, NOW);
    made.when('releaseAdmission', release(1), NOW + 5).then({ type: 'quota_released', woken: '' });
    made
      .when('releaseAdmission', { quotaPolicyId: uuid(1), admissionIds: ids(1) }, NOW)
      .refuses('quota_policy_not_found');
  });
});

describe('a quota policy over time', () => {
  test('asks repeatedly about slots without news', () => {
    const made = policy({ maxConcurrent: 2, slotTtlMs: 1_000 });
    made.when('checkAdmission', check(1), NOW);
    const asked = made.when('applyDue', DUE, NOW + 1_000).then({ type: 'quota_slots_checked', admissions: shorts(1) });
    asked.answers({ deliveries: [{ kind: 'quota_policy', id: ID, text: `${shorts(1)[0]}\t${PARTITION}` }] });
    made.when('applyDue', DUE, NOW + 999 + SLOT_CHECK_MS).nothingHappens();
    made.when('applyDue', DUE, NOW + 1_000 + SLOT_CHECK_MS).then({ type: 'quota_slots_checked' });
  });

  test('asks about slots from before a step back of the clock once they keep work waiting', () => {
    const made = policy({ maxConcurrent: 1 });
    const [ahead, back] = [NOW + 86_400_000, NOW + 1_000];
    made.when('checkAdmission', check(1), ahead).answers({ kind: 'admitted', count: 1 });
    const full = made.when('checkAdmission', waiting('a', 2), back).answers({ kind: 'concurrency_exceeded' });
    full.then(
      { type: 'clock_stepped_back' },
      { type: 'quota_slots_checked', admissions: shorts(1) },
      { type: 'quota_refused' },
    );
    made.when('checkAdmission', check(2), back + 1).nothingHappens();
    made
      .when('applyDue', DUE, back + SLOT_CHECK_MS)
      .answers({ deliveries: [{ kind: 'quota_policy', id: ID, text: `${shorts(1)[0]}\t${PARTITION}` }] });
  });

  test('is forgotten if it belongs to a key that is no longer used', () => {
    const made = given().when('checkAdmission', { ...check(1), limits: { maxConcurrent: 1 } });
    made.when('releaseAdmission', release(1), NOW);
    made.when('applyDue', DUE, NOW + IDLE_QUOTA_MS).then({ type: 'quota_policy_forgotten' });
  });

  test('shows its usage', () => {
    const made = policy({ windowSeconds: 1, maxRequestsPerWindow: 1, maxConcurrent: 3 });
    made.when('checkAdmission', check(1), NOW);
    made.when('checkAdmission', waiting('a', 2), NOW);
    expect(made.reads('readQuotaPolicyLimits', { quotaPolicyId: ID }, NOW + 1)).toMatchObject({
      outcome: { held: 1, inWindow: 1, roomAt: NOW + 1_000, waiting: 1, maxConcurrent: 3, windowSeconds: 1 },
    });
  });
});
