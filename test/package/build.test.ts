/** The parts of the build that decide something: which modules share a file, and what is left of a source map. */
import { decode, encode } from '@jridgewell/sourcemap-codec';
import { describe, expect, test } from 'vitest';
import { withoutInnerComments } from '../../.ci/build/declarations.js';
import { segmentsOf } from '../../.ci/build/segments.js';
import { byLine } from '../../.ci/build/source-maps.js';

interface Facts {
  readonly code: string;
  readonly importedIds: readonly string[];
  readonly dynamicallyImportedIds: readonly string[];
  readonly isEntry: boolean;
}

const facts = (imports: readonly string[], options: Partial<Facts> = {}): Facts => ({
  code: '',
  importedIds: imports,
  dynamicallyImportedIds: [],
  isEntry: false,
  ...options,
});

function segments(graph: Readonly<Record<string, Facts>>): Map<string, string> {
  return segmentsOf(Object.keys(graph), (id) => graph[id] as Facts);
}

describe('files of the package', () => {
  test('modules of the same entry points share a file, others do not', () => {
    const names = segments({
      '/main.ts': facts(['/a.ts', '/b.ts'], { isEntry: true }),
      '/other.ts': facts(['/b.ts'], { isEntry: true }),
      '/a.ts': facts(['/c.ts']),
      '/b.ts': facts([]),
      '/c.ts': facts([]),
    });
    expect(names.get('/a.ts')).toBe(names.get('/c.ts'));
    expect(names.get('/b.ts')).not.toBe(names.get('/a.ts'));
    expect(names.has('/main.ts')).toBe(false);
  });

  test('the result does not depend on the order in which modules were read', () => {
    const big = { code: 'x'.repeat(14_000) };
    const graph: Readonly<Record<string, Facts>> = {
      '/main.ts': facts(['/a.ts', '/b.ts', '/c.ts'], { isEntry: true }),
      '/other.ts': facts(['/c.ts', '/b.ts', '/a.ts'], { isEntry: true }),
      '/a.ts': facts([], big),
      '/b.ts': facts([], big),
      '/c.ts': facts([], big),
    };
    const inReverse = segmentsOf(Object.keys(graph).reverse(), (id) => graph[id] as Facts);
    expect([...inReverse].sort()).toEqual([...segments(graph)].sort());
  });

  test('a module that is loaded later is in a file of its own', () => {
    const names = segments({
      '/main.ts': facts(['/a.ts'], { isEntry: true, dynamicallyImportedIds: ['/late.ts'] }),
      '/a.ts': facts([]),
      '/late.ts': facts(['/heavy.ts']),
      '/heavy.ts': facts([]),
    });
    expect(names.get('/heavy.ts')).not.toBe(names.get('/a.ts'));
  });

  test('a file needs only files before it, however many there are', () => {
    const count = 40;
    const graph: Record<string, Facts> = { '/main.ts': facts(['/m0.ts'], { isEntry: true }) };
    for (let index = 0; index < count; index += 1) {
      const imports = index + 1 < count ? [`/m${index + 1}.ts`, `/m${count - 1}.ts`] : [];
      graph[`/m${index}.ts`] = facts(imports, { code: 'x'.repeat(5_000) });
    }
    const names = segments(graph);
    const order = [...new Set(names.values())];
    expect(order.length).toBeGreaterThan(5);
    for (const [id, { importedIds, isEntry }] of Object.entries(graph)) {
      if (isEntry) continue;
      const place = order.indexOf(names.get(id) as string);
      for (const target of importedIds) expect(order.indexOf(names.get(target) as string)).toBeLessThanOrEqual(place);
    }
  });

  test('comments do not count, and no file is larger than the window of gzip', () => {
    const graph: Record<string, Facts> = {
      '/main.ts': facts(['/a.ts', '/b.ts', '/c.ts'], { isEntry: true }),
      '/a.ts': facts([], { code: `/* ${'words '.repeat(9_000)} */\nlet a;` }),
      '/b.ts': facts([], { code: 'x'.repeat(20_000) }),
      '/c.ts': facts([], { code: 'x'.repeat(20_000) }),
    };
    const names = segments(graph);
    expect(names.get('/a.ts')).toBe(names.get('/b.ts'));
    expect(names.get('/c.ts')).not.toBe(names.get('/b.ts'));
  });
});

describe('source maps', () => {
  const all = (): boolean => true;

  test('lead to the same lines, without the columns', () => {
    const mappings = encode([
      [
        [0, 0, 4, 0, 1],
        [6, 0, 4, 6],
        [12, 0, 5, 2],
        [20, 0, 5, 9],
      ],
      [],
      [[2, 1, 0, 0]],
    ]);
    expect(decode(byLine({ sources: ['a', 'b'], mappings }, all).mappings)).toEqual([
      [
        [0, 0, 4, 0],
        [12, 0, 5, 2],
      ],
      [],
      [[2, 1, 0, 0]],
    ]);
  });

  test('have no entries for code whose source is not in the package', () => {
    const mappings = encode([
      [[0, 0, 1, 0]],
      [
        [0, 1, 7, 0],
        [9, 1, 7, 9],
      ],
      [[0, 1, 8, 0]],
      [
        [0, 2, 3, 0],
        [5, 1, 9, 0],
      ],
    ]);
    const map = byLine({ sources: ['a', 'hidden', 'c'], mappings }, (source) => source !== 'hidden');
    expect(map.sources).toEqual(['a', 'c']);
    expect(decode(map.mappings)).toEqual([[[0, 0, 1, 0]], [[0]], [], [[0, 1, 3, 0], [5]]]);
  });
});

test('declarations have no comments on private members and on modules, and all others', () => {
  const declared = [
    '/** The module. */',
    "import { That } from './that.js';",
    '/** The class. */',
    'export declare class It {',
    '    /** For callers: 2 * 3. */',
    '    readonly open: number;',
    '    /**',
    '     * Counts *all* calls.',
    '     */',
    '    private count;',
    '    private bare;',
    '    /** Also for callers. */',
    '    call(): void;',
    '}',
  ];
  expect(withoutInnerComments(declared.join('\n')).split('\n')).toEqual([
    ...declared.slice(1, 6),
    ...declared.slice(9),
  ]);
});
