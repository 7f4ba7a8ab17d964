import { expect, test } from 'vitest';
import { shortIdOf } from '../../model/short-id.js';
import { decide } from './node.js';
import { exploreQuotas } from './quotas.js';

test('one quota policy and three claimers: cap and rate hold in every order of their calls and of time', {
  timeout: 60_000,
}, () => {
  const { states, reached, broken } = exploreQuotas(7);
  console.log(`${states} states`);
  expect(broken).toBeUndefined();
  for (const answer of [
    'createQuotaPolicy created',
    'checkAdmission admitted',
    'checkAdmission rate_exceeded',
    'checkAdmission concurrency_exceeded',
    'releaseAdmission released',
    'applyDue applied',
  ])
    expect(reached).toContain(answer);
});

test('an admission beyond the cap, or beyond the rate, is found by a shortest path', { timeout: 60_000 }, () => {
  const generous = (refusal: 'concurrency_exceeded' | 'rate_exceeded') =>
    exploreQuotas(7, (state, command) => {
      const decision = decide(state, command);
      if (command.name !== 'checkAdmission' || !decision.ok || decision.outcome.kind !== refusal) return decision;
      const [{ slots = {} } = {}] = [...state.state.tables.quota_policy.values()];
      // Beyond the rate alone.
      if (refusal === 'rate_exceeded' && Object.keys(slots).length > 0) return decision;
      const { quotaPolicyId, admissionIds, partition: holder } = command.args;
      const admitted = { quotaPolicyId, holder, at: state.now, admissions: admissionIds.map((id) => shortIdOf(id)) };
      const outcome = { kind: 'admitted', count: admissionIds.length } as const;
      return { ok: true, outcome, events: [{ type: 'quota_admitted', ...admitted }] };
    }).broken;
  expect(generous('concurrency_exceeded')).toEqual({
    name: 'there are no more slots than the cap allows',
    path: ['create -> created', 'B asks -> admitted', 'A asks -> admitted'],
  });
  expect(generous('rate_exceeded')?.name).toBe(
    'at every admission fewer than the rate were admitted in the window before',
  );
});
