/** The groups of mutants: the sources that each breaks, and the tests that should notice. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { filesUnder, ROOT } from './tree.js';

/** Test files of a folder, by their names. */
const named = (folder: string, names: string): string[] => names.split(' ').map((name) => `${folder}/${name}.test.ts`);

/** Judged by the differential run alone. */
export const MACHINE_GROUPS = ['lua', 'model'] as const;

/**
 * Judged by tests: those of the longest matching path. They are few and fast: tests under virtual time, and the worker
 * machine. A path that ends in a slash means the tests of that folder, without those that are too slow for this.
 */
const NEAR: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  worker: {
    'src/worker/': [
      ...named('test/worker', 'lease-keeper ahead outcomes odd-values progress progress-pace signals stuck'),
      ...named('test/worker', 'orphans faults worker inputs refusal reporter results turn-trace upstream-results'),
      ...named('test/worker', 'lost-often taken unawaited ends-watch emitter'),
      'fuzz/worker/',
    ],
    'src/worker/budgets/': [...named('test/worker', 'budgets'), ...named('test/app', 'budgets bounds')],
    'src/worker/checkpoints/': ['test/steps/', ...named('test/worker', 'unawaited'), 'fuzz/worker/'],
    'src/worker/children/': [
      ...named('test/app/flow', 'children'),
      ...named('test/worker', 'unawaited'),
      'fuzz/worker/',
    ],
    'src/worker/event-loop/': [...named('test/worker', 'loop-watch turns turn-trace worker'), 'fuzz/worker/'],
    'src/worker/steps/': [
      'test/steps/',
      ...named('test/app', 'bounds'),
      ...named('test/worker', 'unawaited'),
      'fuzz/worker/',
    ],
    'src/worker/streaming/': [...named('test/worker', 'streaming'), ...named('test/app', 'streams'), 'fuzz/worker/'],
    'src/worker/waits/': [
      'test/waiting/',
      ...named('test/app', 'bounds'),
      ...named('test/worker', 'unawaited'),
      'fuzz/worker/',
    ],
  },
  claiming: { 'src/claiming/': ['test/claiming/', 'fuzz/worker/'] },
  app: {
    'src/app/': ['test/app/', 'fuzz/worker/'],
    'src/app/flow/': ['test/app/flow/', ...named('test/conformance', 'flows')],
    'src/app/operating/': named(
      'test/app',
      'operating lists lanes set-aside registry damaged-parts refusals odd-arguments known-only bounds',
    ),
    'src/app/results/': [
      ...named('test/app', 'app results events lost-values damaged-parts errors connection'),
      ...named('test/app/flow', 'flows children'),
    ],
    'src/app/runs/': [
      ...named('test/app', 'app run-many own-ids events results values lists budgets'),
      ...named('test/app', 'refusals odd-arguments known-only bounds errors'),
      ...named('test/app/flow', 'children flows'),
    ],
    'src/app/tasks/': [
      ...named('test/app', 'app definitions registry values errors users-words lanes own-ids'),
      ...named('test/app', 'refusals odd-arguments known-only bounds silence'),
    ],
    'src/app/workers/': [
      ...named('test/app', 'app registry silence connection lanes set-aside'),
      ...named('test/app', 'refusals odd-arguments known-only bounds'),
      'fuzz/worker/',
    ],
    'src/app/metering/': named('test/app', 'budgets quota refusals odd-arguments errors known-only'),
    'src/app/signals/': [
      ...named('test/app', 'results refusals odd-arguments errors known-only'),
      ...named('test/waiting', 'wait-for waitpoint backends'),
    ],
    'src/app/streams/': [...named('test/app', 'streams refusals odd-arguments known-only'), 'test/streaming/'],
  },
  valkey: {
    'src/valkey/': [
      ...named('test/conformance', 'conformance flows'),
      ...named('test/valkey', 'containment emptied hardening many-lanes races secrets'),
    ],
    'src/valkey/boot/': named('test/valkey', 'boot versions acl fault-table messages'),
    'src/valkey/bytes/': [
      ...named('test/valkey', 'chunks large-batches staging steps transfers'),
      ...named('test/conformance', 'conformance'),
    ],
    'src/valkey/calls/': [
      ...named('test/valkey', 'coalescer fault-table joining large-batches races'),
      ...named('test/conformance', 'conformance'),
    ],
    'src/valkey/connection/': [
      ...named(
        'test/valkey',
        'call-retrier coalescer fault-table faults first-contact boot secrets sentinel tls messages',
      ),
      'test/valkey-faults/',
      ...named('test/cluster', 'failover'),
    ],
    'src/valkey/reads/': [
      ...named('test/conformance', 'conformance flows flow-reads'),
      ...named('test/valkey', 'containment damaged-rows fields ids-index lists replays steps tag-lists'),
      'fuzz/differential.test.ts',
    ],
    'src/valkey/records/': [
      ...named('test/conformance', 'conformance flows'),
      ...named('test/valkey', 'damaged-rows fields flow-retries log-entries losses replays verify-tally'),
      'fuzz/differential.test.ts',
    ],
    'src/valkey/verify/': named(
      'test/valkey',
      'broken-off damage lost-edges mending quarantine tag-lists verify verify-kinds verify-tally',
    ),
    'src/valkey/wakes/': [...named('test/valkey', 'wakes subscribing'), ...named('test/cluster', 'subscribing')],
    'src/valkey/wire/': [
      ...named('test/conformance', 'conformance flows'),
      ...named('test/valkey', 'containment function-call flow-retries hardening log-entries'),
      'fuzz/differential.test.ts',
    ],
  },
  memory: {
    'src/memory/': [
      'test/memory/',
      ...named('test/conformance', 'conformance list-pages'),
      ...named('test/valkey', 'messages'),
      'fuzz/differential.test.ts',
    ],
  },
  embedded: {
    'src/embedded/': ['test/embedded/'],
    'src/embedded/lock.ts': named('test/embedded', 'lock'),
  },
  subscribing: { 'src/subscribing/': ['test/subscribing/', ...named('test/app', 'events')] },
  streaming: { 'src/streaming/': ['test/streaming/', ...named('test/app', 'streams')] },
  // Lua that matters after damage: the differential run meets none.
  repair: Object.fromEntries(
    ['broken-off', 'quarantine', 'verify', 'verify-entries'].map((name) => [
      `lua/partition/${name}.lua`,
      named(
        'test/valkey',
        'broken-off damage lost-edges mending quarantine tag-lists verify verify-kinds verify-tally',
      ),
    ]),
  ),
  engine: { 'src/engine/': ['test/engine/', 'fuzz/worker/'] },
  backend: {
    'src/backend/': [
      ...[...named('test/engine', 'engine due-filter timer-wakes'), 'test/families/'],
      ...named('test/conformance', 'conformance'),
      ...named('test/app', 'set-aside connection odd-arguments refusals'),
      ...named('test/valkey', 'wakes mending large-batches coalescer joining messages'),
      ...named('test/model', 'capability-faults kinds'),
      'fuzz/bad-input.test.ts',
    ],
    'src/backend/wake-listeners.ts': [
      ...named('test/claiming', 'finder'),
      ...named('test/valkey', 'containment wakes messages'),
    ],
    'src/backend/boundary.ts': [
      ...named('test/model', 'capability-faults kinds create due-filter policy worker watch budget clock'),
      ...named('test/engine', 'engine'),
      ...named('test/conformance', 'conformance'),
      'fuzz/bad-input.test.ts',
    ],
  },
  shared: {
    'src/shared/': [
      ...named(
        'test/app',
        'values errors refusals known-only printed definitions odd-arguments results lanes app silence',
      ),
      ...named('test/app', 'connection flow/graph'),
      ...named('test/waiting', 'awaited-signals waitpoint wait-for'),
      'test/util/',
    ],
  },
  util: {
    'src/util/': [
      'test/util/',
      ...named('test/app', 'values errors printed refusals definitions users-words'),
      ...named('test/worker', 'garbage'),
    ],
  },
  testing: {
    'src/testing/': [
      'test/testing/',
      ...named('test/app', 'own-ids results'),
      ...named('test/worker', 'faults reporter'),
    ],
    'src/testing/canonical/': [
      ...named('test/testing', 'canonical-strays'),
      ...named('fuzz/explore', 'canonical'),
      ...named('test/embedded', 'records recovery'),
      ...named('test/valkey', 'verify verify-kinds tag-lists fields replays quarantine'),
    ],
    'src/testing/simulate/': named('test/testing', 'simulate'),
    'src/testing/simulation/': ['fuzz/worker/', ...named('test/testing', 'simulated-faults simulated-shutdown')],
    'src/testing/simulation/disk.ts': named('test/embedded', 'recovery damage frames readers missing full-disk'),
  },
};

/** The groups that tests judge: those of `src/`, and some of `lua/`. */
export const SOURCE_GROUPS: readonly string[] = Object.keys(NEAR);

/** Tests that take ten seconds or more: each survivor of a folder would wait for them. */
const SLOW = new Set([
  ...named('test/app', 'examples lane-states odd-callbacks'),
  ...named('test/claiming', 'properties'),
  ...named('test/embedded', 'lock process'),
  ...named('test/memory', 'indexes validator'),
  ...named('test/waiting', 'latency local-offers random-handlers'),
]);

/** Not broken, because these are the tests that backends are held to. */
const TESTS = 'src/testing/conformance/';

/** The sources that belong to a group. */
export const breakableSources = (): string[] => sourcesUnder('src/');

const sourcesUnder = (path: string): string[] =>
  (path.endsWith('/') ? filesUnder(path) : [path]).filter(
    (file) => /\.(?:ts|lua)$/.test(file) && !file.startsWith(TESTS),
  );

/** The sources that a group breaks. */
export const sourcesOf = (group: string): string[] => [
  ...new Set(Object.keys(NEAR[group] ?? {}).flatMap(sourcesUnder)),
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
    .map((name) => path + name)
    .filter((file) => !SLOW.has(file));
}
