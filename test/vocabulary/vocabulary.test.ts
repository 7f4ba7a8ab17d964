/** The vocabulary of the contract as pure values, as `flowfabric/engine` offers it. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { memory } from '../../src/memory/index.js';
import { BOUNDARY_ERRORS, REJECTIONS } from '../../model/errors.js';
import { crc16 } from '../../model/ids.js';
import { keysOf } from '../../model/core/tables.js';
import { SUSPEND_REASONS } from '../../model/suspension/facts.js';
import { SITUATIONS, stateVector, type StateVector } from '../../model/execution/situation.js';
import {
  capabilityDigest,
  classOfError,
  CONTRACT_CODES,
  coversCapabilities,
  derivePublicState,
  EngineError,
  flowExecutionId,
  formatExecutionId,
  formatPartitionKey,
  formatStreamCursor,
  isConcrete,
  isConsistent,
  meaningOfCode,
  missingCapabilities,
  newId,
  parseCapabilities,
  parseExecutionId,
  parseLaneId,
  parsePartitionKey,
  parseStreamCursor,
  partitionOfBudget,
  partitionOfFlow,
  partitionOfLane,
  partitionOfQuotaPolicy,
  scanStartOf,
  soloExecutionId,
  STREAM_BEGINNING,
} from '../../src/engine/index.js';

const ZERO = '00000000-0000-0000-0000-000000000000';
const ONES = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const invalid = (why: string | RegExp) =>
  expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(why) });

describe('partitions', () => {
  test.each([
    [ZERO, 0, 0, 0],
    ['550e8400-e29b-41d4-a716-446655440000', 36_888, 24, 24],
    ['00112233-4455-6677-8899-aabbccddeeff', 4_680, 72, 8],
    [ONES, 65, 65, 1],
  ])('of the UUID %s', (uuid, hash, of256, of32) => {
    expect(partitionOfFlow(uuid, 65_535)).toBe(hash % 65_535);
    expect(partitionOfFlow(uuid, 256)).toBe(of256);
    expect(partitionOfBudget(uuid, 32)).toBe(of32);
    expect(partitionOfQuotaPolicy(uuid, 32)).toBe(of32);
  });

  test.each([
    ['default', 54_870, 86],
    ['workers-a', 11_969, 193],
    ['lane-1', 15_021, 173],
    ['a', 31_879, 135],
  ])('of the lane %s', (lane, hash, of256) => {
    expect(crc16(new TextEncoder().encode(lane))).toBe(hash);
    expect(partitionOfLane(lane, 256)).toBe(of256);
  });

  it('hash as clusters do', () => expect(crc16(new TextEncoder().encode('123456789'))).toBe(0x31c3));

  it('begin scans apart', () => {
    expect([scanStartOf('worker-1', 256), scanStartOf('', 256)]).toEqual([237, 37]);
  });

  it('need a UUID and a count', () => {
    expect(() => partitionOfFlow('x', 256)).toThrow(invalid('flowId: must be'));
    expect(() => partitionOfBudget(ONES, 0)).toThrow(invalid('count: must be'));
    expect(() => partitionOfLane('a', 65_536)).toThrow(invalid('count: must be'));
  });

  it('have keys that read back', () => {
    expect(formatPartitionKey({ family: 'execution', index: 3 })).toBe('{fp:3}');
    expect(parsePartitionKey('{fp:3}')).toEqual({ family: 'flow', index: 3 });
    fc.assert(
      fc.property(
        fc.constantFrom('flow' as const, 'budget' as const, 'quota' as const),
        fc.nat(65_535),
        (family, index) => {
          expect(parsePartitionKey(formatPartitionKey({ family, index }))).toEqual({ family, index });
        },
      ),
    );
  });

  it('of workers name a namespace, as the engine hands them out', async () => {
    expect(parsePartitionKey('{w:shop}')).toEqual({ family: 'worker', namespace: 'shop' });
    expect(parsePartitionKey('{w:3}')).toEqual({ family: 'worker', namespace: '3' });
    expect(formatPartitionKey({ family: 'worker', namespace: 'shop' })).toBe('{w:shop}');
    const backend = memory();
    await backend.registerWorker({
      ...{ workerId: 'w', workerInstanceId: 'w1', namespace: 'team a.mail', lanes: ['l'], livenessTtlMs: 1_000 },
    });
    const names = backend.partitionsInUse().map(parsePartitionKey);
    expect(names).toContainEqual({ family: 'worker', namespace: 'team a.mail' });
    expect(names.map(formatPartitionKey)).toEqual(backend.partitionsInUse());
  });

  test.each([
    ['fp:3', 'missing braces'],
    ['{', 'missing braces'],
    ['{fp3}', 'malformed body'],
    ['{x:3}', 'unknown family prefix "x"'],
    ['{toString:3}', 'unknown family prefix'],
    ['{fp:}', 'invalid index ""'],
    ['{fp:03}', 'invalid index'],
    ['{fp:+3}', 'invalid index'],
    ['{fp:65536}', 'invalid index'],
    ['{fp:1:2}', 'invalid index'],
    ['{w:}', 'invalid namespace ""'],
    ['{w:a:b}', 'invalid namespace'],
    ['{w:a,b}', 'invalid namespace'],
    ['{w:é}', 'invalid namespace'],
    [`{w:${'n'.repeat(129)}}`, 'invalid namespace'],
  ])('refuse the key %s', (text, why) => expect(() => parsePartitionKey(text)).toThrow(invalid(why)));
});

describe('ids', () => {
  it('of executions are taken apart and put together', () => {
    const parts = { partition: 7, uuid: newId() };
    expect(parseExecutionId(formatExecutionId(parts))).toEqual(parts);
  });

  test.each([
    [ZERO, 'missing tag'],
    [`{b:1}:${ZERO}`, 'missing tag'],
    [`{fp:1}${ZERO}`, 'missing tag'],
    [`{fp:01}:${ZERO}`, 'invalid partition index'],
    [`{fp:70000}:${ZERO}`, 'invalid partition index'],
    [`{fp:1}:${ONES.toUpperCase()}`, 'invalid uuid'],
    ['{fp:1}:x', 'invalid uuid'],
  ])('refuse %s', (text, why) => expect(() => parseExecutionId(text)).toThrow(invalid(why)));

  it('of one UUID there is one id', () => {
    const uuid = '550e8400-e29b-41d4-a716-446655440000';
    const placed = { namespace: 'shop', laneId: 'default' };
    const spread = { count: 256, placement: 'spread' } as const;
    expect(soloExecutionId(spread, placed, uuid)).toBe(`{fp:24}:${uuid}`);
    expect(soloExecutionId({ ...spread, placement: 'lane' }, placed, uuid)).toBe(`{fp:86}:${uuid}`);
    const keyed = { ...placed, idempotencyKey: 'order 1' };
    expect(soloExecutionId(spread, keyed, uuid).split(':')[1]).toBe(soloExecutionId(spread, keyed, ONES).split(':')[1]);
    expect(flowExecutionId(ONES, 256, uuid)).toBe(`{fp:65}:${uuid}`);
    expect(() => soloExecutionId(spread, placed, 'x')).toThrow(invalid('uuid'));
  });

  test.each([
    ['', 'empty'],
    ['x'.repeat(65), /too long \(65\)/],
    ['a\tb', 'non printable at 1'],
    ['é', 'non printable at 0'],
    ['a:b', 'reserved character at 1'],
  ])('of lanes refuse %j', (text, why) => expect(() => parseLaneId(text)).toThrow(invalid(why)));

  it('of lanes are names', () => expect(parseLaneId('mail and more')).toBe('mail and more'));
});

describe('stream cursors', () => {
  test.each(['start', 'end', '0', '17', '17-0', '18446744073709551615-3'])('%s is one', (text) => {
    expect(formatStreamCursor(parseStreamCursor(text))).toBe(text);
    expect(isConcrete(parseStreamCursor(text))).toBe(!['start', 'end'].includes(text));
  });

  it('begin at 0-0', () => expect(formatStreamCursor(STREAM_BEGINNING)).toBe('0-0'));

  test.each([
    ['', 'must not be empty'],
    ['-', "bare marker '-'"],
    ['+', "bare marker '\\+'"],
    ['Start', 'invalid stream cursor'],
    [' 1', 'invalid stream cursor'],
    ['1-', 'invalid stream cursor'],
    ['-1', 'invalid stream cursor'],
    ['1-2-3', 'invalid stream cursor'],
    ['１', 'invalid stream cursor'],
    ['18446744073709551616', 'invalid stream cursor'],
  ])('%j is none', (text, why) => expect(() => parseStreamCursor(text)).toThrow(invalid(why)));
});

describe('states', () => {
  const facts = { totalAttemptCount: 1, heldAt: undefined } as const;
  const vectors = Object.entries(SITUATIONS).map(([situation, row]) => {
    const nextAttempt = situation === 'retry_backoff' ? 'retry' : situation === 'resume_delay' ? 'resume' : 'first';
    const vector = stateVector({ ...facts, situation: situation as keyof typeof SITUATIONS, nextAttempt });
    return [
      situation,
      row.phase === 'suspended' ? { ...vector, attemptState: 'attempt_interrupted' as const } : vector,
    ] as const;
  });

  test.each(vectors)('of what is %s are legal', (_, vector) => {
    expect(isConsistent(vector)).toBe(true);
    expect(derivePublicState(vector)).toBe(vector.publicState);
  });

  test.each(keysOf(SUSPEND_REASONS))('of what is suspended as %s are legal', (suspendReason) => {
    const vector = stateVector({ ...facts, situation: 'suspended', nextAttempt: 'first', suspendReason });
    expect(isConsistent(vector)).toBe(true);
    expect(isConsistent({ ...vector, blockingReason: 'waiting_for_delay' })).toBe(false);
  });

  it('of held work are legal', () => {
    const vector = stateVector({ ...facts, situation: 'ready', nextAttempt: 'first', heldAt: 5 });
    expect(isConsistent(vector)).toBe(true);
    expect(vector.blockingReason).toBe('paused_by_operator');
  });

  const VALUES: { readonly [Dimension in keyof StateVector]: readonly StateVector[Dimension][] } = {
    lifecyclePhase: ['runnable', 'active', 'suspended', 'terminal'],
    ownershipState: ['unowned', 'leased', 'lease_expired_reclaimable', 'lease_revoked'],
    eligibilityState: ['eligible_now', 'not_eligible_until_time', 'blocked_by_quota', 'not_applicable'],
    blockingReason: ['none', 'waiting_for_worker', 'waiting_for_delay', 'waiting_for_quota', 'paused_by_policy'],
    terminalOutcome: ['none', 'success', 'skipped'],
    attemptState: ['none', 'pending_first_attempt', 'attempt_interrupted', 'running_attempt', 'attempt_terminal'],
    publicState: ['waiting', 'delayed', 'rate_limited', 'active', 'suspended', 'completed', 'skipped'],
  };

  it('are as few as the table says', () => {
    const legal: StateVector[] = [];
    const choose = (vector: object, [dimension, ...rest]: readonly (keyof StateVector)[]): void => {
      if (dimension === undefined)
        return void (isConsistent(vector as StateVector) && legal.push(vector as StateVector));
      for (const value of VALUES[dimension]) choose({ ...vector, [dimension]: value }, rest);
    };
    choose({}, Object.keys(VALUES) as (keyof StateVector)[]);
    // R1 twice, R2, R3, R8 twice, A1, A2, A3, S1, T1, T5 twice.
    expect(legal).toHaveLength(13);
    for (const vector of legal) expect(vector.publicState).toBe(derivePublicState(vector));
  });

  it('that are corrupt read as the contract says', () => {
    expect(
      derivePublicState({ lifecyclePhase: 'terminal', eligibilityState: 'not_applicable', terminalOutcome: 'none' }),
    ).toBe('failed');
    expect(
      derivePublicState({ lifecyclePhase: 'runnable', eligibilityState: 'not_applicable', terminalOutcome: 'none' }),
    ).toBe('waiting');
  });
});

describe('capabilities', () => {
  it('are sets of tokens', () => {
    expect(parseCapabilities(['gpu', 'eu', 'gpu'])).toEqual(['eu', 'gpu']);
    for (const [bad, reason] of [
      ['', 'empty_token'],
      ['a,b', 'comma_in_token'],
      ['a b', 'control_or_whitespace'],
      ['a\u0000', 'control_or_whitespace'],
    ] as const) {
      expect(() => parseCapabilities([bad])).toThrow(
        expect.objectContaining({ code: 'invalid_capabilities', detail: { reason } }),
      );
    }
    expect(() => parseCapabilities('gpu' as never)).toThrow(
      expect.objectContaining({ detail: { reason: 'not_array' } }),
    );
  });

  it('match exactly', () => {
    expect(missingCapabilities(['gpu', 'EU', 'eu'], ['eu'])).toEqual(['EU', 'gpu']);
    expect(coversCapabilities(['eu', 'gpu'], ['gpu'])).toBe(true);
    expect(coversCapabilities(['GPU'], ['gpu'])).toBe(false);
    expect(coversCapabilities([], [])).toBe(true);
  });

  it('have a short name', () => {
    expect(capabilityDigest(['b', 'a'])).toBe(capabilityDigest(['a', 'b', 'a']));
    // FNV-1a of nothing is its offset: cbf29ce4 and 84222325.
    expect(capabilityDigest([])).toBe('4fd0bfc1');
  });
});

describe('errors', () => {
  const ours = { ...REJECTIONS, ...BOUNDARY_ERRORS };

  test.each(Object.entries(ours))('%s is of the family that the contract says', (code, { family, retryable }) => {
    const meaning = meaningOfCode(code);
    expect(meaning?.family).toBe(family);
    if (retryable) expect(meaning?.errorClass).toBe('retryable');
  });

  test.each([...CONTRACT_CODES, ...Object.keys(ours)])('%s says in sentences what to do', (code) => {
    expect(meaningOfCode(code)?.hint).toMatch(/^[A-Z][^.]*.*[.]$/);
  });

  it('have one meaning each', () => {
    expect(CONTRACT_CODES.length).toBeGreaterThan(110);
    expect(meaningOfCode('waitpoint_already_exists')).toEqual({
      family: 'conflict',
      errorClass: 'informational',
      idempotent: true,
      hint: REJECTIONS.waitpoint_already_exists.hint,
    });
    expect(meaningOfCode('budget_exceeded')?.errorClass).toBe('cooperative');
    expect(meaningOfCode('nothing_like_it')).toBeUndefined();
  });

  it('say what their callers should do', () => {
    expect(classOfError(new EngineError('stale_lease', 'x.'))).toBe('terminal');
    expect(classOfError(new EngineError('grant_already_exists', 'x.'))).toBe('informational');
    expect(classOfError(new EngineError('call_timeout', 'x.'))).toBe('retryable');
    expect(classOfError({ code: 'of_a_newer_version' } as never)).toBe('bug');
  });
});
