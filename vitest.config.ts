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

/**
 * Tests of the process itself (its event loop, its heap, its signals), of servers and processes that fail, and long runs.
 * Each file has modules of its own; for the others, to load the modules anew would be a third of the processor time.
 */
const ALONE = [
  ...['cluster', 'support', 'valkey-faults', 'worker'].map((folder) => `test/${folder}/**/*.test.ts`),
  'fuzz/**/*.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'shared', include: ['test/**/*.test.ts'], exclude: ALONE, isolate: false } },
      { extends: true, test: { name: 'alone', include: ALONE } },
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
