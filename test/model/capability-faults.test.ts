/** Faulty lists of capabilities: one code, and a reason that says whose list it is and what is wrong (spec 01 section 9). */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import type { OperationName } from '../../model/machine.js';
import { parseCommand, parseQuery } from '../../src/backend/boundary.js';

const PARTITION = '{fp:0}';
const FAULTS: readonly (readonly [reason: string, list: unknown])[] = [
  ['not_array', {}],
  ['not_array', null],
  ['not_array', 'gpu'],
  ['non_string_token', ['a', 5]],
  ['empty_token', ['a', '']],
  ['comma_in_token', ['a,b']],
  ['comma_in_token', ['a, b']],
  ['control_or_whitespace', ['a b']],
  ['control_or_whitespace', ['a\u0000']],
  ['control_or_whitespace', ['a\u2003']],
  ['too_many_tokens', Array.from({ length: LIMITS.maxCapabilities + 1 }, (_, index) => `t${index}`)],
  ['too_many_bytes', ['x'.repeat(LIMITS.maxCapabilityListBytes + 1)]],
];

const policy = (requiredCapabilities: unknown) => ({ routingRequirements: { requiredCapabilities } });
const execution = (of: object) => ({
  executionId: `${PARTITION}:${randomUUID()}`,
  namespace: 'n',
  laneId: 'l',
  executionKind: 'k',
  creatorIdentity: 'c',
  ...of,
});
const worker = { workerId: 'w', workerInstanceId: 'w1' };
const PLACES: readonly (readonly [OperationName, side: string, args: (list: unknown) => unknown])[] = [
  ['createExecution', 'required', (list) => execution({ policy: policy(list) })],
  [
    'createFlow',
    'required',
    (list) => ({
      flowId: `${PARTITION}:${randomUUID()}`,
      flowKind: 'f',
      namespace: 'n',
      creatorIdentity: 'c',
      graph: {
        members: [
          { executionId: `${PARTITION}:${randomUUID()}`, laneId: 'l', executionKind: 'k', policy: policy(list) },
        ],
      },
    }),
  ],
  [
    'claimForWorker',
    'worker',
    (workerCapabilities) => ({
      ...worker,
      workerCapabilities,
      partition: PARTITION,
      laneId: 'l',
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    }),
  ],
  [
    'issueClaimGrant',
    'worker',
    (workerCapabilities) => ({
      ...worker,
      workerCapabilities,
      executionId: `${PARTITION}:${randomUUID()}`,
      grantId: randomUUID(),
    }),
  ],
  [
    'registerWorker',
    'worker',
    (capabilities) => ({ ...worker, capabilities, namespace: 'n', lanes: ['l'], livenessTtlMs: 1_000 }),
  ],
];

function refusal(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    return error;
  }
}

describe.each(PLACES)('%s', (name, side, args) => {
  test.each(FAULTS)('%s', (reason, list) => {
    expect(refusal(() => parseCommand(name, args(list), 'memory'))).toMatchObject({
      code: 'invalid_capabilities',
      detail: { reason: `${side}:${reason}` },
    });
  });

  test('a valid list has none', () => {
    expect(refusal(() => parseCommand(name, args(['gpu', 'eu']), 'memory'))).not.toBeInstanceOf(Error);
  });
});

test('reads refuse with the same reasons', () => {
  const read = (list: unknown) =>
    refusal(() =>
      parseQuery(
        'scanEligibleExecutions',
        { partition: PARTITION, laneId: 'l', workerCapabilities: list as string[] },
        'memory',
      ),
    );
  expect(read(['a,b'])).toMatchObject({ code: 'invalid_capabilities', detail: { reason: 'worker:comma_in_token' } });
  expect(read(['gpu'])).not.toBeInstanceOf(Error);
});

test('a tag that is named like a list of capabilities is a tag', () => {
  expect(
    refusal(() => parseCommand('createExecution', execution({ tags: { requiredCapabilities: 'x' } }), 'memory')),
  ).toMatchObject({ code: 'invalid_tag_key', detail: { field: 'tags.requiredCapabilities' } });
});
