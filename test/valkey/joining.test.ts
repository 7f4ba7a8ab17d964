/** Which commands of one call become one, and that a refusal reaches only the caller that it concerns. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { joined } from '../../src/valkey/calls/joining.js';

const claim = (meters?: string) =>
  parseCommand(
    'claimForWorker',
    {
      ...{ partition: '{fp:0}', laneId: 'l', workerId: 'w', workerInstanceId: 'w1', meters },
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    },
    'valkey',
  );

it('claims of the same work become one command, unless they carry meters, which can be refused', () => {
  const meters = meterSetOf(metersOf({ quotaPolicyIds: [randomUUID()] }));
  const commands = [claim(), claim(), claim(meters), claim(meters), claim()];
  const call = joined(commands);
  expect(call.commands.map(({ args }) => (args as { claims: readonly unknown[] }).claims.length)).toEqual([2, 1, 1, 1]);
  expect(call.commands.slice(1)).toEqual(commands.slice(2));
});
