/** The compiled validation says what zod says, about good input and bad. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validator } from '../../model/core/validator.js';
import {
  EXECUTION_ID_PATTERN,
  isExecutionIdForm,
  isPartitionKey,
  isUuid,
  PARTITION_KEY_PATTERN,
  partitionIndexOf,
  UUID_PATTERN,
} from '../../model/ids.js';
import { OPERATIONS, QUERIES } from '../../model/machine.js';

const uuids = fc.oneof(
  fc.uuid(),
  fc.constantFrom(
    '',
    'x',
    '0'.repeat(36),
    '0190B0F0-0000-7000-8000-000000000000',
    '0190b0f0-0000-7000-8000-00000000000g',
  ),
);
const keys = fc.oneof(
  fc.nat(70_000).map((index) => `{fp:${index}}`),
  fc.constantFrom('{fp:0}', '{fp:00}', '{fp:01}', '{fp:}', '{fp:123456}', '{fp:1}x', 'fp:1', '{fp:-1}', '{fp:1', ''),
);
const ids = fc.tuple(keys, fc.constantFrom(':', '', '::'), uuids).map((parts) => parts.join(''));

const texts = fc.oneof(
  ids,
  uuids,
  keys,
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ minLength: 60, maxLength: 70 }),
  fc.constantFrom(
    'default',
    'lease_holder',
    'operator_override',
    'transient',
    'lane:1',
    'a,b',
    'é'.repeat(64),
    'tab\t',
    '\ud800',
    'x'.repeat(300),
    'x'.repeat(5_000),
  ),
);
const numbers = fc.oneof(
  fc.integer(),
  fc.nat(),
  fc.double(),
  fc.constantFrom(0, -0, 1, 0.5, 1_000, 30_000, 2 ** 53, Number.MAX_SAFE_INTEGER),
);
const capabilityLists = fc.array(
  fc.oneof(fc.constantFrom('gpu', 'big', 'é', 'a b', 'a,b', ''), fc.string({ maxLength: 4 })),
  { maxLength: 4 },
);
const tagMaps = fc.dictionary(
  fc.constantFrom('team.name', 'a.b', 'nodot', 'A.b', 'z.1'),
  fc.oneof(fc.string({ maxLength: 3 }), fc.integer()),
);
const policies = fc.record(
  {
    priority: numbers,
    retryPolicy: fc.record({ maxRetries: numbers }, { requiredKeys: [] }),
    routingRequirements: fc.record({ requiredCapabilities: capabilityLists }),
    unknown: fc.boolean(),
  },
  { requiredKeys: [] },
);
const claim = fc.record(
  { leaseId: uuids, attemptId: uuids, extra: fc.anything() },
  { requiredKeys: ['leaseId', 'attemptId'] },
);
const fences = fc.record(
  { leaseId: uuids, leaseEpoch: numbers, attemptId: uuids, extra: fc.anything() },
  { requiredKeys: [] },
);
const anything = fc.oneof(
  texts,
  numbers,
  capabilityLists,
  tagMaps,
  policies,
  fences,
  fc.array(claim, { maxLength: 3 }),
  fc.uint8Array({ maxLength: 4 }),
  fc.constantFrom(null, undefined, true, [], {}),
  fc.anything(),
);

/** Values that are mostly right for a member of this name, so that whole arguments are often good. */
const LIKELY: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  executionId: fc.oneof(
    fc.uuid().map((uuid) => `{fp:0}:${uuid}`),
    ids,
  ),
  cursor: ids,
  partition: keys,
  leaseId: uuids,
  attemptId: uuids,
  expectedLeaseId: uuids,
  fence: fences,
  claims: fc.array(claim, { maxLength: 3 }),
  workerCapabilities: capabilityLists,
  tags: tagMaps,
  policy: policies,
  inputPayload: fc.uint8Array({ maxLength: 4 }),
  resultPayload: fc.uint8Array({ maxLength: 4 }),
  source: fc.constantFrom('lease_holder', 'operator_override', 'other'),
  failureClass: fc.constantFrom('transient', 'permanent', 'other'),
  expireReason: fc.constantFrom('attempt_timeout', 'execution_deadline', 'other'),
};

