/** The stream of tokens, on memory and on a server: two readers, one of which goes away and comes back. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { listen, listenInTwoSittings, speaker } from '../../examples/token-stream.js';
import { app, memory, valkey } from '../../src/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const LICENSE = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8');

it.each(['memory', 'valkey'])('both readers have every word once, on %s', async (label) => {
  const server = label === 'memory' ? undefined : await sharedValkey();
  await using a = app({
    backend: server === undefined ? memory() : valkey({ url: server.url, prefix: `tokens${Math.random()}:` }),
  });
  const speak = speaker(a);
  await a.worker();
  const run = speak.run({ text: LICENSE });
  const [live, resumed] = await Promise.all([listen(run), listenInTwoSittings(run, 300)]);
  expect(live).toBe(LICENSE);
  expect(resumed).toBe(LICENSE);
  const { tokens } = await run.result();
  const summary = await run.summary();
  expect(summary?.document).toEqual({ words: tokens, of: tokens, state: 'done' });
  expect(summary?.version).toBe(Math.floor(tokens / 100) + 1);
});
