/**
 * Projects that use the packed package: `tsx .ci/consumers/main.ts <tarball> [--full]`. Without `--full`: its limits, the
 * oldest and the newest compiler, NestJS's options, Jest and esbuild, on this Node. With it: every compiler, and Node
 * 20.0, 22 and 24.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compilerChecks, nestCheck, nodeChecks, versionsOf } from './compilers.js';
import { program, runChecks, type Check } from './run.js';
import { limitChecks } from './limits.js';
import { readmeChecks } from './readme.js';
import { bothFormatsCheck, bundleChecks, jestCheck } from './tools.js';

const SOURCE = fileURLToPath(new URL('../../test/package/consumer', import.meta.url));

/** Versions of Node on which the package must work, the lowest first: the floor of `engines` itself. */
const NODES = ['20.0.0', '22.23.3', '24.22.3'];

const quiet = ['--no-audit', '--no-fund', '--silent'];

/** The consumer with its own packages and, last, the tarball as a user would install it. */
async function install(tarball: string): Promise<string> {
  const consumer = mkdtempSync(join(tmpdir(), 'flowfabric-consumer-'));
  cpSync(SOURCE, consumer, { recursive: true });
  await program('npm', ['ci', '--ignore-scripts', ...quiet], consumer);
  await program('npm', ['install', '--no-save', '--ignore-scripts', ...quiet, tarball], consumer);
  return consumer;
}

/** Other versions of Node, as packages of the registry carry them. */
async function installNodes(consumer: string): Promise<Map<string, string>> {
  const folder = mkdtempSync(join(consumer, 'nodes-'));
  const name = (version: string): string => `node-${version}`;
  const wanted = NODES.map((version) => `${name(version)}@npm:node-${process.platform}-${process.arch}@${version}`);
  await program('npm', ['install', '--prefix', folder, '--ignore-scripts', ...quiet, ...wanted], folder);
  return new Map(NODES.map((version) => [version, join(folder, 'node_modules', name(version), 'bin/node')]));
}

async function checksOf(consumer: string, tarball: string, full: boolean): Promise<Check[]> {
  const nodes = full ? await installNodes(consumer) : new Map<string, string>();
  return [
    ...limitChecks(consumer, tarball),
    ...versionsOf(full).flatMap((version) => compilerChecks(consumer, version, full)),
    nestCheck(consumer, '5.9'),
    jestCheck(consumer),
    bothFormatsCheck(consumer),
    ...readmeChecks(consumer),
    ...bundleChecks(consumer),
    ...[...nodes].flatMap(([version, node]) => nodeChecks(consumer, `Node ${version}`, node)),
  ];
}

const [tarball, ...flags] = process.argv.slice(2);
if (tarball === undefined) throw new Error('say which tarball: tsx .ci/consumers/main.ts <tarball> [--full]');
const consumer = await install(resolve(tarball));
try {
  const failed = await runChecks(await checksOf(consumer, resolve(tarball), flags.includes('--full')));
  console.log(failed.length === 0 ? 'consumers: all passed' : `consumers: ${failed.length} failed`);
  if (failed.length > 0) process.exitCode = 1;
} finally {
  rmSync(consumer, { recursive: true, force: true });
}
