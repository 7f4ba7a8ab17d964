import { readFileSync } from 'node:fs';
import type { Plugin } from 'rolldown';
import { luaFiles } from '../../lua/files.js';
import { withoutCommentLines } from '../../lua/tokens.js';

/** In the place of the module that reads the Lua files from disk: one that imports the text of each. */
function importsOfText(): string {
  const paths = Object.keys(luaFiles());
  if (paths.length === 0) throw new Error('no .lua file was found next to lua/files.ts');
  return [
    ...paths.map((path, index) => `import file${index} from './${path}';`),
    `const files = { ${paths.map((path, index) => `'${path}': file${index}`).join(', ')} };`,
    'export const luaFiles = () => ({ ...files });',
  ].join('\n');
}

/** The Lua text becomes part of the JavaScript, so that the package works under a bundler, where no file lies beside. */
export const inlineLua: Plugin = {
  name: 'inline-lua',
  load: {
    filter: { id: /[\\/]lua[\\/]files\.ts$/ },
    handler: () => ({ code: importsOfText(), moduleType: 'js' }),
  },
};

/** Comments of the Lua are for its readers: they were a quarter of its bytes. */
export const shortLua: Plugin = {
  name: 'short-lua',
  load: {
    filter: { id: /\.lua$/ },
    handler: (id) => ({ code: withoutCommentLines(readFileSync(id, 'utf8')), moduleType: 'text' }),
  },
};
