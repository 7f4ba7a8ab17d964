/** Conditions that no signal can satisfy are refused on every backend, also on waitpoints whose keys the store looks up. */
import { expect, test } from 'vitest';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import { create, fenceOf, PARTITION, take } from '../../src/testing/conformance/steps.js';
import { testEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const KEY = 'gate';
const matcher = { type: 'wildcard' } as const;
const UNKNOWN_KEY = 'referenced_waitpoint_key_missing_binding: ';

test.each(['memory', 'valkey'] as const)('a condition on an empty key is refused: %s', async (name) => {
  const engine = await testEngine({ backend: name === 'memory' ? name : { url: (await sharedValkey()).url } });
  try {
    const { backend } = engine;
    const newSecret = new Uint8Array(32).fill(1);
    await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: 'k1', newSecret });
    const executionId = await create(engine);
    const owner = { executionId, fence: fenceOf(await take(engine)) };
    const waitpointId = engine.uuid();
    await backend.createPendingWaitpoint({ ...owner, waitpointId, waitpointKey: KEY, expiresInMs: 1_000 });
    const refusalOf = (resumeCondition: ResumeCondition): Promise<unknown> =>
      backend
        .suspendExecution({
          ...owner,
          suspensionId: engine.uuid(),
          waitpoints: [{ waitpointId, usePending: true }],
          resumeCondition,
        })
        .then(
          ({ kind }) => kind,
          ({ detail }: { detail: { reason: string } }) => detail.reason,
        );
    const single = (waitpointKey: string) => ({ type: 'single', waitpointKey, matcher }) as const;
    const counted = { type: 'count', n: 2, countKind: 'distinct_signals' } as const;
    expect(await refusalOf(single(''))).toBe('waitpoint_key_mismatch');
    expect(await refusalOf({ ...counted, waitpoints: [KEY, ''] })).toBe(UNKNOWN_KEY);
    expect(await refusalOf({ ...counted, waitpoints: ['', KEY] })).toBe(UNKNOWN_KEY);
    expect(await refusalOf({ type: 'all_of', members: [single(KEY), single('')] })).toBe(UNKNOWN_KEY);
    expect(await refusalOf({ ...counted, waitpoints: [KEY, KEY] })).toBe('suspended');
  } finally {
    await engine.close();
  }
});
