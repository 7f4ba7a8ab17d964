/** Creating: delays, priorities, deadlines in both readings, idempotency keys. */
import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { created, event, given, givenMachine, idOf, NOW, slotEnd, START, X } from './dsl.js';

const args = (facts: Partial<ArgsOf<'createExecution'>> = {}): ArgsOf<'createExecution'> => ({
  executionId: X,
  namespace: 'n',
  laneId: 'lane',
  executionKind: 'k',
  creatorIdentity: 'c',
  ...facts,
});
const create = (facts: Partial<ArgsOf<'createExecution'>> = {}, at = NOW) =>
  given().when('createExecution', args(facts), at);

describe('createExecution', () => {
  test('creates work that waits for a worker', () => {
    create()
      .answers({ kind: 'created', executionId: X, publicState: 'waiting', priority: 0 })
      .then({ type: 'execution_created', at: NOW, payloadBytes: 0 })
      .leaves({
        situation: 'ready',
        createdAt: NOW,
        lastTransitionAt: NOW,
        totalAttemptCount: 0,
        currentLeaseEpoch: 0,
        startedAt: undefined,
      })
      .leavesState({
        lifecyclePhase: 'runnable',
        eligibilityState: 'eligible_now',
        blockingReason: 'waiting_for_worker',
        attemptState: 'pending_first_attempt',
      });
  });

  test.each([
    ['absent', undefined, 'waiting'],
    ['in the past', NOW - 1, 'waiting'],
    ['now', NOW, 'waiting'],
    ['in a millisecond', NOW + 1, 'delayed'],
  ] as const)('a delay that is %s', (_, delayUntil, publicState) => {
    create({ delayUntil })
      .answers({ kind: 'created', publicState })
      .leaves({ dueAt: publicState === 'delayed' ? delayUntil : undefined });
  });

  test('uses the delay of the policy if the call has none', () => {
    create({ policy: { delayUntil: NOW + 5 } }).leaves({ situation: 'delayed', dueAt: NOW + 5 });
    create({ delayUntil: 0, policy: { delayUntil: NOW + 5 } }).leaves({ situation: 'ready' });
  });

  test.each([
    [-1, 0],
    [0, 0],
    [9_000, 9_000],
    [9_001, 9_000],
    [-LIMITS.maxInteger, 0],
    [LIMITS.maxInteger, 9_000],
  ])('priority %d is taken as %d', (priority, expected) => {
    create({ priority }).answers({ kind: 'created', priority: expected });
    create({ policy: { priority } }).answers({ kind: 'created', priority: expected });
  });

  test('prefers the priority of the call to that of the policy', () => {
    create({ priority: 0, policy: { priority: 5 } }).answers({ kind: 'created', priority: 0 });
    create({ policy: { priority: 5 } }).answers({ kind: 'created', priority: 5 });
  });

  test.each([
    ['a duration', 5_000, NOW + 5_000],
    ['the longest duration', 999_999_999_999, NOW + 999_999_999_999],
    ['the first absolute time', 1_000_000_000_000, 1_000_000_000_000],
    ['an absolute time', START + 1, START + 1],
  ])('a deadline in the policy that is %s', (_, executionDeadlineMs, executionDeadlineAt) => {
    create({ policy: { timeoutPolicy: { executionDeadlineMs } } }).leaves({ executionDeadlineAt });
  });

  test('takes an absolute deadline from the call, also a past one, before that of the policy', () => {
    create({ executionDeadlineAt: 7, policy: { timeoutPolicy: { executionDeadlineMs: 5 } } }).leaves({
      executionDeadlineAt: 7,
    });
  });

  test('answers duplicate for a known id, whatever the other arguments', () => {
    given(created())
      .when('createExecution', args({ laneId: 'other', priority: 9 }))
      .answers({ kind: 'duplicate', executionId: X })
      .nothingHappens();
  });

  test('answers with the first execution of a key within its window, per namespace', () => {
    const again = args({ executionId: idOf(2), idempotencyKey: 'key' });
    const world = created({ idempotencyKey: 'key', idempotencyExpiresAt: NOW + 1 });
    given(world).when('createExecution', again, NOW).answers({ kind: 'duplicate', executionId: X }).nothingHappens();
    given(world)
      .when('createExecution', again, NOW + 1)
      .answers({ kind: 'created', executionId: idOf(2) });
    given(world)
      .when('createExecution', { ...again, namespace: 'm' }, NOW)
      .answers({ kind: 'created' });
    given(world)
      .when('createExecution', { ...again, idempotencyKey: 'Key' }, NOW)
      .answers({ kind: 'created' });
  });

  test('a key does not name an execution that is gone', () => {
    const named = created({ idempotencyKey: 'key', idempotencyExpiresAt: NOW + 1 });
    const machine = givenMachine(named, event('execution_dropped', { requestedBy: 'ann', dropReason: 'lost' }));
    expect(machine.view.executions.ofKey('n', 'key', NOW)).toBeUndefined();
    const again = parseCommand('createExecution', args({ executionId: idOf(2), idempotencyKey: 'key' }), 'memory');
    expect(machine.run(again, NOW)).toMatchObject({ outcome: { kind: 'created' } });
    expect(machine.view.executions.ofKey('n', 'key', NOW)).toBe(idOf(2));
  });

  test('a key that the execution holds names it after its window, until it is gone', () => {
    const again = args({ executionId: idOf(2), idempotencyKey: 'key' });
    const held = created({ idempotencyKey: 'key', idempotencyExpiresAt: NOW + 1, holdsKey: true });
    given(held)
      .when('createExecution', again, NOW + 1)
      .answers({ kind: 'duplicate', executionId: X })
      .nothingHappens();
    given(held, event('execution_dropped', { requestedBy: 'ann', dropReason: 'lost' }))
      .when('createExecution', again, NOW + 1)
      .answers({ kind: 'created', executionId: idOf(2) });
  });

  test('an execution holds no key that it does not have', () => {
    create({ holdsKey: true }).then({ type: 'execution_created', holdsKey: false });
    create({ holdsKey: true, idempotencyKey: '' }).then({ type: 'execution_created', holdsKey: false });
    create({ holdsKey: true, idempotencyKey: 'k' }).then({ type: 'execution_created', holdsKey: true });
  });

  test('keeps a key for a day, or as the policy says', () => {
    create({ idempotencyKey: 'k' }).then({ type: 'execution_created', idempotencyExpiresAt: NOW + 86_400_000 });
    create({ idempotencyKey: 'k', policy: { dedupWindowMs: 10 } }).then({
      type: 'execution_created',
      idempotencyExpiresAt: NOW + 10,
    });
  });

  test('keeps an execution at least as long as its key, so that no duplicate names a purged one', () => {
    const keyEnds = NOW + 86_400_000;
    create({ idempotencyKey: 'k', policy: { streamPolicy: { retentionTtlMs: 0 } } })
      .when('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' }, NOW)
      .then({ type: 'execution_cancelled', purgeAt: slotEnd(keyEnds) })
      .when('createExecution', args({ executionId: idOf(2), idempotencyKey: 'k' }), keyEnds - 1)
      .answers({ kind: 'duplicate', executionId: X })
      .when('purgeExecution', { executionId: X }, keyEnds - 1)
      .answers({ kind: 'not_yet_due', purgeAt: slotEnd(keyEnds) })
      .when('createExecution', args({ executionId: idOf(2), idempotencyKey: 'k' }), keyEnds)
      .answers({ kind: 'created', executionId: idOf(2) })
      .when('purgeExecution', { executionId: X }, slotEnd(keyEnds))
      .answers({ kind: 'purged' });
  });

  test('stores capabilities as a set, in byte order', () => {
    create({ policy: { routingRequirements: { requiredCapabilities: ['ä', 'gpu', 'eu', 'gpu'] } } }).leaves({
      requiredCapabilities: ['eu', 'gpu', 'ä'],
    });
  });
});

