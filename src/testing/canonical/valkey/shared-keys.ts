/** Reads the keys of a partition that do not belong to one entity: header, log, timers, queues and other indexes. */
import { HEADER_FIELDS, KEYS, TIMER_KINDS } from '../../../../lua/layout.js';
import { present } from '../../../../model/core/present.js';
import { compareBytes } from '../../../../model/ids.js';
import type { Notices } from '../../../../model/partition/notices.js';
import { uuidOf } from '../../../../model/short-id.js';
import type { Client } from '../../../valkey/connection/clients.js';
import { admissionsOf, readersOf } from '../../../valkey/records/record.js';
import { decodeTally } from '../../../valkey/records/tally.js';
import { hashOf, scoredMembers } from './scan.js';
import type { StoredPartition } from './stored.js';

/** Reads a key into the partition. `rest` is its name without the part that tells what it is. */
type ReadKey = (stored: StoredPartition, key: string, rest: string) => Promise<void>;

const IGNORED: ReadKey = async () => {};

/** By whole name. */
const SINGLE: Readonly<Record<string, ReadKey>> = {
  [KEYS.log]: async (stored, key) => {
    stored.logEnd = await lastEntry(stored.client, key);
  },
  [KEYS.header]: async (stored, key) => readHeader(stored, await stored.client.hgetall(key)),
  [KEYS.timers]: async (stored, key) => {
    stored.timers = await timersAt(stored, key);
  },
  [KEYS.suspended]: async (stored, key) => {
    stored.suspended = await queued(stored, key);
  },
  [KEYS.retention]: async (stored, key) => {
    stored.retention = await membersOf(stored, key);
  },
  [KEYS.ids]: async (stored, key) => {
    stored.leafNames = await membersOf(stored, key);
  },
  [KEYS.tagged]: IGNORED,
  [KEYS.workers]: async (stored, key) => {
    stored.workerIds = await membersOf(stored, key);
  },
  [KEYS.kids]: async (stored, key) => {
    stored.kids = await stored.client.hgetall(key);
  },
  [KEYS.flows]: async (stored, key) => {
    stored.flowIndexes.flows = await membersOf(stored, key);
  },
  [KEYS.lanes]: async (stored, key) => {
    stored.lanes = await membersOf(stored, key);
  },
  [KEYS.admissions]: async (stored, key) => {
    stored.admissions = admissionsOf(await hashOf(stored.client, key));
  },
  [KEYS.readers]: async (stored, key) => {
    stored.readers = readersOf(await hashOf(stored.client, key));
  },
  [KEYS.budgets]: async (stored, key) => {
    stored.budgetIds = await membersOf(stored, key);
  },
};

/** By the start of the name. */
const SEVERAL: readonly (readonly [start: string, read: ReadKey])[] = [
  [KEYS.watch, IGNORED],
  [
    KEYS.members,
    async ({ client, flowIndexes }, key, flow) => {
      flowIndexes.members.set(flow, await scoredMembers(client, key));
    },
  ],
  [
    KEYS.edges,
    async ({ client, flowIndexes }, key, flow) => {
      flowIndexes.edges.set(flow, await client.hgetall(key));
    },
  ],
  [
    KEYS.shelf,
    async (stored, key, shelf) => {
      stored.shelfLeaves.push(...(await membersOf(stored, key)).map((leaf) => `${leaf}:${shelf}`));
    },
  ],
  [
    KEYS.shelved,
    async ({ client, shelved }, key, place) => {
      shelved.set(place, (await client.lrange(key, 0, -1)).sort(compareBytes));
    },
  ],
  [
    KEYS.counts,
    async ({ client, tallies }, key, lane) => {
      tallies.set(lane, decodeTally(lane, await hashOf(client, key)));
    },
  ],
  [
    KEYS.leaf,
    async ({ client, leaves }, key, leaf) => {
      leaves.set(leaf, (await client.lrange(key, 0, -1)).sort(compareBytes));
    },
  ],
  [
    KEYS.queue,
    async (stored, key, queue) => {
      stored.queues.push([queue, await queued(stored, key)]);
    },
  ],
  [
    KEYS.queues,
    async ({ client, listedQueues }, key, lane) => {
      listedQueues.push(...(await client.smembers(key)).map((queue) => `${lane}\t${queue}`));
    },
  ],
  [
    KEYS.metered,
    async (stored, key, lane) => {
      for (const place of await membersOf(stored, key)) {
        const [meters, needs, kind] = place.split('\t');
        stored.listedQueues.push(`${lane}\t${needs}\t${meters}\t${kind}`);
      }
    },
  ],
  [
    KEYS.slot,
    async (stored, key, at) => {
      const members = (await stored.client.lrange(key, 0, -1)).map((id) => stored.idOf(id));
      stored.slots.push([at, members.sort(compareBytes)]);
    },
  ],
  [
    KEYS.idempotency,
    async (stored, key, name) => {
      const [expiresAt, member = ''] = ((await stored.client.get(key)) ?? '').split('\t');
      stored.keys.push({ name, executionId: stored.idOf(member), expiresAt: Number(expiresAt) });
    },
  ],
  [
    KEYS.usage,
    async ({ client, usageKeys }, key, name) => {
      usageKeys.push({ name, expiresAt: Number(await client.get(key)) });
    },
  ],
];

