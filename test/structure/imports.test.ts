/** Import directions, as docs/architecture.md states them. The machine stands alone; everything else imports it. */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Import {
  readonly file: string;
  readonly line: number;
  /** A path from the root without extension, or the name of a package. */
  readonly target: string;
}

const STATEMENT =
  /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function sourcesIn(folder: string): string[] {
  return readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => posix.join(folder, name.split(sep).join('/')));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(ROOT + file, 'utf8');
  return [...text.matchAll(STATEMENT)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const target = specifier.startsWith('.')
      ? relative(ROOT, resolve(ROOT, dirname(file), specifier))
          .split(sep)
          .join('/')
          .replace(/\.js$/, '')
      : specifier;
    return { file, line: text.slice(0, match.index).split('\n').length, target };
  });
}

const isNode = (target: string): boolean => target.startsWith('node:') || builtinModules.includes(target);

/** Imports of a folder that none of the patterns allows. */
function strangers(
  folder: string,
  allowed: readonly RegExp[],
  except: (file: string) => boolean = () => false,
): string[] {
  return sourcesIn(folder)
    .filter((file) => !except(file))
    .flatMap(importsOf)
    .filter(({ target }) => !allowed.some((pattern) => pattern.test(target)))
    .map(({ file, line, target }) => `${file}:${line} imports ${target}`);
}

