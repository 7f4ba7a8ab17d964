/** What is left on the shared server is seen by prefix, each kind of it, and only that of this thread. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { expect, it } from 'vitest';
import { valkey } from '../../src/valkey/index.js';
import { leftOnShared } from './shared-traces.js';
import { sharedValkey } from './valkey/index.js';

it('finds subscriptions and unused bytes of a deployment, and nothing after one that was closed', async () => {
  const { url } = await sharedValkey();
  const prefix = `traces-${randomUUID()}[a]*:`;
  const backend = await valkey({ url, prefix, partitions: { count: 1 } });
  await backend.onWake(['mail'], () => undefined);
  expect((await leftOnShared('test')).join('\n')).toContain(`channel ${prefix}wake:mail`);
  const admin = new Valkey(url);
  const bytes = `${prefix}{fp:0}:${randomUUID()}:in:AAAAAAAAAAAA1`;
  await admin.set(bytes, 'x', 'PX', 60_000);
  // Of another thread.
  await admin.set(`other-${prefix}{fp:0}:1:in:AAAAAAAAAAAA1`, 'x', 'PX', 1_000);
  await backend.close();
  await expect.poll(() => leftOnShared('file')).toEqual([`unused bytes ${bytes}`]);
  await admin.del(bytes);
  admin.disconnect();
  expect(await leftOnShared('file')).toEqual([]);
});
