import { readFileSync } from 'node:fs';
import { build, type BuildOptions, type Plugin } from 'rolldown';
import { inlinedLua } from '../../lua/inlined.js';
import { ENTRIES, ROOT } from './entries.js';
import { mapsByLine } from './source-maps.js';

const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  dependencies: Record<string, string>;
};

/** The Lua text in the place of the module that reads it from disk. */
const inlineLua: Plugin = {
  name: 'inline-lua',
  load: { filter: { id: /[\\/]lua[\\/]files\.ts$/ }, handler: () => ({ code: inlinedLua().code, moduleType: 'js' }) },
};

const isOutside = (id: string): boolean =>
  id.startsWith('node:') || Object.keys(dependencies).some((name) => id === name || id.startsWith(`${name}/`));

const options = (format: 'esm' | 'cjs', dir: string): BuildOptions => ({
  cwd: ROOT,
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, `${entry}.ts`])),
  platform: 'node',
  external: isOutside,
  // A warning here is a fault of the package: an import that nobody declared, a cycle that a bundle cannot order.
  onLog(level, log, report) {
    if (level === 'warn') throw new Error(log.message);
    report(level, log);
  },
  plugins: [inlineLua, mapsByLine()],
  output: {
    dir,
    format,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    sourcemap: true,
    sourcemapExcludeSources: true,
    // The documentation is in the declarations, and the comments are in the sources to which the maps lead.
    comments: { legal: true, annotation: true, jsdoc: false },
  },
});

/**
 * Writes the JavaScript of the package: the same modules as ES modules in `dist` and as CommonJS in `dist/cjs`, joined
 * into a few files each, because loading a hundred small ones takes longer than running them.
 */
export async function buildJavaScript(): Promise<void> {
  await build([options('esm', 'dist'), options('cjs', 'dist/cjs')]);
}
