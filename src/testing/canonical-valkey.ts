/**
 * Reads the canonical state of a partition back from a server, key by key. It looks at every key of the partition,
 * so a key that nothing accounts for is found too. Slow; for tests and inspection only.
 */
import type { ReadonlyExecution } from '../../model/execution/execution.js';
import { compareBytes } from '../../model/ids.js';
import { CORE_FIELDS, EXECUTION_KEYS, PARTITION_KEYS, SLOT_TIMER, STAGED_SEPARATOR } from '../../lua/layout.js';
import { primariesOf, type Client } from '../valkey/connection/clients.js';
import { decodeExecution } from '../valkey/reads.js';
import { base64Of, sortedRecord, type CanonicalState } from './canonical.js';

const UUID_LENGTH = 36;

/** What follows the UUID in the key of bytes that are staged beside a call. */
const STAGED = new RegExp(`^(?:${EXECUTION_KEYS.payload}|${EXECUTION_KEYS.result})${STAGED_SEPARATOR}.`);

const scoredPairs = (flat: readonly string[]): [string, number][] => {
  const pairs: [string, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] as string, Number(flat[i + 1])]);
  return pairs;
};

/** Names of every key that begins with a text, on every primary. */
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

export async function canonicalOfValkey(
  client: Client,
  prefix: string,
  partition: string,
  now: number,
): Promise<CanonicalState> {
  const start = `${prefix}${partition}:`;
  const executions: ReadonlyExecution[] = [];
  const queues: [string, [string, number][]][] = [];
  const slots: [string, string[]][] = [];
  const idempotency: [string, readonly [string, number]][] = [];
  const payloads: [string, Uint8Array][] = [];
  const results: [string, Uint8Array][] = [];
  const requirementSets: string[] = [];
  const strays: string[] = [];
  let timers: [string, number][] = [];
  let ids: string[] = [];
  let lanes: string[] = [];
  let logEnd = 0;

  const withId = ([member, score]: [string, number]): [string, number] => [
    member.startsWith(SLOT_TIMER) ? member : `${partition}:${member}`,
    score,
  ];
  const scoredIds = async (key: string): Promise<[string, number][]> =>
    scoredPairs(await client.zrange(key, 0, -1, 'WITHSCORES')).map(withId);
  const idsOf = (uuids: readonly string[]): string[] => uuids.map((uuid) => `${partition}:${uuid}`);

  // All at once: the client sends the reads of one turn together.
  const read = async (key: string): Promise<void> => {
    const name = key.slice(start.length);
    if (name === PARTITION_KEYS.log) logEnd = await lastSequence(client, key);
    else if (name === PARTITION_KEYS.timers) timers = await scoredIds(key);
    else if (name === PARTITION_KEYS.ids) ids = idsOf(await client.zrange(key, 0, -1));
    else if (name === PARTITION_KEYS.lanes) lanes = (await client.smembers(key)).sort(compareBytes);
    else if (name.startsWith(PARTITION_KEYS.queue))
      queues.push([name.slice(PARTITION_KEYS.queue.length), await scoredIds(key)]);
    else if (name.startsWith(PARTITION_KEYS.requirementSets)) {
      const lane = name.slice(PARTITION_KEYS.requirementSets.length);
      requirementSets.push(...(await client.smembers(key)).map((set) => `${lane}:${set}`));
    } else if (name.startsWith(PARTITION_KEYS.slot))
      slots.push([name.slice(PARTITION_KEYS.slot.length), idsOf(await client.lrange(key, 0, -1)).sort(compareBytes)]);
    else if (name.startsWith(PARTITION_KEYS.idempotency)) {
      const [expiresAt, executionId] = ((await client.get(key)) ?? '').split(' ');
      if (Number(expiresAt) > now)
        idempotency.push([name.slice(PARTITION_KEYS.idempotency.length), [executionId ?? '', Number(expiresAt)]]);
    } else {
      const executionId = `${partition}:${name.slice(0, UUID_LENGTH)}`;
      const suffix = name.slice(UUID_LENGTH);
      if (suffix === '') {
        const [core, details] = await Promise.all([client.hgetall(key), client.hgetall(key + EXECUTION_KEYS.details)]);
        const execution = decodeExecution(executionId, new Map(Object.entries(core)), new Map(Object.entries(details)));
        if (execution !== undefined) executions.push(execution);
        const [payload, result] = await client.hmgetBuffer(key, CORE_FIELDS.payload, CORE_FIELDS.result);
        if (payload?.length) payloads.push([executionId, payload]);
        if (result) results.push([executionId, result]);
        return;
      }
      // Of all that belongs to an execution, only bytes that no call took over go away by themselves.
      if (STAGED.test(suffix) === (await client.pttl(key)) < 0) strays.push(key);
      else if (suffix === EXECUTION_KEYS.payload) payloads.push([executionId, (await client.getBuffer(key)) as Buffer]);
      else if (suffix === EXECUTION_KEYS.result) results.push([executionId, (await client.getBuffer(key)) as Buffer]);
      else if (suffix === EXECUTION_KEYS.details && (await client.exists(key.slice(0, -suffix.length))) === 0)
        strays.push(key);
      else if (suffix !== EXECUTION_KEYS.details && !STAGED.test(suffix)) strays.push(key);
    }
  };
  await Promise.all((await keysUnder(client, start)).map(read));
  executions.sort((a, b) => compareBytes(a.executionId, b.executionId));

  const known = new Set(executions.map(({ executionId }) => executionId));
  strays.push(...[...payloads, ...results].map(([id]) => id).filter((id) => !known.has(id)));
  // The set of requirement sets and the timers of slots repeat what queues and slots say: they must say the same.
  const withRequirements = queues.map(([queue]) => queue).filter((queue) => !queue.endsWith(':'));
  strays.push(...difference(requirementSets, withRequirements).map((set) => `requirement set ${set}`));
  const slotTimers = timers.filter(([member]) => member.startsWith(SLOT_TIMER));
  strays.push(
    ...difference(
      slotTimers.map(([member, at]) => `${member}@${at}`),
      slots.map(([at]) => `${SLOT_TIMER}${at}@${at}`),
    ).map((slot) => `timer ${slot}`),
  );

  return {
    executions,
    queues: sortedRecord(queues),
    timers: timers.filter(([member]) => !member.startsWith(SLOT_TIMER)),
    slots: sortedRecord(slots),
    ids,
    lanes,
    idempotency: sortedRecord(idempotency),
    payloads: base64Of(payloads),
    results: base64Of(results),
    logEnd,
    strays,
  };
}

function difference(a: readonly string[], b: readonly string[]): string[] {
  return [...a.filter((item) => !b.includes(item)), ...b.filter((item) => !a.includes(item))];
}

async function lastSequence(client: Client, key: string): Promise<number> {
  const info = (await client.xinfo('STREAM', key)) as unknown[];
  return Number(String(info[info.indexOf('last-generated-id') + 1]).split('-')[1]);
}
