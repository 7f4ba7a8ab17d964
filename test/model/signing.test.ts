/** Tokens: whoever holds the one of a waitpoint can send it a signal, until its key's grace is over. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { ArgsOf } from '../../model/machine.js';
import { digestOf, messageOf, WaitpointToken } from '../../model/signing/token.js';
import { LIMITS } from '../../model/limits.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { CLASSES, event, FENCE, given, IN_CLASS, NOW, PARTITION, START, uuid, X, type Then } from './dsl.js';

const SECRET = new Uint8Array(32).fill(1);
const OTHER = new Uint8Array(70).fill(2);
const W = uuid(501);

const rotate = (newKid = 'k1', newSecret = SECRET, graceMs = 1_000): ArgsOf<'rotateWaitpointHmacSecret'> => ({
  partition: PARTITION,
  newKid,
  newSecret,
  graceMs,
});

const tokenOf = (kid: string, secret: Uint8Array, bound = {}): string =>
  `${kid}:${digestOf(secret, messageOf({ waitpointId: W, waitpointKey: 'wpk:a', createdAt: START, ...bound }))}`;

const signal = (args: Partial<ArgsOf<'deliverSignal'>> = {}): ArgsOf<'deliverSignal'> => ({
  executionId: X,
  waitpointId: W,
  waitpointToken: tokenOf('k1', SECRET),
  signalId: uuid(700),
  signalName: 'go',
  ...args,
});

/** A suspended execution in a partition with a key. */
const signed = (): Then => given(...IN_CLASS.SW).when('rotateWaitpointHmacSecret', rotate());

describe('digests', () => {
  test.each([
    ['ab'.repeat(32), '11111111-1111-4111-8111-111111111111', 'wpk:a', 'bfbdb08cba167f486aba20c6a6f129485b050532'],
    ['ab'.repeat(70), '11111111-1111-4111-8111-111111111111', 'wpk:a|b', '3b641a7143d56080953ab28a9215008ba291470d'],
    [
      `${'00'.repeat(31)}01`,
      '11111111-1111-1111-1111-111111111111',
      'wpk:abc',
      '7066f3b871fe6e99955568cd37fb5fadfcee3eb3',
    ],
  ])('are those of the contract: %s', (secret, waitpointId, waitpointKey, digest) => {
    const message = messageOf({ waitpointId, waitpointKey, createdAt: 1_700_000_000_000 });
    expect(digestOf(Buffer.from(secret, 'hex'), message)).toBe(digest);
  });
});

