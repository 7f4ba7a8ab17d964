import { readFileSync } from 'node:fs';
import { build, type BuildOptions, type Plugin } from 'rolldown';
import { ENTRIES, ROOT } from './entries.js';
import { inlineLua, shortLua } from './lua.js';
import { segmentsOf } from './segments.js';
import { mapsByLine } from './source-maps.js';

const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  dependencies: Record<string, string>;
};

/** Whether an import leads out of the package: to Node, or to a dependency. */
export const isOutside = (id: string): boolean =>
  id.startsWith('node:') || Object.keys(dependencies).some((name) => id === name || id.startsWith(`${name}/`));

/** Divides the modules into files, once the whole graph of them is known. */
function segments(): { readonly plugin: Plugin; readonly nameOf: (id: string) => string | undefined } {
  let names: ReadonlyMap<string, string> = new Map();
  const plugin: Plugin = {
    name: 'segments',
    buildEnd() {
      const ids = [...this.getModuleIds()].filter((id) => !isOutside(id));
      const copied = ids.filter((id) => id.includes('node_modules'));
      if (copied.length > 0)
        throw new Error(`not declared, so it would be copied into the package: ${copied.join(', ')}`);
      names = segmentsOf(ids, (id) => {
        const facts = this.getModuleInfo(id);
        if (facts === null) throw new Error(`nothing is known of the module ${id}`);
        const inside = (list: readonly string[]): string[] => list.filter((other) => !isOutside(other));
        return {
          code: facts.code,
          isEntry: facts.isEntry,
          importedIds: inside(facts.importedIds),
          dynamicallyImportedIds: inside(facts.dynamicallyImportedIds),
        };
      });
    },
  };
  return { plugin, nameOf: (id) => names.get(id) };
}

const options = (format: 'esm' | 'cjs', dir: string): BuildOptions => {
  const { plugin, nameOf } = segments();
  return {
    cwd: ROOT,
    input: Object.fromEntries(ENTRIES.map((entry) => [entry, `${entry}.ts`])),
    platform: 'node',
    moduleTypes: { '.lua': 'text' },
    // Comments that name the source of each module would be 7 kB of the package.
    experimental: { attachDebugInfo: 'none' },
    preserveEntrySignatures: 'allow-extension',
    // How long plugins take says something about the load of the machine.
    checks: { circularDependency: true, pluginTimings: false },
    external: isOutside,
    // A warning is a fault of the package: an import that leads nowhere, or modules that import each other in a circle.
    onLog(level, log, report) {
      if (level === 'warn') throw new Error(log.message);
      report(level, log);
    },
    plugins: [inlineLua, shortLua, plugin, mapsByLine(dir)],
    output: {
      dir,
      format,
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name].js',
      codeSplitting: {
        includeDependenciesRecursively: false,
        groups: [{ debugName: 'segments', name: (id) => nameOf(id) ?? null }],
      },
      sourcemap: true,
      sourcemapExcludeSources: true,
      // The documentation is in the declarations, and the comments are in the sources to which the maps lead.
      comments: { legal: true, annotation: true, jsdoc: false },
    },
  };
};

/**
 * Writes the JavaScript of the package: the same modules as ES modules in `dist` and as CommonJS in `dist/cjs`, joined
 * into a few files each, because loading a hundred small ones takes longer than running them.
 */
export async function buildJavaScript(): Promise<void> {
  await build([options('esm', 'dist'), options('cjs', 'dist/cjs')]);
}
