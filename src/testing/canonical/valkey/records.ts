/** Reads the records of kinds other than executions, and the keys beside them: the sets of quotas, frames of streams. */
import { QUOTA_SUFFIXES, STREAM_SUFFIXES, SUFFIXES } from '../../../../lua/layout.js';
import { present } from '../../../../model/core/present.js';
import { isShortId, uuidOf } from '../../../../model/short-id.js';
import { entityNamed, type EntityKind } from '../../../../model/state.js';
import { FRAME_MODES, type Frame, type FrameMode, type StreamContents } from '../../../../model/stream/contents.js';
import type { Client } from '../../../valkey/connection/clients.js';
import { quotaSetsOf, type QuotaSets } from '../../../valkey/records/quotas.js';
import { RECORD_KINDS, type StoredRecord } from '../../../valkey/records/record.js';
import { countersOf, frameOf, rateOf } from '../../../valkey/reads/streams.js';
import { difference, hashOf, scoredMembers } from './scan.js';
import type { StoredPartition } from './stored.js';

/** Length of a short id. */
export const SHORT_LENGTH = 22;

/** Reads a key of such a kind; undefined if it belongs to no such kind. */
export function readEntityKey(stored: StoredPartition, key: string, name: string): Promise<void> | undefined {
  const declared = RECORD_KINDS.find(({ key: start }) => name.startsWith(start));
  return declared && readEntity(stored, key, name.slice(declared.key.length), declared);
}

async function readEntity(
  stored: StoredPartition,
  key: string,
  storedId: string,
  { kind, decode }: (typeof RECORD_KINDS)[number],
): Promise<void> {
  const { client } = stored;
  const id = idOfEntity(stored, kind, storedId);
  const suffix = besideSuffix(kind, id);
  if (suffix !== undefined) {
    await strayWithoutOwner(stored, key, suffix);
    return;
  }
  if (kind === 'stream') stored.streams.set(id, await streamContentsAt(client, key));
  const entity = decode(id, await storedRecordAt(client, key));
  const sets = kind === 'quota_policy' ? await quotaSetsAt(stored, key) : {};
  if (entity !== undefined) stored.add(kind, { ...entity, ...sets });
}

/** The id of an entity in the model: a stream is named after its execution. */
function idOfEntity(stored: StoredPartition, kind: EntityKind, storedId: string): string {
  if (entityNamed(kind).subject.shortId && isShortId(storedId)) return uuidOf(storedId);
  if (kind !== 'stream') return storedId;
  return stored.idOf(storedId.slice(0, SHORT_LENGTH)) + storedId.slice(SHORT_LENGTH);
}

/** The suffix of a key beside a record; undefined for the record itself. */
function besideSuffix(kind: EntityKind, id: string): string | undefined {
  const own: readonly string[] =
    kind === 'stream' ? Object.values(STREAM_SUFFIXES) : kind === 'quota_policy' ? Object.values(QUOTA_SUFFIXES) : [];
  return [...own, SUFFIXES.details].find((suffix) => id.endsWith(suffix));
}

/** Reports a key beside a record that does not exist. */
export async function strayWithoutOwner(
  { client, strays }: StoredPartition,
  key: string,
  suffix: string,
): Promise<void> {
  if ((await client.exists(key.slice(0, -suffix.length))) === 0) strays.push(key);
}

/** A record, with its details beside it. */
export async function storedRecordAt(client: Client, key: string): Promise<StoredRecord> {
  const [core, details] = await Promise.all([hashOf(client, key), hashOf(client, key + SUFFIXES.details)]);
  return { core, details };
}

async function quotaSetsAt({ client, strays }: StoredPartition, key: string): Promise<QuotaSets> {
  const [holders, checks, window, waiters] = await Promise.all([
    client.hgetall(key + QUOTA_SUFFIXES.slots),
    scoredMembers(client, key + QUOTA_SUFFIXES.checks),
    scoredMembers(client, key + QUOTA_SUFFIXES.window),
    client.hgetall(key + QUOTA_SUFFIXES.waiters),
  ]);
  const times = new Map(checks);
  strays.push(...difference(Object.keys(holders), [...times.keys()]).map((id) => `slot ${id}`));
  return quotaSetsOf(holders, times, window, waiters);
}

/** Frames and the summary of a stream, and the part of its record that is not facts. */
async function streamContentsAt(client: Client, key: string): Promise<StreamContents> {
  const [counters, rate] = await client.hmget(key, 'c', 'e');
  const frames = Object.fromEntries(
    await Promise.all(
      FRAME_MODES.map(async (mode) => [mode, await framesAt(client, key + STREAM_SUFFIXES[mode], mode)]),
    ),
  ) as StreamContents['frames'];
  return {
    counters: countersOf(counters ?? undefined),
    ...rateOf(rate ?? undefined),
    frames,
    document: (await client.get(key + STREAM_SUFFIXES.document)) ?? '',
  };
}

async function framesAt(client: Client, key: string, mode: FrameMode): Promise<Frame[]> {
  const entries = (await client.xrangeBuffer(key, '-', '+')) as unknown as [Buffer, Buffer[]][];
  return entries.map(([id, pairs]) => frameOf(id.toString(), mode, present(pairs[1]).toString(), present(pairs[3])));
}
