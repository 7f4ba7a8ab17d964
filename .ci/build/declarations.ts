import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ENTRIES, ROOT } from './entries.js';

const REFERENCE = /(?:\bfrom|\bimport\()\s*['"](\.{1,2}\/[^'"]+)\.js['"]/g;

/** Examples in comments import files of their readers. */
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');

/** Every declaration file below `folder` that the entry points lead to, as paths relative to it. */
function reached(folder: string): string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, target] of withoutComments(readFileSync(join(folder, file), 'utf8')).matchAll(REFERENCE))
      visit(`${join(dirname(file), target as string)}.d.ts`);
  };
  for (const entry of ENTRIES) visit(`${entry}.d.ts`);
  return [...found].sort();
}

/**
 * Compilers before TypeScript 5.7 know `Uint8Array` without an argument only, and newer ones take its absence for this
 * very argument.
 */
const forOlderCompilers = (text: string): string => text.replaceAll(/\b(Uint8Array|Buffer)<ArrayBufferLike>/g, '$1');

/**
 * Comments on private members, and those on a module in front of its imports, are shown to no caller: they would be
 * several kilobytes of the package.
 */
export const withoutInnerComments = (text: string): string =>
  text.replaceAll(/[ \t]*\/\*\*(?:[^*]|\*(?!\/))*\*\/\n(?=[ \t]*private |import )/g, '');

/**
 * Copies the declarations that the entry points reach from `.types`, where the compiler wrote them, to `dist` and
 * `dist/cjs`. A package.json in `dist/cjs` makes the same text declare CommonJS there.
 *
 * @returns how many files each folder got
 */
export function copyDeclarations(): number {
  const from = `${ROOT}.types`;
  const files = reached(from);
  for (const target of [`${ROOT}dist`, `${ROOT}dist/cjs`]) {
    for (const file of files) {
      mkdirSync(dirname(join(target, file)), { recursive: true });
      writeFileSync(
        join(target, file),
        withoutInnerComments(forOlderCompilers(readFileSync(join(from, file), 'utf8'))),
      );
    }
  }
  writeFileSync(`${ROOT}dist/cjs/package.json`, '{ "type": "commonjs" }\n');
  return files.length;
}