/** Values of which every member of every declaration accepts one. */
const CANDIDATES: readonly unknown[] = [
  '{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab',
  '{fp:3}',
  '0190b0f0-1234-7abc-8def-0123456789ab',
  'default',
  'lease_holder',
  'operator_override',
  'permanent',
  'attempt_timeout',
  'waiting_for_quota',
  'waiting_for_signal',
  'waitpoint',
  'fresh',
  'worker',
  'fail',
  'failed',
  'execution:{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab',
  '12',
  'été',
  '.0.0',
  'start',
  'all',
  'step',
  'keep',
  '{"a":null}',
  'q--------F-1V--------wF',
  'waiting',
  true,
  0,
  1,
  5,
  0.25,
  2_000,
  12_000,
  Date.UTC(2030, 1),
  ['b', 'a', 'b'],
  ['gpu'],
  { maxConcurrent: 5 },
  ['0190b0f0-1234-7abc-8def-0123456789ab'],
  [],
  { 'b.b': '2', 'a.a': '1' },
  {},
  { priority: 10_000, retryPolicy: {} },
  { namespace: 'n', tags: { 'a.a': '1' } },
  { blockingReason: 'paused_by_operator' },
  '12:{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab',
  { routingRequirements: { requiredCapabilities: ['b', 'a'] } },
  new Uint8Array([1]),
  new Uint8Array(32),
  [{ leaseId: '0190b0f0-1234-7abc-8def-0123456789ab', attemptId: '0190b0f0-1234-7abc-8def-0123456789ab' }],
  { leaseId: '0190b0f0-1234-7abc-8def-0123456789ab', leaseEpoch: 1, attemptId: '0190b0f0-1234-7abc-8def-0123456789ab' },
  { leaseEpoch: 2 },
  [{ waitpointId: '0190b0f0-1234-7abc-8def-0123456789ab', waitpointKey: 'a' }],
  { type: 'operator_only' },
  { ttlMs: 0, maxlenFloor: 1 },
  'success_only',
  'cancel_all',
  'strict',
  'warn',
  'team.name',
  'outgoing',
  '{b:0}',
  '1700000000000.5', // a cursor of `listQuarantined`
  { inputTokens: 5, custom: { a: 1 } },
  { tokens: { hard: 5 } },
  { kind: 'quorum', k: 2 },
  { strategy: 'drop', room: 3 },
  '-5:{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab',
  {
    members: [{ executionId: '{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab', laneId: 'l', executionKind: 'k' }],
    edges: [],
  },
  [
    {
      executionId: '{fp:0}:0190b0f0-1234-7abc-8def-0123456789ab',
      edgeId: '0190b0f0-1234-7abc-8def-0123456789ab',
      laneId: 'l',
      executionKind: 'k',
    },
  ],
];

/** Arguments that are good in most members, so that every single fault and every good whole comes up. */
function argsOf(schema: z.ZodObject): fc.Arbitrary<unknown> {
  const members = Object.entries(schema.shape).map(([key, member]) => {
    const good = fc.constantFrom(...CANDIDATES.filter((value) => z.safeParse(member, value).success));
    const likely = LIKELY[key] ?? fc.oneof(texts, numbers);
    return [
      key,
      fc.oneof({ weight: 20, arbitrary: good }, { weight: 1, arbitrary: likely }, { weight: 1, arbitrary: anything }),
    ] as const;
  });
  const model: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
    ...Object.fromEntries(members),
  };
  const required = Object.entries(schema.shape)
    .filter(([, member]) => !z.safeParse(member, undefined).success)
    .map(([key]) => key);
  const complete = fc.record(model, { requiredKeys: required });
  const partial = fc.record(model, { requiredKeys: [] });
  const withUnknown = fc.record<Record<string, unknown>>(
    { ...model, unknownMember: fc.anything() },
    { requiredKeys: required },
  );
  return fc.oneof(
    { weight: 12, arbitrary: complete },
    { weight: 3, arbitrary: partial },
    { weight: 1, arbitrary: withUnknown },
    { weight: 1, arbitrary: fc.anything() },
  );
}

function expectLikeZod(
  schema: z.ZodType,
  validate: (value: unknown) => z.ZodSafeParseResult<unknown>,
  input: unknown,
): boolean {
  const expected = schema.safeParse(input);
  const got = validate(input);
  expect(got.success).toBe(expected.success);
  if (expected.success) expect(got.data).toEqual(expected.data);
  else expect(got.error?.issues).toEqual(expected.error.issues);
  return expected.success;
}

