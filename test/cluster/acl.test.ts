/** The rights of `aclOf` on a cluster: everything works with them, and nothing beside it. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { partitionKeyOf } from '../../model/ids.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { useApp, useEverything } from '../valkey/acl-support.js';
import { partitionOn } from './support.js';

const NODES = 3;
let cluster: ValkeyCluster;
let admins: Valkey[];
beforeAll(async () => {
  cluster = await startCluster({ nodes: NODES });
  admins = cluster.nodes.map(({ url }) => new Valkey(url));
});
afterAll(async () => {
  for (const admin of admins) admin.disconnect();
  await cluster.stop();
});

const makeUser = (options: Parameters<typeof aclOf>[0]): Promise<unknown> => {
  const { user, rules } = aclOf(options);
  return Promise.all(admins.map((admin) => admin.call('ACL', 'SETUSER', user, '>secret', ...rules)));
};

const urlOf = (user: string): string => (cluster.nodes[1] as { url: string }).url.replace('//', `//${user}:secret@`);

test('a user with the rights of aclOf can run every operation without a refusal', async () => {
  await makeUser({ prefix: 'ff:', cluster: true, user: 'least' });
  await using backend = await valkey({ url: urlOf('least'), partitions: { count: 16 } });
  for (let node = 0; node < NODES; node++) await useEverything(backend, partitionKeyOf(partitionOn(cluster, node)));
  await useApp(backend);
  for (const admin of admins) expect(JSON.stringify(await admin.call('ACL', 'LOG'))).toBe('[]');
});

test('a user with the rights of aclOf cannot touch the cluster, the server or another prefix', async () => {
  await makeUser({ prefix: 'ff:', cluster: true, user: 'least' });
  const own = new Valkey(urlOf('least'));
  const denied = [
    ['FLUSHALL'],
    ['CONFIG', 'GET', '*'],
    ['CLUSTER', 'RESET'],
    ['CLUSTER', 'FAILOVER'],
    ['CLUSTER', 'FORGET', 'x'],
    ['CLUSTER', 'NODES'],
    ['FUNCTION', 'FLUSH'],
    ['GET', 'other:{fp:0}:x'],
    ['PUBLISH', 'other:timers', 'x'],
  ];
  for (const [command = '', ...args] of denied)
    await expect(own.call(command, args), `${command} ${args.join(' ')}`).rejects.toThrow('NOPERM');
  own.disconnect();
});

test('a right that only one node lacks is named with the node', async () => {
  await makeUser({ prefix: 'ff:', cluster: true, user: 'uneven' });
  await admins[2]?.call('ACL', 'SETUSER', 'uneven', '-xadd');
  const error: unknown = await valkey({ url: urlOf('uneven') }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'server_refused' });
  expect(String(error)).toContain('xadd');
  expect(String(error)).toContain(`:${cluster.nodes[2]?.port}`);
});

test.each(['cluster|slots', 'asking'])('%s is named when it is missing', async (command) => {
  await makeUser({ prefix: 'ff:', cluster: true, user: 'lacking' });
  await Promise.all(admins.map((admin) => admin.call('ACL', 'SETUSER', 'lacking', `-${command}`)));
  const error: unknown = await valkey({ url: urlOf('lacking'), callTimeoutMs: 1_000 }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'server_refused', retryable: false });
  expect(String(error)).toContain(command);
});
