/** Tables that the Lua reads at run time, as text. */
import { snakeCase } from '../model/core/kinds.js';
import { CANCELLATION_POLICIES } from '../model/flow/facts.js';
import { EXPIRE_REASONS } from '../model/execution/events.js';
import { BLOCKS, SITUATION_NAMES, SITUATIONS } from '../model/execution/situation.js';
import { isShelved } from '../model/listing/shelves.js';
import type { EntityKind } from '../model/state.js';
import { CLOSED_REASONS } from '../model/stream/facts.js';
import { STEP_KINDS } from '../model/step/facts.js';
import {
  SIGNAL_EFFECTS,
  SIGNAL_SCOPES,
  SUSPEND_REASONS,
  SUSPEND_REQUESTERS,
  TIMEOUT_BEHAVIORS,
} from '../model/suspension/facts.js';
import { KEYS, QUOTA_SUFFIXES, SUFFIXES, type RecordLayout } from './layout.js';
import { SHAPES } from './parameters.js';
import { SIGNATURES } from './signatures.js';
import { OPERATION_NAMES } from '../model/machine.js';
import { RECORD_KINDS } from './literals.js';

/** Suffixes of the keys beside the records of a kind. */
const BESIDE: { readonly [Kind in EntityKind]?: Readonly<Record<string, string>> } = { quota_policy: QUOTA_SUFFIXES };

/** What is removed with a record of a kind: its prefix, the suffixes beside it, and the list that contains it. */
function recordLookUp(kind: EntityKind, { key, list }: RecordLayout): string {
  const suffixes = [SUFFIXES.details, ...Object.values(BESIDE[kind] ?? {})].map((suffix) => JSON.stringify(suffix));
  const leaving =
    list && `list = ${JSON.stringify(KEYS[list.key])}, leave = "${list.type === 'hash' ? 'HDEL' : 'ZREM'}"`;
  return `{ key = ${JSON.stringify(key)}, beside = { ${suffixes.join(', ')} }, ${leaving ?? 'list = false'} }`;
}

const luaTable = (entries: Iterable<readonly [string, string]>): string =>
  `{ ${Array.from(entries, ([key, value]) => `[${JSON.stringify(key)}] = ${value}`).join(', ')} }`;

/** A Lua table from the words of a choice to their stored letters; the first word is stored as the empty text. */
const stored = (letters: Readonly<Record<string, string>>): string =>
  luaTable(Object.entries(letters).map(([word, letter], i) => [word, JSON.stringify(i === 0 ? '' : letter)]));

const words = (letters: Readonly<Record<string, string>>): string =>
  luaTable(Object.entries(letters).map(([word, letter], i) => [i === 0 ? '' : letter, JSON.stringify(word)]));

/** Tables that the Lua reads at run time. */
export function lookUps(): string[] {
  const situations = Object.values(SITUATIONS);
  const terminal = situations.filter(({ outcome }) => outcome !== 'none');
  const shapes = OPERATION_NAMES.map((name) => {
    const { sharedCount, eachCount } = SHAPES[name];
    return [SIGNATURES[name], `{ ${sharedCount}, ${eachCount ?? 'false'}, "${snakeCase(name)}" }`] as const;
  });
  return [
    `local SHELVED = ${luaTable(SITUATION_NAMES.filter(isShelved).map((name) => [SITUATIONS[name].letter, 'true']))}`,
    `local PHASE = ${luaTable(situations.map(({ letter, phase }) => [letter, JSON.stringify(phase)]))}`,
    `local PUBLIC_STATE = ${luaTable(situations.map(({ letter, publicState }) => [letter, JSON.stringify(publicState)]))}`,
    `local TERMINAL_OUTCOME = ${luaTable(terminal.map(({ letter, outcome }) => [letter, JSON.stringify(outcome)]))}`,
    `local BLOCK = ${luaTable(Object.entries(BLOCKS).map(([reason, situation]) => [reason, JSON.stringify(SITUATIONS[situation].letter)]))}`,
    `local EXPIRE_REASON = ${luaTable(Object.entries(EXPIRE_REASONS).map(([word, letter]) => [word, JSON.stringify(letter)]))}`,
    `local CANCELLATION_WORD = ${luaTable(Object.entries(CANCELLATION_POLICIES).map(([word, letter], i) => [i === 0 ? '' : letter, JSON.stringify(word)]))}`,
    `local WORDS = { ${Object.entries({
      reason: stored(SUSPEND_REASONS),
      requester: stored(SUSPEND_REQUESTERS),
      behavior: stored(TIMEOUT_BEHAVIORS),
      behavior_word: words(TIMEOUT_BEHAVIORS),
      scope: stored(SIGNAL_SCOPES),
      effect: stored(SIGNAL_EFFECTS),
      effect_word: words(SIGNAL_EFFECTS),
      step_kind: stored(STEP_KINDS),
      step_kind_word: words(STEP_KINDS),
    })
      .map(([name, table]) => `${name} = ${table}`)
      .join(', ')} }`,
    `local CLOSED_WORD = ${luaTable(Object.entries(CLOSED_REASONS).map(([word, letter]) => [letter, JSON.stringify(word)]))}`,
    `local SHAPE = ${luaTable(shapes)}`,
    `local RECORD_OF = ${luaTable(RECORD_KINDS.map(([kind, layout]) => [kind, recordLookUp(kind, layout)]))}`,
    `local SIGNATURE = ${luaTable(OPERATION_NAMES.map((name) => [snakeCase(name), JSON.stringify(SIGNATURES[name])]))}`,
  ];
}
