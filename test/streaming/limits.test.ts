/** The limits of a stream at the size that they have. */
import { expect, test } from 'vitest';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import { create, fenceOf, take } from '../../src/testing/conformance/steps.js';
import { testEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

test.each(['memory', 'valkey'] as const)('on %s: a stream accepts 64 MiB by default', async (name) => {
  const engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  try {
    // One frame is kept, so that neither process holds all of them.
    await create(engine, { policy: { streamPolicy: { retentionMaxlen: 1 } } });
    const taken = await take(engine, { leaseTtlMs: 60_000 });
    const { executionId, attemptIndex } = taken;
    const frame = { executionId, attemptIndex, fence: fenceOf(taken), payload: new Uint8Array(LIMITS.maxFrameBytes) };
    const frames = DEFAULTS.streamMaxBytes / LIMITS.maxFrameBytes;
    expect(frames).toBe(1_024);
    let last = 0;
    for (let sent = 0; sent < frames; sent += 64) {
      const answers = await Promise.all(Array.from({ length: 64 }, () => engine.backend.appendFrame(frame)));
      last = answers.at(-1)?.frameCount ?? 0;
    }
    expect(last).toBe(frames);
    const further = engine.backend.appendFrame({ ...frame, payload: Uint8Array.of(1) });
    await expect(further).rejects.toMatchObject({ code: 'retention_limit_exceeded' });
  } finally {
    await engine.close();
  }
});
