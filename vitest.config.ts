import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'fuzz/**/*.test.ts'],
    pool: 'threads',
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
