/**
 * Programs that a test runs in processes of their own. Compiling the sources again for each would take most of its time,
 * so all of them are joined with the sources once, and start in a moment.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build, type Plugin } from 'rolldown';
import { ENTRIES, ROOT } from '../../.ci/build/entries.js';
import { isOutside } from '../../.ci/build/javascript.js';
import { inlineLua } from '../../.ci/build/lua.js';

/** The names under which programs import the package, and the sources that stand for each. */
const PACKAGE = Object.fromEntries(
  ENTRIES.map((entry) => [entry.replace(/^src/, 'flowfabric').replace(/\/index$/, ''), `${ROOT}${entry}.ts`]),
);

export interface Programs {
  /**
   * Runs a program to its end, in an empty folder of its own, and answers what it printed.
   * @param env further variables of its environment; undefined takes one away
   * @throws Error with its output when it fails, or takes longer than 30 seconds
   */
  run(name: string, env?: NodeJS.ProcessEnv): Promise<string>;
  /** Removes all files. */
  remove(): void;
}

/** A folder for programs, inside the project, so that its dependencies are found. */
const newFolder = (): string => mkdtempSync(join(ROOT, 'node_modules', '.programs-'));

/**
 * Writes each program with everything that it imports from the project into the folder.
 *
 * @param input the files, by the names of the programs or under their own
 */
async function joinSources(
  input: string[] | Record<string, string>,
  folder: string,
  ...plugins: readonly Plugin[]
): Promise<void> {
  await build({
    input,
    platform: 'node',
    // The oldest Node that the package supports has no `using`.
    transform: { target: 'node20' },
    resolve: { alias: PACKAGE },
    external: isOutside,
    plugins: [...plugins, inlineLua],
    moduleTypes: { '.lua': 'text' },
    // That a module is in the same file as one that imports it later is meant.
    checks: { ineffectiveDynamicImport: false },
    output: { dir: folder, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' },
  });
}

/** A program of the tests that is started as a process many times. */
export interface Program {
  readonly file: string;
  /** Removes the file. */
  remove(): void;
}

/** @param source the file of the program, in TypeScript */
export async function programOf(source: string): Promise<Program> {
  const folder = newFolder();
  await joinSources([source], folder);
  return {
    file: join(folder, `${basename(source, '.ts')}.mjs`),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/**
 * @param sources the text of each program, in TypeScript, by a name that is good for a file; `page/tasks` can be imported
 *   as `./tasks.js` by others of `page/`
 */
export async function programsOf(sources: Readonly<Record<string, string>>): Promise<Programs> {
  const folder = newFolder();
  const files = Object.fromEntries(Object.keys(sources).map((name) => [name, join(folder, `${name}.ts`)]));
  const texts = new Map(Object.entries(sources).map(([name, text]) => [files[name], text]));
  await joinSources(files, folder, {
    name: 'programs',
    resolveId: (id, importer = '') => {
      const file = id.startsWith('./') ? join(dirname(importer), id.replace(/\.js$/, '.ts')) : id;
      return texts.has(file) ? file : null;
    },
    load: (id) => texts.get(id) ?? null,
  });
  return {
    run: async (name, env = {}) => {
      const cwd = mkdtempSync(join(folder, 'cwd-'));
      const { stdout } = await promisify(execFile)(process.execPath, [join(folder, `${name}.mjs`)], {
        cwd,
        env: { ...process.env, ...env },
        timeout: 120_000,
      });
      return stdout.trim();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
