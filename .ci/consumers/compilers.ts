import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectOutput, folderOfType, program, type Check } from './run.js';

/** Versions of TypeScript, oldest first, as the consumer installs them. */
export type Version = '5.4' | '5.9' | '6' | '7';

interface Mode {
  readonly name: string;
  readonly type: 'module' | 'commonjs';
  readonly module: string;
  readonly moduleResolution: string;
  /** What is compiled is a program that Node can run as it is. */
  readonly runs: boolean;
}

const MODES: readonly Mode[] = [
  { name: 'nodenext, ESM', type: 'module', module: 'nodenext', moduleResolution: 'nodenext', runs: true },
  { name: 'nodenext, CJS', type: 'commonjs', module: 'nodenext', moduleResolution: 'nodenext', runs: true },
  { name: 'commonjs + node10', type: 'commonjs', module: 'commonjs', moduleResolution: 'node10', runs: true },
  { name: 'bundler', type: 'module', module: 'esnext', moduleResolution: 'bundler', runs: false },
];

const STRICT = {
  target: 'es2022',
  types: ['node'],
  strict: true,
  esModuleInterop: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
};

/** How NestJS sets its users' projects up. */
const NEST = {
  target: 'es2022',
  types: ['node'],
  strict: true,
  esModuleInterop: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
};

/** TypeScript 7 knows the mode no more; 6 asks that its end is acknowledged. */
const node10 = (version: Version): Record<string, unknown> | undefined =>
  version === '7' ? undefined : version === '6' ? { ignoreDeprecations: '6.0' } : {};

/** Compiles one file of the consumer's. @returns the folder with the result */
async function compile(
  consumer: string,
  version: Version,
  source: string,
  mode: Mode,
  options: Readonly<Record<string, unknown>>,
): Promise<string> {
  const folder = folderOfType(consumer, mode.type);
  copyFileSync(join(consumer, source), join(folder, source));
  const flags = Object.entries({ ...options, module: mode.module, moduleResolution: mode.moduleResolution }).flatMap(
    ([name, value]) => [`--${name}`, String(value)],
  );
  const compiler = join(consumer, `node_modules/typescript-${version}/bin/tsc`);
  await program(process.execPath, [compiler, ...flags, source], folder);
  return folder;
}

/** What is enough on every change: the declarations of a format are the same however they are found. */
const ON_EVERY_CHANGE: Readonly<Partial<Record<Version, readonly string[]>>> = {
  '5.4': ['nodenext, ESM', 'commonjs + node10'],
  '7': ['nodenext, ESM', 'nodenext, CJS', 'bundler'],
};

/** The versions of TypeScript that are tried on every change, or all. */
export const versionsOf = (full: boolean): readonly Version[] =>
  full ? ['5.4', '5.9', '6', '7'] : (Object.keys(ON_EVERY_CHANGE) as Version[]);

/**
 * The consumer's program under one compiler, in every mode, with and without `skipLibCheck`, and run where it can be.
 * Unless `full`, with it in one mode only: a compiler sees then a part of what it sees without.
 */
export function compilerChecks(consumer: string, version: Version, full: boolean): Check[] {
  const names = full ? undefined : ON_EVERY_CHANGE[version];
  return MODES.filter(({ name }) => names?.includes(name) ?? true).flatMap((mode) => {
    const extra = mode.moduleResolution === 'node10' ? node10(version) : {};
    if (extra === undefined) return [];
    return (full || mode === MODES[0] ? [true, false] : [false]).map((skipLibCheck) => ({
      name: `TypeScript ${version}, ${mode.name}${skipLibCheck ? ', skipLibCheck' : ''}`,
      run: async () => {
        const folder = await compile(consumer, version, 'program.ts', mode, { ...STRICT, ...extra, skipLibCheck });
        if (mode.runs && !skipLibCheck) await expectOutput(process.execPath, 'program.js', 'consumer: ok', folder);
      },
    }));
  });
}

/** A program with NestJS's options, compiled and run. */
export function nestCheck(consumer: string, version: Version): Check {
  const mode = MODES.find(({ moduleResolution }) => moduleResolution === 'node10') as Mode;
  return {
    name: `NestJS options, TypeScript ${version}`,
    run: async () => {
      const folder = await compile(consumer, version, 'nest.ts', mode, { ...NEST, skipLibCheck: false });
      await expectOutput(process.execPath, 'nest.js', 'nest: ok', folder);
    },
  };
}

/** The consumer's program compiled once for each module system, and run by another Node. */
export function nodeChecks(consumer: string, name: string, node: string): Check[] {
  return MODES.filter(({ module }) => module === 'nodenext').map((mode) => ({
    name: `${name}, ${mode.type}`,
    run: async () => {
      const folder = await compile(consumer, '7', 'program.ts', mode, { ...STRICT, skipLibCheck: true });
      await expectOutput(node, 'program.js', 'consumer: ok', folder);
    },
  }));
}

/** Compiles a file of the consumer's as an ES module, as the documentation has it, and runs it. */
export async function compileAndRun(consumer: string, source: string): Promise<void> {
  const mode = MODES[0] as Mode;
  const folder = await compile(consumer, '7', source, mode, {
    target: 'es2022',
    types: ['node'],
    ...STRICT,
    skipLibCheck: true,
  });
  await program(process.execPath, [source.replace(/\.ts$/, '.js')], folder);
}
