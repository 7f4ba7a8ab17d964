/**
 * Build step of the benchmarks, run after the compiler: replaces the compiled `lua/files.js`, which reads from disk,
 * with a module that contains the text of the Lua files. The argument is the output folder of the compiler.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { luaFiles } from './files.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('say which folder the compiler wrote to: tsx lua/inline.ts <folder>');
const target = resolve(folder, 'lua/files.js');

// A missing target means that the compiler wrote to another folder; writing the file anyway would hide that.
if (!existsSync(target)) {
  throw new Error(`${target} is not there: run the compiler before this step`);
}

const files = luaFiles();
const count = Object.keys(files).length;
if (count === 0) throw new Error('no .lua file was found next to lua/files.ts');

writeFileSync(
  target,
  [
    '// Written by the build from the .lua files of the source tree.',
    `const files = ${JSON.stringify(files, null, 2)};`,
    'export const luaFiles = () => ({ ...files });',
    '',
  ].join('\n'),
);
console.log(`${count} Lua files inlined into ${folder}/lua/files.js`);
