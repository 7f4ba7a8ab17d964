/** Patches of summaries by RFC 7396: its own vectors, and random patches against the rule as the RFC writes it. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCanonical, parseObject, printed } from '../../model/stream/canonical-json.js';
import { merged } from '../../model/stream/merge-patch.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { create, fenceOf, take } from '../../src/testing/conformance/steps.js';
import { ROWS } from '../model/stream/merge-rows.js';
import { sharedValkey } from '../support/valkey/index.js';

type Json = null | boolean | number | string | Json[] | { [member: string]: Json };

/** The rule as the RFC writes it. Objects without a prototype: `__proto__` is a member like others. */
function mergePatch(target: Json | undefined, patch: Json): Json {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result = Object.assign(Object.create(null), isObject ? target : {}) as { [member: string]: Json };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

const canonical = (value: Json): string => printed(parseObject(JSON.stringify(value)));

/** Appendix A of the RFC, as far as document and patch are objects. */
const VECTORS: readonly (readonly [document: Json, patch: Json, result: Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

const member = fc.constantFrom('a', 'b', 'é', '', '\n', 'a"', '\\', '__proto__', '\u{1F600}', '\ue000');
const { patch } = fc.letrec((tie) => ({
  patch: fc.dictionary(member, tie('value'), { maxKeys: 4, noNullPrototype: false }),
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Json>(null, null, true, 0, -1.5, 1e21, 'x', '"]},{[', '\\"', 'größe'),
    fc.array(fc.constantFrom<Json>(1, 'a]', null, [], {}), { maxLength: 3 }),
    tie('patch'),
  ),
})) as unknown as { readonly patch: fc.Arbitrary<{ [member: string]: Json }> };

describe('patches', () => {
  it.each(VECTORS)('%j patched by %j is %j', (document, change, result) => {
    expect(printed(merged(parseCanonical(canonical(document)), parseObject(JSON.stringify(change))))).toBe(
      canonical(result),
    );
  });

  it('merge as the RFC says, whatever their content', () => {
    fc.assert(
      fc.property(fc.array(patch, { maxLength: 6 }), (patches) => {
        const expected = patches.reduce<Json>((document, change) => mergePatch(document, change), {});
        const got = patches.reduce(
          (document, change) => merged(document, parseObject(JSON.stringify(change))),
          parseCanonical('{}'),
        );
        expect(printed(got)).toBe(canonical(expected));
      }),
    );
  });

  describe('on a server', () => {
    let engine: TestEngine;
    beforeAll(async () => {
      engine = await testEngine({ backend: { url: (await sharedValkey()).url } });
    });
    afterAll(() => engine?.close());

    /** The owner of a new attempt. */
    const begun = async () => {
      await create(engine);
      const taken = await take(engine, { leaseTtlMs: 60_000 });
      const { executionId, attemptIndex } = taken;
      return { executionId, attemptIndex, fence: fenceOf(taken) };
    };

    const documentOf = async ({ executionId, attemptIndex }: Awaited<ReturnType<typeof begun>>) =>
      (await engine.backend.readSummary({ executionId, attemptIndex }))?.documentJson;

    it.each(ROWS)('%s patched by %s is %s', async (document, change, result) => {
      const owner = await begun();
      // A patch cannot say null: the sentinel does.
      await engine.backend.appendFrame({ ...owner, patch: document.replaceAll('null', '"__ff_null__"') });
      expect(await documentOf(owner)).toBe(document);
      await engine.backend.appendFrame({ ...owner, patch: change });
      expect(await documentOf(owner)).toBe(result);
    });

    it('merge to the same bytes', async () => {
      const owner = await begun();
      let expected: Json = {};
      for (const change of fc.sample(patch, { numRuns: 150, seed: 7396 })) {
        expected = mergePatch(expected, change);
        await engine.backend.appendFrame({ ...owner, patch: JSON.stringify(change) });
        expect(await documentOf(owner)).toBe(canonical(expected));
      }
    });
  });
});
