/**
 * Build step, run after the compiler: replaces the compiled disk reader
 * `dist/lua/files.js` with a module that holds the text of the Lua files.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { luaFiles } from './files.js';

const target = fileURLToPath(new URL('../dist/lua/files.js', import.meta.url));

// A missing target means that the compiler put its output elsewhere; writing
// the file anyway would hide that.
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
console.log(`${count} Lua files inlined into dist/lua/files.js`);
