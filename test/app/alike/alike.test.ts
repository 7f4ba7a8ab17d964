/**
 * "Nothing else changes": the same programs of users on every backend, with the same bounds in time. What a scenario
 * returns must be the same everywhere, apart from ids and times.
 */
import { describe, expect, it } from 'vitest';
import { ENDINGS } from './endings.js';
import { FLOWS } from './flows.js';
import { LIMITS_OF_USERS } from './limits.js';
import { METERS } from './meters.js';
import { OPERATORS } from './operators.js';
import { REUSED_VALUES } from './reused-values.js';
import { RUNS } from './runs.js';
import { TIMES } from './times.js';
import { WAITS } from './waits.js';
import { play, type BackendName } from './world.js';

const SCENARIOS = [
  ...RUNS,
  ...TIMES,
  ...ENDINGS,
  ...WAITS,
  ...FLOWS,
  ...OPERATORS,
  ...METERS,
  ...LIMITS_OF_USERS,
  ...REUSED_VALUES,
];
const BACKENDS: readonly BackendName[] = ['memory', 'embedded', 'valkey'];

/** What each scenario told in memory. */
const told = new Map<string, unknown>();

describe.each(BACKENDS)('%s', (backend) => {
  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', async (name, scenario) => {
    const heard = await play(scenario, backend);
    // Missing if only one backend was asked for, and after a failure.
    if (!told.has(name)) told.set(name, backend === 'memory' ? heard : await play(scenario, 'memory'));
    expect(heard).toEqual(told.get(name));
  });
});
