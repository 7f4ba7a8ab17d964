/**
 * Callers must be able to name the types of the values that they get: every type in the signature of something public is
 * exported by an entry point. Types that only compute others, and that no value has, are listed.
 */
import { readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ENTRIES } from '../../.ci/build/entries.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Types with which the compiler infers or checks others: no value has one. */
const COMPUTED: ReadonlySet<string> = new Set([
  // Entities as the machine changes them: users get read-only forms of them, and parts.
  'Execution',
  'Flow',
  'ReadonlyBudget',
  // What users pass on and do not look into.
  'Partition',
  'Header',
  'IfAcceptable',
  'IfSendable',
  'IfReturnable',
  'FlowOutput',
  'QuotaInput',
  'DimensionOf',
  'OutputOf',
  'EventOf',
  'Declarations',
  'Accepted',
  'OperationMethods',
  'QueryMethods',
]);

/** A type is named by its file and its name. */
type Place = readonly [file: string, name: string];

interface Source {
  /** What it imports or hands on, by its name here. */
  readonly from: ReadonlyMap<string, Place>;
  readonly stars: readonly string[];
  /** Its own declarations: whether they are exported, and their signatures. */
  readonly declared: ReadonlyMap<string, { readonly isExported: boolean; readonly signature: string }>;
  readonly exported: readonly string[];
}

const sources = new Map<string, Source>();

const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(interface|class|type|(?:async )?function\*?|const)\s+(\w+)/gm;
const NAMED = /^(import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)';/gm;
const STAR = /^export \* from '(\.[^']*)';/gm;

/** Members that are no business of users, and constructors that keep what they get. */
const HIDDEN = /^ {2}(private|protected|static|constructor\(private) ?/;

/** What others see of a declaration: no bodies, no private members, no values. */
function signatureOf(kind: string, text: string): string {
  const plain = text.replace(/'[^'\n]*'/g, '');
  if (kind === 'interface' || kind === 'type') return plain;
  if (kind === 'class')
    return plain
      .split('\n')
      .filter((line, index) => index === 0 || (/^ {2}\w/.test(line) && !HIDDEN.test(line)))
      .map((line) => line.replace(/ = .*$|(?<=\)(?:: [^{]*)?) \{$/, ''))
      .join('\n');
  // The body of a function begins behind its parameters; of a constant only its type is seen.
  return kind === 'const' ? (/^[^=]*:[^=]*/.exec(plain)?.[0] ?? '') : plain.slice(0, plain.search(/ \{\n|;\n/));
}

function sourceOf(file: string): Source {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(`${ROOT}${file}.ts`, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const pathOf = (specifier = ''): string => posix.join(dirname(file), specifier).replace(/\.js$/, '');
  const [from, exported] = [new Map<string, Place>(), [] as string[]];
  for (const [, what, names = '', specifier] of text.matchAll(NAMED))
    for (const part of names.split(',')) {
      const [name = '', alias = name] = part
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (name === '') continue;
      from.set(alias, [pathOf(specifier), name]);
      if (what === 'export') exported.push(alias);
    }
  const starts = [...text.matchAll(DECLARATION)];
  const declared = new Map<string, { isExported: boolean; signature: string }>();
  for (const [index, { 1: exports, 2: kind = '', 3: name = '', index: at }] of starts.entries()) {
    const signature = signatureOf(kind, text.slice(at, starts[index + 1]?.index));
    // Overloads are one declaration.
    declared.set(name, {
      isExported: exports !== undefined,
      signature: `${declared.get(name)?.signature ?? ''}\n${signature}`,
    });
    if (exports !== undefined) exported.push(name);
  }
  const source = {
    from,
    stars: [...text.matchAll(STAR)].map(([, specifier]) => pathOf(specifier)),
    declared,
    exported,
  };
  sources.set(file, source);
  return source;
}

/** Where a name of a file is declared; undefined for names of other packages. */
function placeOf(file: string, name: string): Place | undefined {
  const { declared, from, stars } = sourceOf(file);
  if (declared.has(name)) return [file, name];
  const next = from.get(name);
  if (next !== undefined) return placeOf(...next);
  for (const star of stars) {
    const found = placeOf(star, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const exportsOf = (file: string): readonly Place[] => {
  const { exported, stars } = sourceOf(file);
  return [...exported.flatMap((name) => [placeOf(file, name) ?? []] as Place[]), ...stars.flatMap(exportsOf)];
};

test('every type in a public signature is exported', () => {
  const all = ENTRIES.flatMap(exportsOf);
  const keys = new Set(all.map(String));
  const missing = new Set<string>();
  for (const [file, name] of all) {
    const { declared } = sourceOf(file);
    for (const [word] of declared.get(name)?.signature.matchAll(/\b[A-Z]\w+\b/g) ?? []) {
      const place = placeOf(file, word);
      if (place === undefined || keys.has(String(place)) || COMPUTED.has(word)) continue;
      // What a file does not export is a part of what it does.
      if (!sourceOf(place[0]).declared.get(place[1])?.isExported || /^[A-Z_]+$/.test(word)) continue;
      missing.add(`${word} of ${place[0]}, in ${name}`);
    }
  }
  expect(all.length).toBeGreaterThan(300);
  expect([...missing].sort()).toEqual([]);
});
