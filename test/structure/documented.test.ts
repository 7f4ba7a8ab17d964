/** What editors show on hover: every member of the options, filters and rows that an entry point exports says what it means. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ENTRIES } from '../../.ci/build/entries.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(ROOT + path, 'utf8');

/** Names that a file of exports takes from another file, by the path of that file. */
function exportedBy(path: string): Map<string, readonly string[]> {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const found = new Map<string, readonly string[]>();
  for (const [, names = '', from = ''] of read(path).matchAll(/export (?:type )?\{([^}]*)\} from '([^']*)\.js'/g)) {
    const taken = names.split(',').map(
      (name) =>
        name
          .trim()
          .replace(/^type /, '')
          .split(' ')[0] as string,
    );
    const file = new URL(`${from}.ts`, `file:///${folder}`).pathname.slice(1);
    found.set(file, [...(found.get(file) ?? []), ...taken]);
  }
  return found;
}

const EXPORTS = [...ENTRIES.map((entry) => `${entry}.ts`), 'src/app/index.ts', 'src/worker/index.ts'];

/** What users write, and what they are given to read. */
const LOOKED_AT = /(?:Options|Settings|Filter|Query|Request|Definition|Args|Info|Row|Stats|Context)$/;

const INTERFACE = /^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm;
/** A member of the interface itself, not of an object in it. */
const MEMBER = /^ {2}(?:readonly )?(\w+)\??[:(<]/;

/** Members of these interfaces of a file above which no comment stands. */
function undocumentedIn(text: string, exported: readonly string[]): string[] {
  return [...text.matchAll(INTERFACE)].flatMap(([, name = '', body = '']) => {
    if (!exported.includes(name) || !LOOKED_AT.test(name)) return [];
    const lines = body.split('\n');
    return lines.flatMap((line, index) => {
      const member = MEMBER.exec(line)?.[1];
      return member === undefined || lines[index - 1]?.trimEnd().endsWith('*/') ? [] : [`${name}.${member}`];
    });
  });
}

test('a member without a comment is found', () => {
  const text =
    'export interface TaskSettings {\n  /** Its lane. */\n  readonly lane?: string;\n  readonly retry?: number;\n}\n';
  expect(undocumentedIn(text, ['TaskSettings'])).toEqual(['TaskSettings.retry']);
});

test('every member of public options and results has a comment', () => {
  const looked = EXPORTS.flatMap((path) => [...exportedBy(path)]).filter(([file]) => file.startsWith('src/'));
  expect(looked.length).toBeGreaterThan(50);
  expect(looked.flatMap(([file, names]) => undocumentedIn(read(file), names))).toEqual([]);
});
