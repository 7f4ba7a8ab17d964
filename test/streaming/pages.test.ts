/** Invariants of spec 07 about readers, over random streams, in memory and on a server. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { create, fenceOf, take } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { tailStream } from '../../src/streaming/tails.js';
import { sharedValkey } from '../support/valkey/index.js';

const MODES = {
  durable: { payload: Uint8Array.of(1) },
  summary: { patch: '{"a":1}' },
  best_effort: { payload: Uint8Array.of(2), bestEffort: { ttlMs: 60_000 } },
} as const;

/** Frames in the order of their appends, and the time before each. */
const frames = fc.array(
  fc.record({
    mode: fc.constantFrom('durable', 'summary', 'best_effort', 'best_effort' as const),
    afterMs: fc.constantFrom(0, 0, 1, 5),
  }),
  { minLength: 1, maxLength: 12 },
);

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  afterAll(() => engine?.close());

  test('pages of any size, and tails of any size, return each visible frame once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(frames, fc.integer({ min: 1, max: 5 }), async (appended, limit) => {
        await engine.clear();
        const { backend } = engine;
        await create(engine);
        const taken = await take(engine, { leaseTtlMs: 60_000 });
        const place = { executionId: taken.executionId, attemptIndex: taken.attemptIndex };
        for (const { mode, afterMs } of appended) {
          engine.setTime(engine.now() + afterMs);
          await backend.appendFrame({ ...place, fence: fenceOf(taken), ...MODES[mode] });
        }
        await backend.completeExecution({ executionId: taken.executionId, fence: fenceOf(taken) });
        const all = (await backend.readStream({ ...place, limit: 1_000 })).frames;
        expect(all.map(({ mode }) => mode)).toEqual(appended.map(({ mode }) => mode));
        for (const visibility of ['all', 'exclude_best_effort'] as const) {
          const visible = all.filter(({ mode }) => visibility === 'all' || mode !== 'best_effort');
          expect((await backend.readStream({ ...place, visibility, limit: 1_000 })).frames).toEqual(visible);
          const paged = [];
          for (let after: string | undefined, isLast = false; !isLast; ) {
            const page = await backend.readStream({ ...place, visibility, limit, ...(after && { after }) });
            expect(page.frames.length).toBeLessThanOrEqual(limit);
            paged.push(...page.frames);
            after = page.nextCursor;
            isLast = after === undefined;
          }
          expect(paged).toEqual(visible);
          const tailed = [];
          for (let after: string | undefined, isOver = false; !isOver; ) {
            const page = await tailStream(backend, {
              ...place,
              visibility,
              limit,
              blockMs: 0,
              ...(after && { after }),
            });
            tailed.push(...page.frames);
            after = page.nextCursor;
            isOver = page.isClosed && page.frames.length === 0;
          }
          expect(tailed).toEqual(visible);
        }
      }),
      { numRuns: name === 'memory' ? 60 : 15 },
    );
  });
});
