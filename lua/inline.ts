/**
 * Build step of what the compiler alone wrote (the benchmarks): replaces the compiled disk reader `lua/files.js` with a
 * module that holds the text of the Lua files. The argument is the folder that the compiler wrote to. The package is
 * built by `.ci/build`, which uses the same text.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inlinedLua } from './inlined.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('say which folder the compiler wrote to: tsx lua/inline.ts <folder>');
const target = resolve(folder, 'lua/files.js');

// A missing target means that the compiler put its output elsewhere; writing the file anyway would hide that.
if (!existsSync(target)) {
  throw new Error(`${target} is not there: run the compiler before this step`);
}

const { code, count } = inlinedLua();
writeFileSync(target, code);
console.log(`${count} Lua files inlined into ${folder}/lua/files.js`);
