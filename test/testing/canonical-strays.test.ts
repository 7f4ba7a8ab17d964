/** Everything that a server stores is in the state by which backends are compared, also what belongs to nothing. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SUFFIXES } from '../../lua/layout.js';
import { shortIdOf } from '../../model/short-id.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `canonical-strays-${process.pid}:`;
const OWNER = `${PREFIX}${PARTITION}:${shortIdOf('00000000-0000-4000-8000-000000000001')}`;

let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX });
  admin = new Valkey(url);
  const executionId = engine.executionId();
  const work = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
  await engine.backend.createExecution({ executionId, ...work });
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

const hash = (key: string): Promise<unknown> => admin.hset(key, 'field', 'value');
const text = (key: string): Promise<unknown> => admin.set(key, 'value');

test.each<[keyof typeof SUFFIXES, (key: string) => Promise<unknown>]>([
  ['waits', hash],
  ['dependencies', hash],
  ['payloads', hash],
  ['steps', hash],
  ['details', hash],
  ['input', text],
  ['only', text],
  ['leading', (key) => admin.zadd(key, 1, 'member')],
])('%s of an execution that is not there', async (suffix, store) => {
  const before = await engine.canonicalState(PARTITION);
  await store(OWNER + SUFFIXES[suffix]);
  expect(await engine.canonicalState(PARTITION)).not.toEqual(before);
  await admin.del(OWNER + SUFFIXES[suffix]);
  expect(await engine.canonicalState(PARTITION)).toEqual(before);
});

test.each(['unknown', `${shortIdOf('00000000-0000-4000-8000-000000000001')}:unknown`])(
  'a key that has no meaning: %s',
  async (name) => {
    const before = await engine.canonicalState(PARTITION);
    await text(`${PREFIX}${PARTITION}:${name}`);
    expect(await engine.canonicalState(PARTITION)).not.toEqual(before);
    await admin.del(`${PREFIX}${PARTITION}:${name}`);
  },
);
