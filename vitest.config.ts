import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest: they begin first, because at the end of a run one long file leaves the other threads idle. */
const LONGEST = [
  'fuzz/explore/explore',
  'test/app/alike/alike',
  'test/pages',
  'test/valkey/slow-link',
  'fuzz/differential',
  'test/worker/lost-often',
  'fuzz/mutate/mutate',
  'test/valkey-faults/outage',
  'test/valkey/reaching',
  'fuzz/chaos/chaos',
  'test/app/examples',
  'test/embedded/crash',
  'test/cluster/cluster',
  'fuzz/bad-input',
  'test/examples/deployment-gate',
  'test/cluster/migration',
  'fuzz/callers',
  'fuzz/worker/worker',
  'fuzz/chaos/embedded/chaos',
];

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return rank === -1 ? LONGEST.length : rank;
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

/** Tests without servers, workers or timers. To load their modules takes longer than to run them. */
const PURE = ['model', 'util', 'vocabulary', 'invariants', 'structure', 'memory'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

export default defineConfig({
  test: {
    // Pure files that run in the same thread share its modules. What other files leave running would disturb the next one.
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts', 'fuzz/**/*.test.ts'], exclude: PURE } },
    ],
    pool: 'threads',
    sequence: { sequencer: LongestFirst },
    // Most files wait for a server: also on two cores three of them run at a time.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    globalSetup: ['test/support/valkey/global-setup.ts'],
    setupFiles: ['test/support/leak-watch.ts'],
    testTimeout: 180_000,
    // The default of a second is too short for a busy machine.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
});
