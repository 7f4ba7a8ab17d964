/** Names and members of keys on a server. */
import { present } from '../../../../model/core/present.js';
import { compareBytes } from '../../../../model/ids.js';
import { primariesOf, type Client } from '../../../valkey/connection/clients.js';

/** Names of all keys with a prefix, on every primary. */
export async function keysUnder(client: Client, start: string): Promise<string[]> {
  const pattern = `${start.replace(/[[\]?*\\]/g, (c) => `\\${c}`)}*`;
  const keys = new Set<string>();
  for (const node of primariesOf(client)) {
    let cursor = '0';
    do {
      const [next, page] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
      for (const key of page) keys.add(key);
      cursor = next;
    } while (cursor !== '0');
  }
  return [...keys].sort(compareBytes);
}

/** The members of a sorted set with their scores, in order. */
export async function scoredMembers(client: Client, key: string): Promise<[string, number][]> {
  const flat = await client.zrange(key, 0, -1, 'WITHSCORES');
  const pairs: [string, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([present(flat[i]), Number(flat[i + 1])]);
  return pairs;
}

/** The fields of a hash; empty without the key. */
export const hashOf = async (client: Client, key: string): Promise<Map<string, string>> =>
  new Map(Object.entries(await client.hgetall(key)));

/** The items that only one of two lists has. */
export function difference(a: readonly string[], b: readonly string[]): string[] {
  return [...a.filter((item) => !b.includes(item)), ...b.filter((item) => !a.includes(item))];
}