describe('deliverSignal', () => {
  test.each(CLASSES)('in %s, with a token of another waitpoint', (state) => {
    given(...IN_CLASS[state])
      .when('rotateWaitpointHmacSecret', rotate())
      .when('deliverSignal', signal({ waitpointToken: tokenOf('k1', SECRET, { waitpointId: uuid(999) }) }), NOW)
      .refuses('invalid_token');
  });

  test('resumes the execution that waits for it', () => {
    signed()
      .when('deliverSignal', signal({ sourceIdentity: 'web' }), NOW)
      .answers({ kind: 'accepted', effect: 'resume_condition_satisfied' })
      .then({ type: 'signal_accepted', sourceType: 'external', sourceIdentity: 'web' }, { type: 'suspension_closed' });
  });

  test('carries bytes, and a delay of its own', () => {
    const payload = new Uint8Array([1, 2]);
    const facts = { correlationId: 'case', createdAt: 5, targetScope: 'execution', payloadEncoding: 'raw' } as const;
    const done = signed()
      .when('deliverSignal', signal({ payload, resumeDelayMs: 70, ...facts }), NOW)
      .then(
        { type: 'signal_accepted', payloadBytes: 2, ...facts },
        { type: 'suspension_closed', delayUntil: NOW + 70 },
      );
    expect(done.reads('observeSignals', { executionId: X, attemptIndex: 0 }, NOW)).toMatchObject({
      outcome: { resumeTrigger: 'signal', signals: [{ ...facts, payload, acceptedAt: NOW, waitpointKey: 'wpk:a' }] },
    });
  });

  test('carries no more bytes than the limit of all signals of an execution', () => {
    const full = event('signal_accepted', {
      signalId: uuid(699),
      waitpointId: W,
      signalName: 'no',
      payloadBytes: LIMITS.maxSignalPayloadsBytes - 1,
      added: '',
    });
    const it = given(...IN_CLASS.SW, full).when('rotateWaitpointHmacSecret', rotate());
    it.when('deliverSignal', signal({ payload: new Uint8Array(2) }), NOW).refuses('signal_limit_exceeded', {
      limit: 'payload_bytes',
    });
    it.when('deliverSignal', signal({ payload: new Uint8Array(1) }), NOW).answers({ kind: 'accepted' });
    expect(() => signed().when('deliverSignal', signal({ payload: new Uint8Array(65_537) }), NOW)).toThrow(
      'payload_too_large',
    );
  });

  test('is a duplicate when it is repeated, and late after another one', () => {
    const done = signed().when('deliverSignal', signal({ idempotencyKey: 'once' }), NOW);
    done
      .when('deliverSignal', signal({ idempotencyKey: 'once', signalId: uuid(701) }), NOW)
      .answers({ kind: 'duplicate', existingSignalId: uuid(700) });
    done.when('deliverSignal', signal({ signalId: uuid(702) }), NOW).refuses('waitpoint_closed');
    done
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, NOW)
      .when('deliverSignal', signal({ signalId: uuid(703) }), NOW)
      .refuses('target_not_signalable');
  });

  test('stops at the maximum number of signals', () => {
    signed()
      .when('deliverSignal', signal({ signalName: 'no' }), NOW)
      .answers({ effect: 'no_op' })
      .when('deliverSignal', signal({ signalId: uuid(701), maxSignalsPerExecution: 1 }), NOW)
      .refuses('signal_limit_exceeded');
  });

  test.each([
    ['', 'missing_token'],
    ['k1', 'invalid_token'],
    [':x', 'invalid_token'],
    ['k1:short', 'invalid_token'],
    [tokenOf('k9', SECRET), 'invalid_token'],
    [tokenOf('k1', OTHER), 'invalid_token'],
    [tokenOf('k1', SECRET).toUpperCase().replace('K1', 'k1'), 'invalid_token'],
    [tokenOf('k1', SECRET, { createdAt: START + 1 }), 'invalid_token'],
    [tokenOf('k1', SECRET, { waitpointKey: 'wpk:b' }), 'invalid_token'],
  ] as const)('with the token %s is refused', (waitpointToken, code) => {
    signed().when('deliverSignal', signal({ waitpointToken }), NOW).refuses(code);
  });

  test('without a key in the partition is refused', () => {
    given(...IN_CLASS.SW)
      .when('deliverSignal', signal())
      .refuses('hmac_secret_not_initialized');
  });
});

describe('rotateWaitpointHmacSecret', () => {
  test('accepts tokens of the previous key until its grace is over, including that millisecond', () => {
    const rotated = signed().when('rotateWaitpointHmacSecret', rotate('k2', OTHER), NOW);
    rotated.answers({ kind: 'rotated', newKid: 'k2', previousKid: 'k1', gcCount: 0 });
    rotated.when('deliverSignal', signal({ signalName: 'no' }), NOW + 1_000).answers({ kind: 'accepted' });
    rotated.when('deliverSignal', signal({ signalId: uuid(701) }), NOW + 1_001).refuses('token_expired');
    rotated
      .when('rotateWaitpointHmacSecret', rotate('k3', new Uint8Array(32).fill(3)), NOW + 1_001)
      .answers({ gcCount: 1 })
      .when('deliverSignal', signal({ signalId: uuid(702) }), NOW + 1_001)
      .refuses('invalid_token');
  });

  test('can be repeated, and restores a key with its own secret only', () => {
    const first = signed();
    first.when('rotateWaitpointHmacSecret', rotate(), NOW).answers({ kind: 'noop' }).nothingHappens();
    first.when('rotateWaitpointHmacSecret', rotate('k1', OTHER), NOW).refuses('rotation_conflict', { kid: 'k1' });
    const back = first
      .when('rotateWaitpointHmacSecret', rotate('k2', OTHER), NOW)
      .when('rotateWaitpointHmacSecret', rotate(), NOW);
    back.answers({ kind: 'rotated', newKid: 'k1', previousKid: 'k2' });
    expect(back.reads('listWaitpointHmacKids', { partition: PARTITION }, NOW)).toMatchObject({
      outcome: { currentKid: 'k1', current: { kid: 'k1' }, verifying: [{ kid: 'k2', expiresAt: NOW + 1_000 }] },
    });
  });
});

