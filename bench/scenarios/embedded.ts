import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmbeddedTask } from '../embedded.js';
import { inChild } from '../in-child.js';
import { groups, names } from '../names.js';
import { scaled, type Scenario } from '../scenario.js';

/** Lifecycles of the rate: a million events. */
const LIFECYCLES = 333_334;
/** Executions whose bytes are counted. */
const STORED = 100_000;

/** The journal of the million and the machine that it is read into. */
const HEAP = '--max-old-space-size=8192';

/** The machine with its journal in a folder: rate, time to read back, bytes on the disk. */
export const embeddedScenario: Scenario = {
  name: 'embedded',
  title: 'embedded: lifecycles per second with everysec, a million events read back, bytes per stored execution',
  run: async (context) => {
    const rates: number[] = [];
    const seconds: number[] = [];
    const bytes: number[] = [];
    for (let run = 0; run < context.runs; run += 1) {
      const folder = mkdtempSync(join(tmpdir(), 'bench-embedded-'));
      const measure = async (step: EmbeddedTask['step'], name: string, lifecycles: number): Promise<number> =>
        (await inChild('embedded', { step, folder: join(folder, name), lifecycles }, [HEAP])).value;
      try {
        rates.push(await measure('run', 'million', scaled(context, LIFECYCLES)));
        seconds.push(await measure('open', 'million', scaled(context, LIFECYCLES)));
        bytes.push(await measure('store', 'compact', scaled(context, STORED)));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    return [
      { group: groups.embeddedRate, name: names.subject, unit: 'lifecycles/s', values: rates },
      { group: groups.embeddedOpen, name: names.subject, unit: 's', values: seconds },
      { group: groups.embeddedBytes, name: names.subject, unit: 'bytes', values: bytes },
    ];
  },
};
