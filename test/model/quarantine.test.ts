/** Quarantine in the model: whatever it holds can be read, so there is nothing in it. `test/valkey` has what is damaged. */
import { expect, test } from 'vitest';
import { created, given, NOW, PARTITION, X } from './dsl.js';

const nothing = { kind: 'already_satisfied', reason: 'not_quarantined' } as const;
const args = { partition: PARTITION, name: `execution:${X}` };

test('the model never has records in quarantine, so nothing is retried or dropped', () => {
  const retried = given(created()).when('retryQuarantined', args, NOW).answers(nothing).nothingHappens();
  retried
    .when('dropQuarantined', { ...args, reason: 'r', requestedBy: 'ann' }, NOW)
    .answers(nothing)
    .nothingHappens();
  expect(retried.reads('listQuarantined', { partition: PARTITION }, NOW)).toMatchObject({
    outcome: { entries: [], nextCursor: undefined },
  });
});
