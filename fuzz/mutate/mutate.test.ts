/** The mutation run itself: the edits that its operators make, and a few mutants that must never survive. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { breakableSources, SOURCE_GROUPS, sourcesOf, testsNear } from './groups.js';
import { BUDGET } from './judge.js';
import { mutantsOfGroup, sampleOf, type Mutant } from './mutants.js';
import { editsOf } from './operators.js';
import { Slot } from './slot.js';
import { ROOT } from './tree.js';
import type { Language } from '../../lua/tokens.js';

const mutantsOf = (source: string, language: Language): string[] =>
  editsOf(source, language).map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));

describe('operators', () => {
  it('turn comparisons, connectives and numbers of Lua', () => {
    expect(mutantsOf('return a <= 2 and b', 'lua').sort()).toEqual([
      'return a < 2 and b',
      'return a <= 1 and b',
      'return a <= 2 or b',
      'return a <= 3 and b',
    ]);
  });

  it('drop a statement, and negate a condition that no swap negates', () => {
    expect(mutantsOf('if found then\n  ff.write(change)\nend', 'lua').sort()).toEqual([
      'if found then\n  \nend',
      'if not (found) then\n  ff.write(change)\nend',
    ]);
  });

  it('swap one word for another of the same file, and leave facts out of lists', () => {
    expect(mutantsOf("ff.fields('dueAt', 'laneId')", 'lua')).toEqual(
      expect.arrayContaining(["ff.fields('laneId', 'laneId')", "ff.fields('dueAt')"]),
    );
  });

  it('change durations tenfold, because a millisecond more or less is no mistake', () => {
    expect(mutantsOf('const SILENCE_MS = 5_000;', 'ts')).toEqual([
      'const SILENCE_MS = 50000;',
      'const SILENCE_MS = 500;',
    ]);
  });

  it('leave comments, types and declarations of TypeScript alone', () => {
    expect(
      mutantsOf(
        "// a <= b\nimport { x } from './x.js';\nexport {\n  a,\n  b,\n} from './y.js';\nexport type A = 'a' | 'b';\nconst m: Map<string, number> = y;",
        'ts',
      ),
    ).toEqual([]);
  });

  it('choose the same sample for the same seed', () => {
    expect(sampleOf([1, 2, 3, 4, 5, 6, 7, 8], 4, 7)).toEqual(sampleOf([1, 2, 3, 4, 5, 6, 7, 8], 4, 7));
  });
});

describe('the groups of src/', () => {
  it('have tests near every source', () => {
    for (const group of SOURCE_GROUPS)
      for (const file of sourcesOf(group)) expect(testsNear(group, file), file).not.toEqual([]);
  });

  it('break what users run', () => {
    expect(SOURCE_GROUPS.flatMap(sourcesOf)).toEqual(
      expect.arrayContaining(['src/worker/worker.ts', 'src/claiming/planner.ts', 'src/valkey/wakes/subscriber.ts']),
    );
  });

  it('leave out no source with code', () => {
    const broken = new Set(SOURCE_GROUPS.flatMap(sourcesOf));
    const left = breakableSources().filter(
      (file) => !broken.has(file) && editsOf(readFileSync(ROOT + file, 'utf8'), 'ts').length > 0,
    );
    expect(left).toEqual([]);
  });
});

/** Mistakes that would lose a user's work, found in the sources by their effect on a line. */
const GRAVE: readonly (readonly [file: string, before: RegExp, after: RegExp])[] = [
  ['lua/lease/fence.lua', /'lease_expired'/, /if not \(ff\.has_passed/],
  ['lua/lease/renew.lua', /math\.max\(/, /math\.min\(/],
  ['model/lease/fence.ts', /'lease_expired'/, /dueAt < now/],
];

describe('the differential run notices', () => {
  let slot: Slot;
  const mutants = ['lua', 'model'].flatMap(mutantsOfGroup);
  beforeAll(async () => {
    slot = new Slot(BUDGET);
    await slot.open();
  });
  afterAll(() => slot.close());

  it('nothing in the unbroken engine, because otherwise no verdict means anything', { timeout: 120_000 }, async () => {
    await slot.judgeOriginal('lua', 1);
    await slot.judgeOriginal('ts', 1);
  });

  it.each(GRAVE)('in %s, %s as %s', { timeout: 120_000 }, async (file, before, after) => {
    const mutant = mutants.find((it) => it.file === file && before.test(it.before) && after.test(it.after));
    expect(mutant).toBeDefined();
    expect(await slot.judge(mutant as Mutant)).toMatchObject({ kind: 'killed' });
  });
});
