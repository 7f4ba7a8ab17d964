/**
 * Builds the function library: a header, the tables from model/, then every file of this folder, linked. A test build
 * differs only in the file of its clock; callers of a production build cannot set the time.
 */
import { createHash } from 'node:crypto';
import { present } from '../model/core/present.js';
import { dependencyFacts } from '../model/flow/facts.js';
import { executionFacts } from '../model/execution/facts.js';
import { entityNamed, type EntityKind } from '../model/state.js';
import { stepFacts } from '../model/step/facts.js';
import { waitsFacts } from '../model/suspension/facts.js';
import { codecFile, recordCodecFile } from './codec.js';
import { commandsIn } from './commands.js';
import { luaFiles } from './files.js';
import { withoutCommentLines } from './tokens.js';
import { RECORDS } from './layout.js';
import { link, type LuaFile } from './link.js';
import { lifeParser, loaderText, recordLoaderText } from './loader.js';
import { literals, RECORD_KINDS } from './literals.js';
import { lookUps } from './look-ups.js';

/** Major version of the protocol between client and library. Libraries of two versions can share a server. */
export const CONTRACT = 2;
/** Raised with every release that changes the Lua; a client never replaces a library by a lower build. */
const BUILD = 2;

export type LibraryKind = 'production' | 'test';

export interface Library {
  /** Name of the library on the server. */
  readonly name: string;
  /** Prefix of the names of its functions. */
  readonly functionPrefix: string;
  readonly contract: number;
  readonly build: number;
  /** Hash of its contents. */
  readonly hash: string;
  /** The argument of FUNCTION LOAD. */
  readonly source: string;
  /** The commands that it runs, lower case: the server user of a client needs the right to each. */
  readonly commands: readonly string[];
}

const CLOCKS: Record<LibraryKind, string> = { production: 'core/clock.lua', test: 'core/virtual-clock.lua' };

/** Files that other files use while loading come first, `main.lua` last; the order of the rest does not matter. */
function inOrder(paths: readonly string[]): string[] {
  const rank = (path: string): number =>
    path === 'main.lua' ? 3 : path.startsWith('core/') ? 0 : path === 'execution/record.lua' ? 1 : 2;
  return [...paths].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Placeholder for the hash in the text that is hashed. */
const HASH_TO_COME = '@hash@';

/** Libraries built from the files of this package: every backend of a process needs them more than once. */
const made = new Map<LibraryKind, Library>();

/** The library of a kind, built from the files of this package. */
export function library(kind: LibraryKind = 'production'): Library {
  const known = made.get(kind);
  if (known !== undefined) return known;
  const fresh = libraryOf(kind, luaFiles());
  made.set(kind, fresh);
  return fresh;
}

/** The library of a kind, built from the given files. Pure: the same files give the same text. */
export function libraryOf(kind: LibraryKind, files: Readonly<Record<string, string>>): Library {
  const name = `flowfabric_v${CONTRACT}${kind === 'test' ? '_test' : ''}`;
  const functionPrefix = `${name}_`;
  const all = Object.values(files).join('\n');
  const uses = (called: string): boolean => all.includes(`${called}(`);
  const parts: LuaFile[] = [
    { path: 'core/codec', text: codecFile(executionFacts, uses) + lifeParser(executionFacts) },
    { path: 'step/codec', text: recordCodecFile('steps', stepFacts, uses) },
    { path: 'flow/edge-codec', text: recordCodecFile('edge', { dependency: dependencyFacts }, uses) },
    { path: 'suspension/codec', text: recordCodecFile('waits', waitsFacts, uses) },
    ...RECORD_KINDS.map(([kind]) => ({
      path: `${kind}/codec`,
      text: recordCodecFile(kind, entityNamed(kind).facts, uses),
    })),
    ...inOrder(Object.keys(files))
      .filter((path) => !Object.values(CLOCKS).includes(path) || path === CLOCKS[kind])
      .map((path) => ({ path, text: withoutCommentLines(present(files[path])) })),
  ];
  const loader = (writer: string, names: readonly string[]): string => {
    if (writer !== 'record') return loaderText(executionFacts, names, writer === 'refilling_loader');
    const [kind, ...facets] = names as [EntityKind, ...string[]];
    const layout = RECORDS[kind];
    if (layout === undefined) throw new Error(`lua: there are no records of the kind "${kind}"`);
    return recordLoaderText(kind, entityNamed(kind).facts, layout, facets);
  };
  const version = { prefix: functionPrefix, contract: CONTRACT, build: BUILD, hash: HASH_TO_COME };
  const constants = { ...literals(), LIBRARY: version };
  const text = [`#!lua name=${name}`, ...lookUps(), ...link(parts, constants, loader), ''].join('\n');
  const hash = createHash('sha256').update(text.replaceAll(HASH_TO_COME, '')).digest('hex').slice(0, 16);
  const source = text.replaceAll(HASH_TO_COME, hash);
  return { name, functionPrefix, contract: CONTRACT, build: BUILD, hash, source, commands: commandsIn(source) };
}
