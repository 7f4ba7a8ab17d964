/** What partitions owe each other, delivered by passes over due work. */
import { expect, onTestFinished, test } from 'vitest';
import { present } from '../../model/core/present.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { LIMITS, SLOT_CHECK_MS } from '../../model/limits.js';
import { runDue } from '../../src/engine/index.js';
import { claim, create, TTL_MS } from '../../src/testing/conformance/steps.js';
import { testEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const DAY_MS = 86_400_000;

test('one pass returns the slots of more lost executions than a call can name', async () => {
  const engine = await testEngine();
  onTestFinished(() => engine.close());
  const { backend } = engine;
  const count = 2 * LIMITS.maxAdmissions;
  const quotaPolicyId = engine.uuid();
  await backend.createQuotaPolicy({ quotaPolicyId, maxConcurrent: count });
  const policy = { quotaPolicyIds: [quotaPolicyId] };
  const meters = meterSetOf(metersOf(policy));
  for (let i = 0; i < count; i++) await create(engine, { policy });
  for (let left = count; left > 0; left -= LIMITS.maxAdmissions) {
    const claims = Array.from({ length: LIMITS.maxAdmissions }, () => ({
      leaseId: engine.uuid(),
      attemptId: engine.uuid(),
    }));
    const admissionIds = claims.map(({ leaseId }) => leaseId);
    await backend.checkAdmission({ quotaPolicyId, admissionIds, partition: '{fp:0}' });
    await claim(engine, { meters, claims });
  }
  expect(await backend.readQuotaPolicyLimits({ quotaPolicyId })).toMatchObject({ held: count });
  engine.setTime(engine.now() + TTL_MS);
  for (let pass = 0; pass < 2; pass++) await runDue(backend, { limitPerPartition: LIMITS.maxPageSize });
  expect(await backend.readQuotaPolicyLimits({ quotaPolicyId })).toMatchObject({ held: 0 });
});

test.each(['memory', 'valkey'])(
  'on %s, a slot given back before the clock stepped back is free soon after',
  async (name) => {
    const engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
    onTestFinished(() => engine.close());
    const { backend } = engine;
    const quotaPolicyId = engine.uuid();
    await backend.createQuotaPolicy({ quotaPolicyId, maxConcurrent: 1 });
    const policy = { quotaPolicyIds: [quotaPolicyId] };
    const executionId = await create(engine, { policy });
    const leaseId = engine.uuid();
    const check = (id: string) =>
      backend.checkAdmission({ quotaPolicyId, admissionIds: [id], partition: '{fp:0}' }).then(({ kind }) => kind);
    const start = engine.now();
    engine.setTime(start + DAY_MS);
    expect(await check(leaseId)).toBe('admitted');
    const claims = [{ leaseId, attemptId: engine.uuid() }];
    const outcome = await claim(engine, { meters: meterSetOf(metersOf(policy)), claims });
    if (outcome.kind !== 'claimed') expect.unreachable();
    const { leaseEpoch, attemptId } = present(outcome.executions[0]);
    await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
    engine.setTime(start + 1_000);
    expect(await check(engine.uuid())).toBe('concurrency_exceeded');
    engine.setTime(start + 1_000 + SLOT_CHECK_MS);
    await runDue(backend, { limitPerPartition: LIMITS.maxPageSize });
    expect(await check(engine.uuid())).toBe('admitted');
  },
);