describe('a changed token', () => {
  const good = tokenOf('k1', SECRET);
  const at = fc.nat({ max: good.length - 1 });
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 });
  const changed = fc.oneof(
    fc.tuple(at, text).map(([n, other]) => good.slice(0, n) + other + good.slice(n + 1)),
    fc.tuple(at, text).map(([n, other]) => good.slice(0, n) + other + good.slice(n)),
    at.map((n) => good.slice(0, n)),
    at.map((n) => good.slice(n + 1)),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme', minLength: 40, maxLength: 40 }).map((digest) => `k1:${digest}`),
    fc.constantFrom(
      good.toUpperCase(),
      tokenOf('k1', OTHER),
      tokenOf('k2', SECRET),
      tokenOf('k1', SECRET, { waitpointId: uuid(999) }),
      tokenOf('k1', SECRET, { waitpointKey: 'wpk:b' }),
      tokenOf('k1', SECRET, { createdAt: START + 1 }),
    ),
  );

  test('is refused with the same message, whatever was changed', () => {
    const world = signed();
    fc.assert(
      fc.property(
        changed.filter((token) => token !== good && token !== ''),
        (waitpointToken) => {
          let code: unknown;
          try {
            parseCommand('deliverSignal', signal({ waitpointToken }), 'memory');
            code = world.when('deliverSignal', signal({ waitpointToken }), NOW).decision;
          } catch (error) {
            // A text that cannot be sent: too long, or with half a character. It is not quoted.
            expect(error).toBeInstanceOf(EngineError);
            expect((error as Error).message).not.toContain(waitpointToken);
            return;
          }
          expect(code).toEqual({ ok: false, code: 'invalid_token', detail: {} });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('reveals nothing of the key by its length: digests are counted in bytes', () => {
    const over = signed().when('rotateWaitpointHmacSecret', rotate('k2', OTHER, 0), NOW);
    for (const [digest, code] of [
      ['ü'.repeat(40), 'invalid_token'],
      ['ü'.repeat(20), 'token_expired'],
    ] as const)
      over.when('deliverSignal', signal({ waitpointToken: `k1:${digest}` }), NOW + 1).refuses(code);
  });
});

describe('a token', () => {
  const read = (then: Then) =>
    then.reads('readWaitpointToken', { executionId: X, waitpointId: W }, NOW) as {
      outcome?: WaitpointToken;
      code?: string;
    };

  test('is read under the current key while its waitpoint is open', () => {
    const open = signed();
    expect(read(open).outcome?.reveal()).toBe(tokenOf('k1', SECRET));
    open.when('rotateWaitpointHmacSecret', rotate('k2', OTHER), NOW);
    expect(read(open).outcome?.reveal()).toBe(tokenOf('k2', OTHER));
    open.when('resumeExecution', { executionId: X }, NOW);
    expect(read(open).outcome).toBeUndefined();
    expect(read(given(...IN_CLASS.SW).when('renewLease', { executionId: X, fence: FENCE }, NOW)).code).toBe(
      'hmac_secret_not_initialized',
    );
  });

  test('prints redacted', () => {
    const token = new WaitpointToken(tokenOf('k1', SECRET));
    for (const shown of [String(token), inspect(token), inspect({ token }), JSON.stringify({ token })]) {
      expect(shown).toContain('k1:<REDACTED:len=40>');
      expect(shown).not.toContain(tokenOf('k1', SECRET).slice(3, 12));
    }
    expect(String(new WaitpointToken('nothing'))).toBe('<REDACTED:malformed>');
  });
});
