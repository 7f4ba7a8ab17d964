/** Canonical JSON and merge patches: every row of the corner cases of spec 07 section 4.3, and properties. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonFault, parseCanonical, parseObject, printed } from '../../../model/stream/canonical-json.js';
import { merged } from '../../../model/stream/merge-patch.js';
import { ROWS } from './merge-rows.js';

const apply = (document: string, patch: string): string => printed(merged(parseObject(document), parseObject(patch)));

const faultOf = (text: string): string => {
  try {
    parseObject(text);
  } catch (error) {
    if (error instanceof JsonFault) return error.message;
    throw error;
  }
  return 'none';
};

const nested = (levels: number, inner = '1'): string => `${'{"a":'.repeat(levels)}${inner}${'}'.repeat(levels)}`;

describe('a merge patch', () => {
  it.each(ROWS)('%s, patched by %s, is %s', (document, patch, expected) => {
    expect(apply(document, patch)).toBe(expected);
    expect(printed(parseCanonical(expected))).toBe(expected);
  });

  it.each([
    ['[]', 'patch must be a JSON object'],
    ['[1]', 'patch must be a JSON object'],
    ['5', 'patch must be a JSON object'],
    ['"x"', 'patch must be a JSON object'],
    ['null', 'patch must be a JSON object'],
    ['true', 'patch must be a JSON object'],
    ['', 'patch payload is not valid JSON'],
    ['{"a":1}x', 'patch payload is not valid JSON'],
    ['{"a":1,}', 'patch payload is not valid JSON'],
    ["{'a':1}", 'patch payload is not valid JSON'],
    ['{"a":NaN}', 'patch payload is not valid JSON'],
    ['{"a":01}', 'patch payload is not valid JSON'],
    ['{"a":0x10}', 'patch payload is not valid JSON'],
    ['{"a":+1}', 'patch payload is not valid JSON'],
    ['{"a":1.}', 'patch payload is not valid JSON'],
    ['{"a":"\\ud800"}', 'patch payload is not valid JSON'],
    ['{"a":"\u0007"}', 'patch payload is not valid JSON'],
    ['\ufeff{}', 'patch payload is not valid JSON'],
    ['{"a" 1}', 'patch payload is not valid JSON'],
    ['{a:1}', 'patch payload is not valid JSON'],
    ['{"a":[1 2]}', 'patch payload is not valid JSON'],
    ['{"a":9007199254740993}', 'number_out_of_range'],
    ['{"a":9007199254740993.0}', 'number_out_of_range'],
    ['{"a":-9007199254740992.5}', 'number_out_of_range'],
    ['{"a":9007199254740993e0}', 'number_out_of_range'],
    ['{"a":90.07199254740993e14}', 'number_out_of_range'],
    ['{"a":1e400}', 'number_out_of_range'],
    [nested(18), 'patch_depth_exceeded'],
    [nested(17, '{}'), 'patch_depth_exceeded'],
    [`{"a":${'['.repeat(32)}${']'.repeat(32)}}`, 'patch_depth_exceeded'],
  ])('%s is refused: %s', (patch, why) => {
    expect(faultOf(patch)).toBe(why);
  });

  it('is read in time linear in its length, whatever digits a number has', () => {
    const patch = `{"a":1${'0'.repeat(60_000)}1e-60001}`;
    const startedAt = performance.now();
    faultOf(patch);
    // A second, when every zero was looked at from every other one.
    expect(performance.now() - startedAt).toBeLessThan(250);
  });

  it('may nest to its limits', () => {
    expect(faultOf(nested(17))).toBe('none');
    expect(faultOf(`{"a":${'['.repeat(31)}${']'.repeat(31)}}`)).toBe('none');
  });

  it('is read like JSON.parse reads it, whatever its content', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        fc.pre(faultOf(text) === 'none' && !text.includes('__ff_null__'));
        const again = printed(parseObject(text));
        expect(JSON.parse(again)).toEqual(JSON.parse(text));
        expect(printed(parseCanonical(again))).toBe(again);
      }),
    );
  });
});