describe('compiled validation', () => {
  for (const { name, args } of [...Object.values(OPERATIONS), ...Object.values(QUERIES)]) {
    it(`of ${name} agrees with its declaration`, () => {
      const validate = validator(args);
      let accepted = 0;
      fc.assert(
        fc.property(argsOf(args), (input) => void (accepted += Number(expectLikeZod(args, validate, input)))),
        { numRuns: 400 },
      );
      // Of `appendFrame`, whose members exclude each other, some 30 are seen.
      expect(accepted).toBeGreaterThan(3);
    });
  }

  const small = z.object({
    text: z.string(),
    number: z.number().optional(),
    choice: z.enum(['a', 'b']).default('a'),
    list: z
      .array(z.string().refine((text) => text !== 'no'))
      .min(1)
      .max(2),
    nested: z.object({ deep: z.number().default(7) }).optional(),
    any: z.any(),
    transformed: z
      .string()
      .transform((text) => text.length)
      .optional(),
    strict: z.strictObject({ only: z.string() }).optional(),
    coerced: z.coerce.number().optional(),
    trimmed: z.string().trim().optional(),
    mail: z.email().optional(),
    whole: z.int().optional(),
    nullable: z.string().nullable().optional(),
    fallback: z.array(z.number()).default([1, 2]),
    inner: z.string().default('x').optional(),
  });

  it('follows every kind of schema, compiled or not', () => {
    const validate = validator(small);
    const member = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          undefined,
          ' a ',
          'a',
          'b',
          'no',
          1,
          1.5,
          NaN,
          Infinity,
          null,
          ['a'],
          ['no'],
          ['a', 'b', 'c'],
          [],
          [1],
          {},
          { deep: 1 },
          { deep: 'x' },
          { only: 'a' },
          { only: 'a', more: 1 },
          'a@b.example',
        ),
      },
      { weight: 1, arbitrary: fc.anything() },
    );
    const good = { text: 'a', list: ['a'], any: 1 };
    const changes = fc.dictionary(fc.constantFrom(...Object.keys(small.shape)), member, { maxKeys: 3 });
    fc.assert(
      fc.property(changes, (change) => void expectLikeZod(small, validate, { ...good, ...change })),
      { numRuns: 3_000 },
    );
  });

  it('gives every call its own copy of a default', () => {
    const validate = validator(small);
    const [first, second] = [
      validate({ text: 'a', list: ['a'], any: 1 }),
      validate({ text: 'a', list: ['a'], any: 1 }),
    ];
    expect(first.data?.fallback).toEqual([1, 2]);
    expect(first.data?.fallback).not.toBe(second.data?.fallback);
  });

  it('refuses bytes in the place of an object without naming each byte', () => {
    const bytes = new Uint8Array(8 * 1024 * 1024);
    const inner = z.strictObject({ a: z.string().optional() }).optional();
    const nested = z.strictObject({ policy: z.strictObject({ inner }).optional() });
    for (const input of [bytes, { policy: bytes }, { policy: { inner: bytes } }]) {
      const issue = validator(nested)(input).error?.issues[0];
      // Naming every byte takes a second and more.
      expect(issue?.code === 'unrecognized_keys' && issue.keys.length).toBe(100);
    }
  });

  it('ignores inherited members, except those that the declaration names', () => {
    const nested = z.strictObject({ policy: z.strictObject({ a: z.string().optional() }).optional() });
    const bytes = new Uint8Array(8 * 1024 * 1024);
    const startedAt = performance.now();
    expect(validator(nested)(Object.setPrototypeOf({ policy: {} }, bytes)).success).toBe(true);
    expect(validator(nested)({ policy: Object.setPrototypeOf({ a: 'own' }, bytes) }).data).toEqual({
      policy: { a: 'own' },
    });
    // Each byte is an inherited member: minutes, when they were counted.
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    class Policy {
      get a(): string {
        return 'of the class';
      }
    }
    expect(validator(nested)({ policy: new Policy() }).data).toEqual({ policy: { a: 'of the class' } });
    expect(validator(nested)({ policy: Object.assign(new Policy(), { b: 1 }) }).success).toBe(false);
  });

  it('drops undeclared members, and copies declared ones', () => {
    const input = { text: 'a', list: ['a'], any: 1, other: true };
    const { data } = validator(small)(input);
    expect(data).not.toHaveProperty('other');
    expect(data?.list).not.toBe(input.list);
  });
});

describe('checks of ids', () => {
  it('accept the same texts as their patterns, however often they are asked', () => {
    fc.assert(
      fc.property(texts, (text) => {
        for (let time = 0; time < 2; time++) {
          expect(isUuid(text)).toBe(UUID_PATTERN.test(text));
          expect(isPartitionKey(text)).toBe(PARTITION_KEY_PATTERN.test(text));
          expect(isExecutionIdForm(text)).toBe(EXECUTION_ID_PATTERN.test(text));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuse a text that differs in one character', () => {
    const good = '{fp:17}:0190b0f0-1234-7abc-8def-0123456789ab';
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (at, unit) => {
        expect(isExecutionIdForm(good)).toBe(true);
        const changed = good.slice(0, at) + unit + good.slice(at + 1);
        expect(isExecutionIdForm(changed)).toBe(EXECUTION_ID_PATTERN.test(changed));
        expect(isUuid(changed.slice(8))).toBe(UUID_PATTERN.test(changed.slice(8)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('read the index out of a key and out of an id', () => {
    expect(partitionIndexOf('{fp:0}')).toBe(0);
    expect(partitionIndexOf('{fp:65535}')).toBe(65_535);
    expect(partitionIndexOf('{fp:120}:0190b0f0-1234-7abc-8def-0123456789ab')).toBe(120);
  });
});