/** Reads a key by its name in the partition; undefined if it belongs to an entity. */
export function readSharedKey(stored: StoredPartition, key: string, name: string): Promise<void> | undefined {
  const single = SINGLE[name];
  if (single !== undefined) return single(stored, key, '');
  const several = SEVERAL.find(([start]) => name.startsWith(start));
  return several?.[1](stored, key, name.slice(several[0].length));
}

const membersOf = ({ client }: StoredPartition, key: string): Promise<string[]> => client.zrange(key, 0, -1);

async function queued(stored: StoredPartition, key: string): Promise<[string, number][]> {
  const pairs = await scoredMembers(stored.client, key);
  return pairs.map(([member, score]) => [stored.idOf(member), score]);
}

async function timersAt(stored: StoredPartition, key: string): Promise<[string, number][]> {
  const pairs = await scoredMembers(stored.client, key);
  const executions = present(TIMER_KINDS['execution']);
  const flows = present(TIMER_KINDS['flow']);
  return pairs.map(([member, score]) => {
    if (member.startsWith(executions)) return [executions + stored.idOf(member.slice(executions.length)), score];
    if (member.startsWith(flows)) return [flows + uuidOf(member.slice(flows.length)), score];
    return [member, score];
  });
}

function readHeader(stored: StoredPartition, fields: Readonly<Record<string, string>>): void {
  const [generation = '', newest = '', marks = '', ...lasting] = (fields[HEADER_FIELDS.position] ?? '').split('\t');
  const [sequence, time] = newest.split('-');
  const applier = fields[HEADER_FIELDS.applier]?.split('\t');
  const floor = lasting.find((text) => text.startsWith('f'));
  stored.statedLanes = Number(/^l(\d+)/.exec(lasting.join('\t'))?.[1] ?? 0);
  stored.floor = floor === undefined ? undefined : Number(floor.slice(1));
  stored.header = {
    generation,
    sequence: Number(sequence ?? 0),
    time: Number(time ?? 0),
    applier: applier === undefined ? undefined : { owner: present(applier[0]), until: Number(applier[1]) },
    notices: noticesOf(marks),
  };
}

function noticesOf(marks: string): Notices {
  const [, watched, endsUntil, streamsUntil] = /^(w?)(\d*)s?(\d*)$/.exec(marks) ?? [];
  const until = (text: string | undefined): number | undefined => (text ? Number(text) : undefined);
  return { appends: watched === 'w', endsUntil: until(endsUntil), streamsUntil: until(streamsUntil) };
}

async function lastEntry(client: Client, key: string): Promise<[number, number]> {
  const info = (await client.xinfo('STREAM', key)) as unknown[];
  const [sequence, time] = String(info[info.indexOf('last-generated-id') + 1]).split('-');
  return [Number(sequence), Number(time)];
}
