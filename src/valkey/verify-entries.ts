/**
 * Compares indexes whose entries follow from one record each: lists of budgets, workers, flows and signing keys, and the timers
 * of all kinds but executions. What an entry must be follows from the declarations of the kinds; an entry is set only while its
 * record is what was read, so work can go on.
 */
import { KEYS, QUOTA_SUFFIXES, RECORDS, STREAM_SUFFIXES, SUFFIXES } from '../../lua/layout.js';
import { EngineError } from '../../model/errors.js';
import { timerMember } from '../../model/schedule/timers.js';
import { entityNamed, type EntityKind } from '../../model/state.js';
import { pairsOf } from './fetch.js';
import { decodeEntity } from './record.js';
import { textOf, type WireReply } from './reply.js';
import type { VerifyLink } from './verify.js';

/** A list of a kind: its key, and what it says of an entity; its score is 0 otherwise. */
interface List {
  readonly index: string;
  readonly type: 'zset' | 'hash';
  readonly valueOf: (entity: never) => string;
}

/** Kinds that one record tells all of. */
const KINDS: readonly EntityKind[] = [
  ...(['budget', 'worker', 'flow', 'signing_key', 'reservation'] as const),
  ...(['ledger', 'bill', 'walk'] as const),
];

/** What is said of a signing key in its list: until when it verifies. Other lists are in order, and say nothing else. */
const verifiesUntil = ({ expiresAt }: { expiresAt?: number }): string => String(expiresAt ?? '');

/** The list that a kind stands in. */
function listOf(kind: EntityKind): List | undefined {
  const list = RECORDS[kind]?.list;
  return list && { index: KEYS[list.key], type: list.type, valueOf: list.type === 'hash' ? verifiesUntil : () => '0' };
}

/** Records, or entries, of one step. */
const AT_ONCE = 40;
const ENTRIES_AT_ONCE = 200;

/** Behind the name of a record: what else is stored of it. */
const BESIDE = [SUFFIXES.details, ...Object.values(QUOTA_SUFFIXES), ...Object.values(STREAM_SUFFIXES)];

/** Stands for no value. */
const NONE = '-';

/** An entry that must be there, and the record that says so. */
interface Due {
  readonly value: string;
  readonly id: string;
  /** The fields of the record as they were read. */
  readonly fields: readonly string[];
}

type Find = (index: string, count: number) => void;

/** Mends these indexes. `names`: those of all keys that may be records. Answers what was set aside, as `<kind>:<id>`. */
export async function mendEntries(link: VerifyLink, names: readonly string[], find: Find): Promise<string[]> {
  const setAside: string[] = [];
  const timers = new Map<string, Due>();
  for (const kind of KINDS) {
    const list = listOf(kind);
    const { key, fields } = RECORDS[kind] as NonNullable<(typeof RECORDS)[EntityKind]>;
    const ids = recordsOf(names, key);
    const entries = new Map<string, Due>();
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const some = ids.slice(at, at + AT_ONCE);
      const rows = (await link.step('stored', key, Object.values(fields).join(','), ...some)) as WireReply[];
      for (const [i, id] of some.entries()) {
        const due = await dueOf(link, kind, id, rows[i] ?? null, list, setAside);
        if (due === undefined) continue;
        entries.set(id, due);
        timers.set(timerMember(kind, id), { ...due, value: due.timer });
      }
    }
    if (list !== undefined) await mendList(link, { ...list, kind }, entries, find);
  }
  await mendTimers(link, timers, find);
  for (const id of recordsOf(names, RECORDS.quota_policy?.key ?? ''))
    find(KEYS.timers, Number(textOf(await link.step('quota', id))));
  return setAside;
}

function recordsOf(names: readonly string[], start: string): readonly string[] {
  const found = new Set(names.filter((name) => name.startsWith(start)));
  const isBeside = (name: string): boolean =>
    BESIDE.some((suffix) => name.endsWith(suffix) && found.has(name.slice(0, -suffix.length)));
  return [...found].filter((name) => !isBeside(name)).map((name) => name.slice(start.length));
}

/** What a record asks for. What cannot be read is set aside. */
async function dueOf(
  link: VerifyLink,
  kind: EntityKind,
  id: string,
  row: WireReply,
  list: List | undefined,
  setAside: string[],
): Promise<(Due & { readonly timer: string }) | undefined> {
  const { fields: names } = RECORDS[kind] as NonNullable<(typeof RECORDS)[EntityKind]>;
  const parts = row as unknown as [WireReply[], WireReply] | null;
  const fields = parts === null ? [] : parts[0].map((text) => (text === null ? '' : textOf(text)));
  try {
    if (parts === null) throw new EngineError('corruption', 'the record is of another type');
    const stored = Object.values(names).flatMap((name, i) => {
      const text = parts[0][i] ?? null;
      return text === null ? [] : ([[name, textOf(text)]] as const);
    });
    const entity = decodeEntity(kind, id, { core: new Map(stored), details: pairsOf(parts[1]) });
    // It went away since the keys were listed.
    if (entity === undefined) return undefined;
    const timer = entityNamed(kind).timerOf?.(entity as never);
    return {
      ...{ id, fields, value: list === undefined ? NONE : list.valueOf(entity as never) },
      timer: timer === undefined ? NONE : String(timer),
    };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'corruption') throw error;
    const name = timerMember(kind, id);
    await link.step('aside', name, error.message);
    setAside.push(name);
    return undefined;
  }
}

/** Members and values of an index, a few at a time. */
async function* listed(link: VerifyLink, index: string, type: string): AsyncGenerator<readonly [string, string]> {
  let cursor = '0';
  do {
    const answer = (await link.step('listed', index, type, cursor, String(ENTRIES_AT_ONCE))) as [WireReply, WireReply];
    yield* pairsOf(answer[1]);
    cursor = textOf(answer[0]);
  } while (cursor !== '0');
}

/** What is looked at of a record, as arguments of a step: its key, the names of its fields, what was read. */
function recordArgs(kind: EntityKind, id: string, fields?: readonly string[]): readonly string[] {
  const layout = RECORDS[kind] as NonNullable<(typeof RECORDS)[EntityKind]>;
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
  // One whose record is there but cannot be read is left alone: `entry` compares with a record that is not there.
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
