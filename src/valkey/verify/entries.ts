/**
 * Repairs indexes whose entries follow from one record each: lists of budgets, workers, flows and signing keys, and the
 * timers of all kinds except executions. The declarations of the kinds define the expected entries. An entry is only
 * set while its record is unchanged since it was read, so other work can continue.
 */
import { KEYS, QUOTA_SUFFIXES, RECORDS, STREAM_SUFFIXES, SUFFIXES } from '../../../lua/layout.js';
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { timerMember } from '../../../model/schedule/timers.js';
import { entityNamed, type EntityKind } from '../../../model/state.js';
import { decodeEntity } from '../records/record.js';
import { listOf, numberOf, pairsOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';
import type { VerifyLink } from './verify.js';

/** A list of a kind: its key and type, and the value of an entity in it. */
interface List {
  readonly index: string;
  readonly type: 'zset' | 'hash';
  readonly valueOf: (entity: never) => string;
}

/** Kinds whose entries follow from one record. */
const KINDS: readonly EntityKind[] = [
  ...(['budget', 'worker', 'flow', 'signing_key', 'reservation'] as const),
  ...(['ledger', 'bill', 'walk'] as const),
];

/** The value of a signing key in its list: the end of its validity. Entries of other lists have no value. */
const verifiesUntil = ({ expiresAt }: { expiresAt?: number }): string => String(expiresAt ?? '');

/** The list of a kind, if it has one. */
function listOfKind(kind: EntityKind): List | undefined {
  const list = RECORDS[kind]?.list;
  return list && { index: KEYS[list.key], type: list.type, valueOf: list.type === 'hash' ? verifiesUntil : () => '0' };
}

/** Records, or entries, per step. */
const AT_ONCE = 40;
const ENTRIES_AT_ONCE = 200;

/** Suffixes of further keys of a record. */
const BESIDE = [SUFFIXES.details, ...Object.values(QUOTA_SUFFIXES), ...Object.values(STREAM_SUFFIXES)];

/** Means no value. */
const NONE = '-';

/** An expected entry, and its record. */
interface Due {
  readonly value: string;
  readonly id: string;
  /** The fields of the record when it was read. */
  readonly fields: readonly string[];
}

type Find = (index: string, count: number) => void;

/** Repairs these indexes. `names` are all keys that may be records. */
export async function mendEntries(link: VerifyLink, names: readonly string[], find: Find): Promise<void> {
  const timers = new Map<string, Due>();
  for (const kind of KINDS) {
    const list = listOfKind(kind);
    const { key, fields } = present(RECORDS[kind]);
    const ids = recordsOf(names, key);
    const entries = new Map<string, Due>();
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const some = ids.slice(at, at + AT_ONCE);
      const rows = listOf(await link.step('stored', key, Object.values(fields).join(','), ...some));
      for (const [i, id] of some.entries()) {
        const due = await dueOf(link, kind, id, rows[i] ?? null, list);
        if (due === undefined) continue;
        entries.set(id, due);
        timers.set(timerMember(kind, id), { ...due, value: due.timer });
      }
    }
    if (list !== undefined) await mendList(link, { ...list, kind }, entries, find);
  }
  await mendTimers(link, timers, find);
  for (const id of recordsOf(names, RECORDS.quota_policy?.key ?? ''))
    find(KEYS.timers, numberOf(await link.step('quota', id)));
}

function recordsOf(names: readonly string[], start: string): readonly string[] {
  const found = new Set(names.filter((name) => name.startsWith(start)));
  const isBeside = (name: string): boolean =>
    BESIDE.some((suffix) => name.endsWith(suffix) && found.has(name.slice(0, -suffix.length)));
  return [...found].filter((name) => !isBeside(name)).map((name) => name.slice(start.length));
}

/** The expected entries of a record. Sets an unreadable record aside. */
async function dueOf(
  link: VerifyLink,
  kind: EntityKind,
  id: string,
  row: WireReply,
  list: List | undefined,
): Promise<(Due & { readonly timer: string }) | undefined> {
  const { fields: names } = present(RECORDS[kind]);
  const [stored, details] = row === null ? [[], null] : repliesOf(row, 2);
  const texts = listOf(stored);
  const fields = texts.map((text) => (text === null ? '' : textOf(text)));
  try {
    if (row === null) throw new EngineError('corruption', 'the record has the wrong type');
    const core = Object.values(names).flatMap((name, i) => {
      const text = texts[i] ?? null;
      return text === null ? [] : ([[name, textOf(text)]] as const);
    });
    const entity = decodeEntity(kind, id, { core: new Map(core), details: pairsOf(details) });
    // The record was removed after the keys were listed.
    if (entity === undefined) return undefined;
    const timer = entityNamed(kind).timerOf?.(entity as never);
    return {
      ...{ id, fields, value: list === undefined ? NONE : list.valueOf(entity as never) },
      timer: timer === undefined ? NONE : String(timer),
    };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'corruption') throw error;
    await link.step('aside', timerMember(kind, id), error.message);
    return undefined;
  }
}

/** Members and values of an index, read page by page. */
async function* listed(link: VerifyLink, index: string, type: string): AsyncGenerator<readonly [string, string]> {
  let cursor = '0';
  do {
    const [next, entries] = repliesOf(await link.step('listed', index, type, cursor, String(ENTRIES_AT_ONCE)), 2);
    yield* pairsOf(entries);
    cursor = textOf(next);
  } while (cursor !== '0');
}

/** Arguments of a step for a record: its key, the names of its fields, and their values when it was read. */
function recordArgs(kind: EntityKind, id: string, fields?: readonly string[]): readonly string[] {
  const layout = present(RECORDS[kind]);
  const names = Object.values(layout.fields);
  return [layout.key + id, names.join(','), ...(fields ?? names.map(() => ''))];
}

async function mendList(
  link: VerifyLink,
  { index, type, kind }: List & { readonly kind: EntityKind },
  due: ReadonlyMap<string, Due>,
  find: Find,
): Promise<void> {
  const set = async (id: string, value: string, fields?: readonly string[]): Promise<void> =>
    find(index, Number(textOf(await link.step('entry', index, type, id, value, ...recordArgs(kind, id, fields)))));
  const there = new Map<string, string>();
  for await (const [id, value] of listed(link, index, type)) there.set(id, value);
  // This expects an absent record, so entries of unreadable records are not changed.
  for (const id of there.keys()) if (!due.has(id)) await set(id, NONE);
  for (const [id, { value, fields }] of due) if (there.get(id) !== value) await set(id, value, fields);
}

async function mendTimers(link: VerifyLink, due: ReadonlyMap<string, Due>, find: Find): Promise<void> {
  const set = async (member: string, value: string, fields?: readonly string[]): Promise<void> => {
    const at = member.indexOf(':');
    const [kind, id] = [member.slice(0, at) as EntityKind, member.slice(at + 1)];
    const record = recordArgs(kind, id, fields);
    find(KEYS.timers, Number(textOf(await link.step('entry', KEYS.timers, 'zset', member, value, ...record))));
  };
  const there = new Map<string, string>();
  const kinds = new Set<string>([...KINDS, 'quota_policy']);
  for await (const [member, at] of listed(link, KEYS.timers, 'zset'))
    if (kinds.has(member.slice(0, member.indexOf(':')))) there.set(member, at);
  for (const member of there.keys()) if (!due.has(member)) await set(member, NONE);
  for (const [member, { value, fields }] of due)
    if ((there.get(member) ?? NONE) !== value) await set(member, value, fields);
}
