/** Every scenario that a backend must pass, on every backend. */
import { describe, test } from 'vitest';
import { conformance, testEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

describe.each(['memory', 'embedded', 'valkey'] as const)('%s', (name) => {
  test.each(conformance.map((scenario) => [scenario.name, scenario] as const))('%s', async (_, scenario) => {
    const backend = name === 'valkey' ? { url: (await sharedValkey()).url } : name;
    const engine = await testEngine({ ...scenario.options, backend });
    try {
      await scenario.run(engine);
    } finally {
      await engine.close();
    }
  });
});
