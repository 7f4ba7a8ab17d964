/** What a policy can hold, and what it cannot hold yet. */
import { describe, expect, test } from 'vitest';
import { reservedIn } from '../../model/core/reserved.js';
import { EngineError } from '../../model/errors.js';
import { OPERATIONS } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { X } from './dsl.js';

const codeOf = (policy: object): unknown => {
  const args = { executionId: X, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c', policy };
  try {
    parseCommand('createExecution', args, 'memory');
    return 'taken';
  } catch (error) {
    return error instanceof EngineError ? [error.code, error.detail['field']] : error;
  }
};

const RESERVED = [
  ['fallbackPolicy', { fallbackPolicy: { tiers: [{ provider: 'p', model: 'm' }] } }],
  ['timeoutPolicy.maxReclaimCount', { timeoutPolicy: { maxReclaimCount: 5 } }],
  ['routingRequirements.preferredLocality', { routingRequirements: { preferredLocality: 'eu' } }],
  ['routingRequirements.isolationLevel', { routingRequirements: { isolationLevel: 'vm' } }],
  ['streamPolicy.durabilityMode', { streamPolicy: { durabilityMode: 'durable' } }],
] as const;

describe('members of domains to come', () => {
  test.each(RESERVED)('%s is refused as known but unsupported', (member, policy) => {
    expect(codeOf(policy)).toEqual(['not_supported_yet', `policy.${member}`]);
  });

  test('are listed by the registry', () => {
    const told = reservedIn(OPERATIONS.createExecution.args);
    expect(told.sort()).toEqual(RESERVED.map(([member]) => `policy.${member}`).sort());
    expect(reservedIn(OPERATIONS.createFlow.args)).toContain('graph.members.policy.fallbackPolicy');
    expect(reservedIn(OPERATIONS.renewLease.args)).toEqual([]);
  });

  test('do not excuse an unknown member, or one of another type: it is refused', () => {
    expect(codeOf({ maxRetires: 1 })).toEqual(['invalid_policy_json', 'policy']);
    expect(codeOf({ budgetIds: 5 })).toEqual(['invalid_policy_json', 'policy.budgetIds']);
    expect(codeOf({ maxReplayCount: -1 })).toEqual(['invalid_policy_json', 'policy.maxReplayCount']);
    expect(codeOf({ maxReplayCount: 0 })).toBe('taken');
    expect(codeOf({ maxSignalsPerExecution: 10_001 })).toEqual([
      'invalid_policy_json',
      'policy.maxSignalsPerExecution',
    ]);
    expect(codeOf({ suspensionPolicy: { defaultTimeoutMs: 5 }, maxSignalsPerExecution: 1 })).toBe('taken');
  });
});

test('at most four quota policies are named, by id and by key together (ruling 19)', () => {
  const ids = (count: number, digit: string) =>
    Array.from({ length: count }, (_, i) => `00000000-0000-4000-a000-000000000${digit}0${i}`);
  const named = (byId: number, byKey: number) =>
    codeOf({
      quotaPolicyIds: ids(byId, '1'),
      keyedQuotas: ids(byKey, '2').map((quotaPolicyId) => ({ quotaPolicyId, maxConcurrent: 1 })),
    });
  expect([named(4, 0), named(0, 4), named(2, 2)]).toEqual(['taken', 'taken', 'taken']);
  for (const [byId, byKey] of [
    [5, 0],
    [0, 5],
    [4, 1],
    [2, 3],
  ] as const)
    expect(named(byId, byKey), `${byId} and ${byKey}`).toEqual(['invalid_policy_json', 'policy.quotaPolicyIds']);
});
