/**
 * Makes the function library: a header, the literals that model/ owns, then every file of this folder. A test build
 * differs in one file, its clock; a production build cannot be told the time.
 */
import { createHash } from 'node:crypto';
import { ABSOLUTE_TIME_FROM } from '../model/execution/policy.js';
import { DEFAULTS, LIMITS, PRIORITY_STEP, RECLAIM_BAND, RETENTION_SLOT_MS } from '../model/limits.js';
import { MAX_RECLAIMS_EXCEEDED } from '../model/schedule/claim.js';
import {
  BYTES_HERE,
  CHANNELS,
  CORE_FIELDS,
  DETAIL_FIELDS,
  EXECUTION_KEYS,
  INLINE_BYTES,
  MAX_UNSETTLED,
  PARTITION_KEYS,
  SLOT_TIMER,
  STAGED_SEPARATOR,
} from './layout.js';
import { commandsIn } from './commands.js';
import { luaFiles } from './files.js';
import { link, type Literals } from './link.js';

/** Major version of what client and library say to each other. Two contracts can live on one server. */
export const CONTRACT = 1;
/** Raised with every release that changes the Lua; a server is never taken back to a lower build. */
export const BUILD = 1;

export type LibraryKind = 'production' | 'test';

export interface Library {
  /** Name of the library on the server. */
  readonly name: string;
  /** What the names of its functions start with. */
  readonly functionPrefix: string;
  readonly contract: number;
  readonly build: number;
  /** Hash of its contents. */
  readonly hash: string;
  /** What FUNCTION LOAD is given. */
  readonly source: string;
  /** The commands that it runs, lower case: whoever calls it needs the right to each. */
  readonly commands: readonly string[];
}

const CLOCKS: Record<LibraryKind, string> = { production: 'core/clock.lua', test: 'core/virtual-clock.lua' };

/** Files that others build on come first; `main.lua` comes last; the order of the rest does not matter. */
function inOrder(paths: readonly string[]): string[] {
  const rank = (path: string): number =>
    path === 'main.lua'
      ? 4
      : path.startsWith('core/')
        ? 0
        : path === 'execution/store.lua'
          ? 1
          : path.endsWith('/events.lua')
            ? 3
            : 2;
  return [...paths].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Fields are also looked up by the names of facts; the other literals are written out where they are used. */
const FIELD_TABLE = `local F = {\n${Object.entries(CORE_FIELDS)
  .map(([fact, field]) => `  ${fact} = ${JSON.stringify(field)},`)
  .join('\n')}\n}`;

/** What model/ and the layout say, by the names that the Lua has for it. */
function literalsOf(functionPrefix: string, hash: string): Literals {
  return {
    F: CORE_FIELDS,
    D: DETAIL_FIELDS,
    X: { ...EXECUTION_KEYS, separator: STAGED_SEPARATOR, here: BYTES_HERE },
    K: { ...PARTITION_KEYS, slotTimer: SLOT_TIMER },
    C: CHANNELS,
    L: {
      maxInteger: LIMITS.maxInteger,
      priorityStep: PRIORITY_STEP,
      reclaimBand: RECLAIM_BAND,
      retentionSlotMs: RETENTION_SLOT_MS,
      absoluteTimeFrom: ABSOLUTE_TIME_FROM,
      defaultPriority: DEFAULTS.priority,
      defaultMaxReclaimCount: DEFAULTS.maxReclaimCount,
      defaultMaxReleaseCount: DEFAULTS.maxReleaseCount,
      defaultDedupWindowMs: DEFAULTS.dedupWindowMs,
      maxReclaimsExceeded: MAX_RECLAIMS_EXCEEDED,
      inlineBytes: INLINE_BYTES,
      maxUnsettled: MAX_UNSETTLED,
      functionPrefix,
      contract: CONTRACT,
      build: BUILD,
      hash,
    },
  };
}

/** The library of a kind. Pure: the same files give the same text. */
export function library(kind: LibraryKind = 'production', files: Record<string, string> = luaFiles()): Library {
  const name = `flowfabric_v${CONTRACT}${kind === 'test' ? '_test' : ''}`;
  const functionPrefix = `${name}_`;
  const parts = inOrder(Object.keys(files))
    .filter((path) => !Object.values(CLOCKS).includes(path) || path === CLOCKS[kind])
    .map((path) => `do -- ${path}\n${files[path]}end`);
  const textWith = (hash: string): string => {
    const { declarations, bodies } = link(parts, literalsOf(functionPrefix, hash));
    return [
      `#!lua name=${name}`,
      'local ff = { operations = {}, queries = {} }',
      'local store',
      FIELD_TABLE,
      ...declarations,
      ...bodies,
      '',
    ].join('\n');
  };
  const hash = createHash('sha256').update(textWith('')).digest('hex').slice(0, 16);
  const source = textWith(hash);
  return { name, functionPrefix, contract: CONTRACT, build: BUILD, hash, source, commands: commandsIn(source) };
}
