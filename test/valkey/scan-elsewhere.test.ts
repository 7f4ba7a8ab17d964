/** A list that is read in pages is whole although another process of the server answers the next page. */
import { Valkey } from 'iovalkey';
import { expect, test } from 'vitest';
import { KEYS } from '../../lua/layout.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
/** More than a hash keeps in one piece, which is listed whole. */
const ENTRIES = 700;

test('the quarantine is listed whole although the server fails over between two pages', async () => {
  const names = Array.from({ length: ENTRIES }, (_, i) => `budget:${i}`);
  const servers = await Promise.all([startValkey(), startValkey()]);
  try {
    const opened = servers.map(async ({ url, host, port }) => {
      const backend = await valkey({ url, partitions: { count: 1 } });
      const admin = new Valkey(port, host);
      await admin.hset(`ff:${PARTITION}:${KEYS.quarantine}`, Object.fromEntries(names.map((name) => [name, '1\tr'])));
      admin.disconnect();
      return backend;
    });
    const [before, after] = (await Promise.all(opened)) as [Awaited<(typeof opened)[0]>, Awaited<(typeof opened)[0]>];
    let page = await before.listQuarantined({ partition: PARTITION, limit: 300 });
    expect(page.nextCursor).toBeDefined();
    const found = new Set(page.entries.map(({ name }) => name));
    while (page.nextCursor !== undefined) {
      page = await after.listQuarantined({ partition: PARTITION, limit: 300, cursor: page.nextCursor });
      for (const { name } of page.entries) found.add(name);
    }
    expect(found).toEqual(new Set(names));
    await Promise.all([before.close(), after.close()]);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
});