describe('imports', () => {
  test('the machine imports itself, immer, zod and the hash of node:crypto', () => {
    expect(strangers('model', [/^model\//, /^(immer|zod)$/, /^node:crypto$/])).toEqual([]);
  });

  test('the declarations in model/core do not import any domain', () => {
    const below = /^model\/(core\/|errors$|families$|ids$|limits$|short-id$)/;
    expect(strangers('model/core', [below, /^zod$/, /^node:/])).toEqual([]);
  });

  test('only the pure fold, which the package does not ship, imports immer', () => {
    const users = ['model', 'src', 'lua']
      .flatMap(sourcesIn)
      .flatMap(importsOf)
      .filter(({ target }) => target === 'immer' || target === 'model/specification/evolve');
    expect(users.map(({ file }) => file).filter((file) => !file.startsWith('model/specification/'))).toEqual([]);
    expect(users).not.toEqual([]);
  });

  test("the Lua side imports the machine, the layout of keys, and Node's file modules", () => {
    expect(strangers('lua', [/^lua\//, /^model\//, /^zod$/, /^node:(crypto|fs|fs\/promises|url|path)$/])).toEqual([]);
  });

  test('the product imports the machine, the Lua library, its packages, and Node', () => {
    const packages = /^(iovalkey|uuidv7|zod|fast-check|@standard-schema\/spec)$/;
    expect(
      strangers('src', [/^src\//, /^model\//, /^lua\/(library|layout|parameters|signatures)$/, packages, /^node:/]),
    ).toEqual([]);
  });

  test('the folders of the product are layers: each imports only layers below it', () => {
    // Lowest first. A folder that is not named here stands beside these and is held by the tests above.
    const layers = [
      'util',
      'shared',
      'backend',
      'engine',
      'subscribing',
      'streaming',
      'claiming',
      'worker',
      'app',
      'testing',
    ];
    // What users import as `flowfabric/engine`: a door to several layers, and part of none.
    const door = 'src/engine/index.ts';
    const above = (layer: string): string[] => layers.slice(layers.indexOf(layer) + 1);
    const upward = layers.flatMap((layer) =>
      sourcesIn(`src/${layer}`)
        .filter((file) => file !== door)
        .flatMap(importsOf)
        .filter(({ target }) => above(layer).some((other) => target.startsWith(`src/${other}/`)))
        .map(({ file, line, target }) => `${file}:${line} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });

  test('the layers shared by all import only the machine and the interface of schemas', () => {
    expect(strangers('src/util', [/^src\/util\//, /^model\//, /^node:/])).toEqual([]);
    expect(strangers('src/shared', [/^src\/(shared|util)\//, /^model\//, /^@standard-schema\/spec$/])).toEqual([]);
  });

  test('the layer shared by all backends imports only the machine, the small helpers and zod', () => {
    expect(strangers('src/backend', [/^src\/(backend|util|shared)\//, /^model\//, /^zod$/])).toEqual([]);
  });

  test('every source of the product except its entry point is in a folder', () => {
    expect(sourcesIn('src').filter((file) => file.split('/').length === 2)).toEqual(['src/index.ts']);
  });

  test.each([
    ['memory', []],
    ['embedded', [/^src\/memory\//]],
    ['valkey', [/^lua\//, /^iovalkey$/, /^zod$/]],
  ])('the %s backend knows no other backend, no worker and no app', (backend, more) => {
    const own = new RegExp(`^src/${backend}/`);
    const common = [own, /^src\/(backend|util|shared)\//, /^model\//, /^node:/];
    expect(strangers(`src/${backend}`, [...common, ...more])).toEqual([]);
  });

  test('the layers above the backends import none of them', () => {
    const layers = ['engine', 'subscribing', 'streaming', 'claiming', 'worker', 'app'];
    const named = layers.flatMap((layer) =>
      sourcesIn(`src/${layer}`)
        .flatMap(importsOf)
        .filter(({ target }) => /^src\/(memory|embedded|valkey)\/|^lua\//.test(target)),
    );
    expect(named.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('only flowfabric/testing may import the optional peer fast-check', () => {
    const users = sourcesIn('src').filter((file) => importsOf(file).some(({ target }) => target === 'fast-check'));
    expect(users.filter((file) => !file.startsWith('src/testing/'))).toEqual([]);
  });

  test('the product does not import its own tests, and nothing but tests imports flowfabric/testing', () => {
    const users = sourcesIn('src')
      .filter((file) => !file.startsWith('src/testing/'))
      .flatMap(importsOf);
    expect(users.filter(({ target }) => target.startsWith('src/testing')).map(({ file }) => file)).toEqual([]);
  });

  test('proofs import the machine, flowfabric/testing and the boundary', () => {
    const proof = (file: string): boolean =>
      /^fuzz\/[^/]+$/.test(file) && !file.endsWith('.test.ts') && file !== 'fuzz/main.ts';
    const allowed = [
      /^fuzz\//,
      /^model\//,
      /^src\/testing\//,
      /^src\/backend\/boundary$/,
      /^fast-check$/,
      /^zod$/,
      /^node:/,
    ];
    expect(strangers('fuzz', allowed, (file) => !proof(file))).toEqual([]);
  });

  test('every imported package is declared as a dependency', () => {
    const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Record<
      string,
      Record<string, string> | undefined
    >;
    const declared = new Set(
      Object.keys({ ...manifest['dependencies'], ...manifest['peerDependencies'], ...manifest['devDependencies'] }),
    );
    const nameOf = (target: string): string =>
      target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/');
    const outside = ['model', 'lua', 'src', 'test', 'fuzz', 'bench', 'examples']
      .flatMap(sourcesIn)
      .flatMap(importsOf)
      .filter(
        ({ target }) =>
          !isNode(target) &&
          !/^(model|lua|src|test|fuzz|bench|examples|dist|\.ci)\b/.test(target) &&
          !/^flowfabric(\/|$)/.test(target),
      );
    expect(
      outside.filter(({ target }) => !declared.has(nameOf(target))).map(({ file, target }) => `${file}: ${target}`),
    ).toEqual([]);
  });

  test('the machine has no clock, no randomness and nothing asynchronous', () => {
    const forbidden =
      /\bDate\.now\b|\bnew Date\(|\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bsetTimeout\b|\bsetInterval\b|\basync\b|\bawait\b|\bprocess\b|\bperformance\b/;
    const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
    const guilty = sourcesIn('model').filter((file) =>
      forbidden.test(withoutComments(readFileSync(ROOT + file, 'utf8'))),
    );
    expect(guilty).toEqual([]);
  });
});
