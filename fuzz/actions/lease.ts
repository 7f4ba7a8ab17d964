/** How random runs call the operations of `model/lease`. */
import fc from 'fast-check';
import { owner, pick, ttlMs } from './choices.js';
import { generator } from './generator.js';
import { choose, chosenId, claimantOf, reasonFor } from './world.js';
import * as example from './example.js';

export const leaseActions = {
  begin: generator({
    weight: 3,
    choices: { owner },
    resolve(world, { owner }) {
      const { executionId, fence } = claimantOf(world, owner).args;
      return [{ name: 'beginAttempt', args: { executionId, fence } }];
    },
  }),
  renew: generator({
    weight: 5,
    choices: { owner, ttlMs },
    resolve(world, { owner, ttlMs }) {
      const { executionId, fence, attemptIndex } = claimantOf(world, owner).args;
      return [{ name: 'renewLease', args: { executionId, fence, attemptIndex, leaseTtlMs: ttlMs } }];
    },
  }),
  release: generator({
    weight: 3,
    choices: { owner },
    resolve(world, { owner }) {
      const { executionId, fence, attemptIndex } = claimantOf(world, owner).args;
      return [{ name: 'releaseLease', args: { executionId, fence, attemptIndex } }];
    },
  }),
  revoke: generator({
    weight: 3,
    choices: {
      pick: pick('running', 'running', 'lapsed', 'runnable'),
      expected: fc.constantFrom('none', 'current', 'wrong'),
    },
    resolve(world, { pick, expected }) {
      const current = choose(world, pick)?.currentLeaseId;
      const expectedLeaseId = expected === 'none' ? undefined : expected === 'current' ? current : world.uuid();
      const reason = reasonFor(pick, 'by hand');
      return [{ name: 'revokeLease', args: { executionId: chosenId(world, pick), expectedLeaseId, reason } }];
    },
  }),
  mark: generator({
    weight: 3,
    choices: { pick: pick('running', 'running', 'lapsed', 'terminal', 'runnable') },
    resolve: (world, { pick }) => [{ name: 'markLeaseExpiredIfDue', args: { executionId: chosenId(world, pick) } }],
  }),
};

/** Valid arguments of each command and read. */
export const leaseExamples = {
  renewLease: { ...example.owner, leaseTtlMs: 5_000 },
  beginAttempt: { executionId: example.RUNNING, fence: example.FENCE },
  markLeaseExpiredIfDue: { executionId: example.RUNNING },
  revokeLease: { executionId: example.RUNNING, expectedLeaseId: example.uuid(77), reason: 'r' },
  releaseLease: { ...example.owner, fence: { ...example.FENCE, leaseId: example.uuid(77) } },
} satisfies example.Examples;