function transferred(): Uint8Array {
  const bytes = new Uint8Array(8);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

describe('createExecution refuses', () => {
  const refusal = (facts: object): unknown => {
    try {
      return parseCommand('createExecution', { ...args(), ...facts }, 'memory');
    } catch (error) {
      return error;
    }
  };
  test.each([
    ['a tag key without a dot', { tags: { team: 'a' } }, 'invalid_tag_key', 'tags.team'],
    ['a tag that would be a prototype', { tags: JSON.parse('{"__proto__":"a"}') }, 'invalid_tag_key', 'tags.__proto__'],
    ['a tag value that is too long', { tags: { 'a.b': 'x'.repeat(1_025) } }, 'invalid_input', 'tags.a.b'],
    ['a tag value that is no text', { tags: { 'a.b': 5 } }, 'invalid_input', 'tags.a.b'],
    ['a policy that is a list', { policy: [] }, 'invalid_policy_json', 'policy'],
    ['a misspelt member of the policy', { policy: { retryPolcy: {} } }, 'invalid_policy_json', 'policy'],
    [
      'requirements that are no object',
      { policy: { routingRequirements: null } },
      'invalid_policy_json',
      'policy.routingRequirements',
    ],
    [
      'capabilities that are no list',
      { policy: { routingRequirements: { requiredCapabilities: {} } } },
      'invalid_capabilities',
      'policy.routingRequirements.requiredCapabilities',
    ],
    [
      'a token with a comma',
      { policy: { routingRequirements: { requiredCapabilities: ['a,b'] } } },
      'invalid_capabilities',
      'policy.routingRequirements.requiredCapabilities.0',
    ],
    [
      '257 tokens',
      { policy: { routingRequirements: { requiredCapabilities: Array.from({ length: 257 }, (_, i) => `t${i}`) } } },
      'invalid_capabilities',
      'policy.routingRequirements.requiredCapabilities',
    ],
    ['bytes whose buffer was transferred', { inputPayload: transferred() }, 'invalid_input', 'inputPayload'],
    [
      'what only looks like bytes',
      { inputPayload: Object.create(Uint8Array.prototype) },
      'invalid_input',
      'inputPayload',
    ],
    ['a fractional priority', { priority: 1.5 }, 'invalid_input', 'priority'],
    ['a lane with a colon', { laneId: 'a:b' }, 'invalid_input', 'laneId'],
  ])('%s', (_, facts, code, field) => {
    expect(refusal(facts)).toMatchObject({ code, detail: { field } });
  });

  test('but not negative zero, nor bytes of another realm', () => {
    const inputPayload = vm.runInNewContext('new Uint8Array([7])') as Uint8Array;
    const { args: parsed } = parseCommand('createExecution', { ...args(), priority: -0, inputPayload }, 'memory');
    expect(parsed).toMatchObject({ priority: 0, inputPayload });
  });

  test('but not 256 tokens and 4 096 bytes', () => {
    const tokens = Array.from({ length: 256 }, (_, i) => `t${i}`);
    expect(
      refusal({ policy: { routingRequirements: { requiredCapabilities: [...tokens, ...tokens] } } }),
    ).not.toBeInstanceOf(Error);
    expect(
      refusal({ policy: { routingRequirements: { requiredCapabilities: ['x'.repeat(4_096)] } } }),
    ).not.toBeInstanceOf(Error);
    expect(refusal({ policy: { routingRequirements: { requiredCapabilities: ['x'.repeat(4_097)] } } })).toBeInstanceOf(
      Error,
    );
  });
});
