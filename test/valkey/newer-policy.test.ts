/** Policies that a newer build stored: what this build does not know of them is passed on and changes nothing (ruling 31). */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { FIELDS } from '../../lua/layout.js';
import { policyText } from '../../model/execution/policy-text.js';
import { deployment } from '../support/valkey/deployment.js';

const P = '{fp:0}';
const deployed = deployment();

/** The keys of an execution's hashes that have a field. */
async function hashesWith(field: string): Promise<string[]> {
  const keys = await deployed.admin.keys(`ff:${P}:*`);
  const found: string[] = [];
  for (const key of keys)
    if ((await deployed.admin.type(key)) === 'hash' && (await deployed.admin.hexists(key, field)) === 1)
      found.push(key);
  return found;
}

it('an unknown member of the policy and an unknown word of its rules are ignored', async () => {
  const { backend, admin } = deployed;
  const executionId = `${P}:${randomUUID()}`;
  const retryPolicy = { maxRetries: 3, backoff: { type: 'fixed' as const, delayMs: 1_000 }, retryableCategories: [] };
  await backend.createExecution({
    ...{ executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
    policy: { retryPolicy, maxSignalsPerExecution: 7 },
  });
  const [record, ...others] = await hashesWith(FIELDS.rules);
  if (record === undefined || others.length > 0) throw new Error('one record is expected');
  const rules = (await admin.hget(record, FIELDS.rules)) as string;
  const [words = '', ...lists] = rules.split('|');
  const padded = [...words.split(' '), ...Array<string>(20).fill('-')].slice(0, 20);
  await admin.hset(record, FIELDS.rules, [[...padded, 'later'].join(' '), ...lists].join('|'));
  const newer = { retryPolicy, maxSignalsPerExecution: 7, laterPolicy: { deeply: ['so'] } };
  await admin.hset(record, FIELDS.policy, JSON.stringify(newer));

  const read = [];
  let cursor: string | undefined;
  do {
    const page = await backend.readSnapshot({ partition: P, cursor });
    read.push(...page.executions.map(({ policy }) => policy));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  expect(read).toEqual([newer]);
  const claim = {
    ...{ partition: P, laneId: 'l', workerId: 'w', workerInstanceId: 'w1' },
    claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
  };
  const claimed = await backend.claimForWorker(claim);
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ leaseId, leaseEpoch, attemptId }] = claimed.executions;
  const fence = { leaseId, leaseEpoch, attemptId };
  const failure = { executionId, fence, failureReason: 'r', failureCategory: 'c', jitter: 0 };
  expect(await backend.failExecution(failure)).toMatchObject({ kind: 'retry_scheduled' });
  expect((await backend.listQuarantined({ partition: P })).entries).toEqual([]);
  expect(await backend.verifyPartition({ partition: P })).toMatchObject({ findings: [], setAside: [] });
});

it('further words of rules are ignored', () => {
  const policy = { maxReclaimCount: 5 };
  const text = policyText.encode(policy);
  const [words = '', ...lists] = text.split('|');
  const padded = [...words.split(' '), ...Array<string>(20).fill('-')].slice(0, 20);
  expect(policyText.decode([[...padded, 'later'].join(' '), ...lists].join('|'))).toEqual(policy);
});
