import { luaFiles } from './files.js';

/**
 * The module that a build puts in the place of `lua/files.ts`: the same function, with the text itself in it, so that
 * the package works under a bundler, where no file lies next to the code.
 *
 * @throws Error if no Lua file is there to inline
 */
export function inlinedLua(): { readonly code: string; readonly count: number } {
  const files = luaFiles();
  const count = Object.keys(files).length;
  if (count === 0) throw new Error('no .lua file was found next to lua/files.ts');
  const code = [
    '// Written by the build from the .lua files of the source tree.',
    `const files = ${JSON.stringify(files, null, 2)};`,
    'export const luaFiles = () => ({ ...files });',
    '',
  ].join('\n');
  return { code, count };
}
