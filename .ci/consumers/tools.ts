import { join } from 'node:path';
import { expectOutput, folderOfType, program, type Check } from './run.js';

interface Bundle {
  readonly name: string;
  readonly source: string;
  readonly format: 'esm' | 'cjs';
  readonly flags: readonly string[];
  readonly expected: string;
}

/**
 * In an ES module, esbuild cannot carry CommonJS that requires Node's own modules, and the client of the server is
 * such; it stays outside there, as the documentation of esbuild advises.
 */
const BUNDLES: readonly Bundle[] = [
  { name: 'CJS', source: 'program.ts', format: 'cjs', flags: [], expected: 'consumer: ok' },
  { name: 'CJS, minified', source: 'program.ts', format: 'cjs', flags: ['--minify'], expected: 'consumer: ok' },
  { name: 'ESM', source: 'program.ts', format: 'esm', flags: ['--external:iovalkey'], expected: 'consumer: ok' },
  {
    name: 'ESM, minified',
    source: 'program.ts',
    format: 'esm',
    flags: ['--external:iovalkey', '--minify'],
    expected: 'consumer: ok',
  },
  {
    name: 'ESM, all in one file',
    source: 'memory-only.ts',
    format: 'esm',
    flags: ['--minify'],
    expected: 'memory only: Hello, World!',
  },
];

/** The consumer's program as a bundle of esbuild, run. */
export function bundleChecks(consumer: string): Check[] {
  return BUNDLES.map(({ name, source, format, flags, expected }) => ({
    name: `esbuild, ${name}`,
    run: async () => {
      const folder = folderOfType(consumer, format === 'esm' ? 'module' : 'commonjs');
      const out = join(folder, 'bundle.js');
      const common = ['--bundle', '--platform=node', '--target=node20', '--log-level=warning', `--format=${format}`];
      await program(
        join(consumer, 'node_modules/.bin/esbuild'),
        [source, ...common, ...flags, `--outfile=${out}`],
        consumer,
      );
      await expectOutput(process.execPath, out, expected, folder);
    },
  }));
}

/** Jest without any configuration but where the test is. */
export function jestCheck(consumer: string): Check {
  return {
    name: 'Jest',
    run: async () => {
      const jest = join(consumer, 'node_modules/jest/bin/jest.js');
      await program(process.execPath, [jest, '--rootDir', '.', '--testMatch', '**/jest.test.cjs'], consumer);
    },
  };
}

/** ES module and CommonJS of the package in one process. */
export function bothFormatsCheck(consumer: string): Check {
  return {
    name: 'both formats in one program',
    run: () => expectOutput(process.execPath, 'both-formats.mjs', 'both formats: ok', consumer),
  };
}
