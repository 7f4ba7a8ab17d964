/** What partitions owe each other, delivered by passes over due work. */
import { expect, onTestFinished, test } from 'vitest';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { LIMITS } from '../../model/limits.js';
import { runDue } from '../../src/engine/index.js';
import { claim, create, TTL_MS } from '../../src/testing/conformance/steps.js';
import { testEngine } from '../../src/testing/index.js';

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
