import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compact, embedded } from '../src/embedded/index.js';
import { memory } from '../src/memory/index.js';
import { mint, runLifecycles, TRANSITIONS_PER_LIFECYCLE } from './population.js';

/** Lifecycles before a clock starts. */
const WARM_UP = 20_000;

/** One step with a store in a folder; each is taken in a process of its own. */
export interface EmbeddedTask {
  /**
   * `run`: lifecycles of a new store with `everysec`, which keeps all of its journal. `open`: reading that back. `store`:
   * what terminal executions without payload take on the disk after compaction, their log trimmed.
   */
  readonly step: 'run' | 'open' | 'store';
  readonly folder: string;
  readonly lifecycles: number;
}

export interface EmbeddedResult {
  /** Lifecycles per second; seconds for a million events; bytes per execution. */
  readonly value: number;
}

export async function measureEmbedded(task: EmbeddedTask): Promise<EmbeddedResult> {
  return { value: await STEPS[task.step](task) };
}

const STEPS: Readonly<Record<EmbeddedTask['step'], (task: EmbeddedTask) => Promise<number>>> = {
  async run({ folder, lifecycles }) {
    await runLifecycles(memory(), mint(WARM_UP));
    const backend = await embedded({ path: folder, snapshotEveryBytes: Number.MAX_SAFE_INTEGER });
    const durationMs = await runLifecycles(backend, mint(lifecycles));
    await backend.close();
    return (lifecycles / durationMs) * 1_000;
  },
  async open({ folder, lifecycles }) {
    const start = performance.now();
    const backend = await embedded({ path: folder });
    const durationMs = performance.now() - start;
    await backend.close();
    return (durationMs / (lifecycles * TRANSITIONS_PER_LIFECYCLE)) * 1_000;
  },
  async store({ folder, lifecycles }) {
    const backend = await embedded({ path: folder, logMaxEntries: 1 });
    await runLifecycles(backend, mint(lifecycles));
    await compact(backend);
    await backend.close();
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / lifecycles;
  },
};
