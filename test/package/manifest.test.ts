/** What package.json says of the package is true. What only the packed file can show is checked by `.ci/check-package`. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ENTRIES, SOURCES } from '../../.ci/build/entries.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Conditions {
  readonly import: { readonly types: string; readonly default: string };
  readonly require: { readonly types: string; readonly default: string };
}

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  readonly exports: Readonly<Record<string, Conditions | string>>;
  readonly main: string;
  readonly types: string;
  readonly typesVersions: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly [field: string]: unknown;
};

const subpaths = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Conditions] => typeof entry[1] === 'object',
);

describe('exports', () => {
  test('name exactly the entry points that are built', () => {
    const built = subpaths.map(([, conditions]) => conditions.import.default);
    expect(built.sort()).toEqual(ENTRIES.map((entry) => `./dist/${entry}.js`).sort());
  });

  test.each(subpaths)('%s has types of its own before the code, for each format', (_name, conditions) => {
    expect(Object.keys(conditions)).toEqual(['import', 'require']);
    for (const [format, folder] of [
      ['import', './dist/'],
      ['require', './dist/cjs/'],
    ] as const) {
      const target = conditions[format];
      expect(Object.keys(target)).toEqual(['types', 'default']);
      expect(target.default.startsWith(folder)).toBe(true);
      expect(target.types).toBe(target.default.replace(/\.js$/, '.d.ts'));
    }
    expect(conditions.require.default).toBe(conditions.import.default.replace('./dist/', './dist/cjs/'));
  });

  test('tools that do not read exports find the same files', () => {
    const main = manifest.exports['.'] as Conditions;
    expect([manifest.main, manifest.types]).toEqual([main.require.default, main.require.types]);
    const older = Object.entries(manifest.typesVersions['*'] ?? {}).map(([name, paths]) => [`./${name}`, ...paths]);
    const others = subpaths.filter(([name]) => name !== '.').map(([name, { require }]) => [name, require.types]);
    expect(older.sort()).toEqual(others.sort());
  });
});

describe('fields', () => {
  test('the installation runs no scripts', () => {
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepublish'])
      expect(manifest.scripts[hook], hook).toBeUndefined();
  });

  test('there are at most four dependencies', () => {
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(4);
  });

  test('the promised files exist', () => {
    const promised = manifest.files.filter((name) => !name.startsWith('!') && name !== 'dist');
    expect(promised.filter((name) => !existsSync(ROOT + name))).toEqual([]);
  });

  test('the sources in the package are those of the source maps', () => {
    expect(manifest.files.filter((name) => /^!?src\//.test(name)).sort()).toEqual([...SOURCES].sort());
  });

  test('fields without a public address are absent', () => {
    for (const field of ['repository', 'bugs', 'homepage', 'funding', 'author']) {
      const value = JSON.stringify(manifest[field] ?? '');
      expect(value, field).not.toMatch(/example\.|TODO|your-/i);
    }
  });
});

test('every version of the changelog has the sections of Keep a Changelog, in their order, and one for operators', () => {
  const sections = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security', 'Operators'];
  const [, ...versions] = readFileSync(`${ROOT}CHANGELOG.md`, 'utf8').split(/^## /m);
  expect(versions[0]).toMatch(/^\[Unreleased\]\n/);
  for (const version of versions) {
    const found = [...version.matchAll(/^### (.*)$/gm)].map((match) => match[1] as string);
    expect(found).toEqual(sections.filter((section) => found.includes(section)));
  }
});
