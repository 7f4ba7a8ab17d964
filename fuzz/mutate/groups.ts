/** The groups of mutants: the sources that each breaks, and the tests that should notice. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { filesUnder, ROOT } from './tree.js';

/** Judged by the differential run alone. */
export const MACHINE_GROUPS = ['lua', 'model'] as const;

/**
 * Judged by tests: those of the longest matching path. They are few and fast: tests under virtual time, and the worker
 * machine. A path that ends in a slash means the tests of that folder.
 */
const NEAR: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  worker: {
    'src/worker/': [
      ...['lease-keeper', 'ahead', 'outcomes', 'odd-values', 'progress', 'signals', 'stuck', 'loop-watch'].map(
        (name) => `test/worker/${name}.test.ts`,
      ),
      ...['orphans', 'faults', 'worker'].map((name) => `test/worker/${name}.test.ts`),
      'fuzz/worker/',
    ],
    'src/worker/budgets/': ['test/worker/budgets.test.ts', 'test/app/budgets.test.ts'],
    'src/worker/checkpoints/': ['test/steps/step.test.ts', 'fuzz/worker/'],
    'src/worker/children/': ['test/app/flow/children.test.ts', 'fuzz/worker/'],
    'src/worker/steps/': ['test/steps/step.test.ts', 'fuzz/worker/'],
    'src/worker/streaming/': ['test/worker/streaming.test.ts', 'test/app/streams.test.ts', 'fuzz/worker/'],
    'src/worker/waits/': ['test/waiting/', 'fuzz/worker/'],
  },
  claiming: { 'src/claiming/': ['test/claiming/', 'fuzz/worker/'] },
  app: {
    'src/app/': ['test/app/', 'fuzz/worker/'],
    'src/app/flow/': ['test/app/flow/', 'test/conformance/flows.test.ts'],
  },
  valkey: {
    'src/valkey/boot/': [
      ...['boot', 'versions', 'acl', 'fault-table', 'messages'].map((name) => `test/valkey/${name}.test.ts`),
    ],
    'src/valkey/connection/': [
      ...['call-retrier', 'coalescer', 'fault-table', 'faults', 'boot', 'secrets', 'sentinel', 'tls', 'messages'].map(
        (name) => `test/valkey/${name}.test.ts`,
      ),
      'test/valkey-faults/',
      'test/cluster/failover.test.ts',
    ],
    'src/valkey/wakes/': [
      'test/valkey/wakes.test.ts',
      'test/valkey/subscribing.test.ts',
      'test/cluster/subscribing.test.ts',
    ],
  },
  memory: { 'src/memory/': ['test/memory/', 'test/conformance/conformance.test.ts', 'fuzz/worker/'] },
  embedded: { 'src/embedded/': ['test/embedded/'] },
  subscribing: { 'src/subscribing/': ['test/subscribing/', 'test/app/events.test.ts'] },
  streaming: { 'src/streaming/': ['test/streaming/', 'test/app/streams.test.ts'] },
  engine: { 'src/engine/': ['test/engine/', 'fuzz/worker/'] },
};

/** The groups of `src/`. */
export const SOURCE_GROUPS: readonly string[] = Object.keys(NEAR);

/** Sources without mutants: they only declare, or export from other files. */
const DECLARING = /\/(?:index|options|api)\.ts$/;

/** The sources that a group breaks. */
export const sourcesOf = (group: string): string[] => [
  ...new Set(
    Object.keys(NEAR[group] ?? {}).flatMap((folder) =>
      filesUnder(folder).filter((file) => file.endsWith('.ts') && !DECLARING.test(file)),
    ),
  ),
];

/** The test files near a source, as paths from the top of the project. */
export function testsNear(group: string, file: string): string[] {
  const near = NEAR[group] ?? {};
  const folder = Object.keys(near)
    .filter((path) => file.startsWith(path))
    .sort((a, b) => b.length - a.length)[0];
  if (folder === undefined) throw new Error(`No group has tests for ${file}.`);
  return (near[folder] ?? []).flatMap(testFiles);
}

/** @throws Error for a path that does not exist, because a moved test would otherwise be skipped silently */
function testFiles(path: string): string[] {
  if (!existsSync(ROOT + path)) throw new Error(`fuzz/mutate/groups.ts names ${path}, which is not there.`);
  if (!statSync(ROOT + path).isDirectory()) return [path];
  return readdirSync(ROOT + path)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path + name);
}
