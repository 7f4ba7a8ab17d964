/**
 * Links the files of the library into one text. Members of tables are replaced by faster forms: `LIMIT.max_integer` by
 * a literal, `ff.load` by a local function, `string.sub` by a local that is set once. Table lookups took an eighth of
 * the time that a transition spends in Lua. The linker works on tokens, so strings and comments are left unchanged.
 */
import { present } from '../model/core/present.js';
import { tokensOf, type Token } from './tokens.js';

/** Tables of literals, by their names in the Lua. */
export type Literals = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

export interface LuaFile {
  /** Path from this folder, e.g. `execution/create.lua`. */
  readonly path: string;
  readonly text: string;
}

/**
 * Lua allows 200 locals in the body of a library: the others are tables, built-in functions, and locals of one file.
 */
const MAX_SHARED_LOCALS = 110;

/** The one table of all shared functions that are not locals, because locals are scarce. */
const COLD = 'cold';

/**
 * Files that run in every call, in the life of every execution, or often. The shared functions that they mention most
 * become locals; a mention counts more, the more often its file runs.
 */
const HOT_FILES: readonly { readonly path: RegExp; readonly weight: number }[] = [
  { path: /^(?:core\/(?:call|log|index|ids)|main)\./, weight: 6 },
  {
    path: /^(?:execution\/(?:complete|create|events)|lease\/fence|schedule\/(?:acquire|candidates|claim|claim-answer|counts|queue))\./,
    weight: 3,
  },
  {
    path: /^(?:core\/|execution\/(?:bytes|lifecycle|record)\.|lease\/(?:events|renew)\.|schedule\/(?:retention|timers)\.)/,
    weight: 1,
  },
];

/** Members of `ff` that are looked up by name at run time. */
const DISPATCHED: ReadonlySet<string> = new Set(['decide', 'prepare', 'apply', 'query', 'due']);

/** Functions that declare loaders: of executions, of executions into a reused table, and of records of a kind. */
const LOADERS: ReadonlySet<string> = new Set(['loader', 'refilling_loader', 'record']);

/** Generates the text of a loader from the name and the arguments of the function that declares it. */
export type WriteLoader = (writer: string, names: readonly string[]) => string;

const LIBRARIES: ReadonlySet<string> = new Set(['string', 'math', 'table', 'bit']);
const GLOBALS: ReadonlySet<string> = new Set([
  'tonumber',
  'tostring',
  'unpack',
  'pcall',
  'select',
  'pairs',
  'next',
  'type',
  'error',
]);

/** Generated here, not defined in a file. */
const BIND = 'bind';
/** Makes `guarded` from `attempted`: it returns errors about the data and raises refusals of the server. */
const GUARD = 'guard';

/** Whether a token is a symbol. */
const is = (token: Token | undefined, text: string): boolean => token?.kind === 'symbol' && token.text === text;

/** A file and its tokens. */
interface SplitFile extends LuaFile {
  readonly tokens: readonly Token[];
}

/** Names of the shared functions that a file defines: `function ff.spilled(`. */
function definedIn({ tokens }: SplitFile): string[] {
  return tokens.flatMap((token, i) => {
    const defines = token.text === 'function' && tokens[i + 1]?.text === 'ff' && is(tokens[i + 2], '.');
    return defines && is(tokens[i + 4], '(') ? [tokens[i + 3]?.text ?? ''] : [];
  });
}

/** Names of the shared functions that a file calls or passes on; a definition is no mention. */
function namedIn({ tokens }: SplitFile): string[] {
  return tokens.flatMap((token, i) => {
    const isMention = token.text === 'ff' && is(tokens[i + 1], '.') && tokens[i - 1]?.text !== 'function';
    return isMention ? [tokens[i + 2]?.text ?? ''] : [];
  });
}

/** The shared functions that become locals. */
function hotOf(files: readonly SplitFile[]): ReadonlySet<string> {
  const mentions = new Map<string, number>();
  for (const file of files) {
    const weight = HOT_FILES.find(({ path }) => path.test(file.path))?.weight;
    if (weight === undefined) continue;
    for (const name of namedIn(file)) mentions.set(name, (mentions.get(name) ?? 0) + weight);
  }
  const names = [...mentions].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([name]) => name);
  return new Set(names.slice(0, MAX_SHARED_LOCALS));
}

/** The expression for each shared function, by its name. */
function placesOf(files: readonly SplitFile[]): Map<string, string> {
  const hot = hotOf(files);
  const places = new Map<string, string>([[BIND, `ff_${BIND}`]]);
  for (const file of files) {
    for (const name of definedIn(file)) {
      if (places.has(name)) throw new Error(`lua: ${file.path} defines ff.${name}, which is defined already`);
      places.set(name, hot.has(name) ? `ff_${name}` : `${COLD}.${name}`);
    }
  }
  return places;
}

const literal = (value: string | number): string => (typeof value === 'number' ? String(value) : JSON.stringify(value));

const builtInName = (reference: string): string => `lua_${reference.replace('.', '_')}`;

/** Replaces `ff.loader('a', 'b')` and `ff.record('kind', 'a')` by generated functions. */
function withLoaders({ path, text }: LuaFile, loader: WriteLoader): SplitFile {
  const tokens = tokensOf(text, 'lua');
  let written = '';
  let at = 0;
  for (let i = 0; i + 3 < tokens.length; i++) {
    const first = present(tokens[i]);
    const name = present(tokens[i + 2]);
    if (first.text !== 'ff' || !LOADERS.has(name.text) || !is(tokens[i + 3], '(')) continue;
    const close = tokens.findIndex((token, place) => place > i + 3 && is(token, ')'));
    const names = tokens.slice(i + 4, close).filter(({ kind }) => kind === 'string');
    written +=
      text.slice(at, first.start) +
      loader(
        name.text,
        names.map((each) => each.text.slice(1, -1)),
      );
    at = present(tokens[close]).end;
  }
  if (at === 0) return { path, text, tokens };
  const whole = written + text.slice(at);
  return { path, text: whole, tokens: tokensOf(whole, 'lua') };
}

interface Linked {
  readonly text: string;
  readonly builtIns: ReadonlySet<string>;
}

/** A file with every reference replaced. @throws Error for an undefined reference: it would be nil on the server */
function linkFile({ path, text, tokens }: SplitFile, literals: Literals, places: ReadonlyMap<string, string>): Linked {
  const builtIns = new Set<string>();
  let linked = '';
  let at = 0;
  const replace = (from: Token, to: Token, by: string): void => {
    linked += text.slice(at, from.start) + by;
    at = to.end;
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = present(tokens[i]);
    if (token.kind !== 'name' || is(tokens[i - 1], '.')) continue;
    const member = is(tokens[i + 1], '.') ? tokens[i + 2] : undefined;
    if (member !== undefined && Object.hasOwn(literals, token.text)) {
      const value = literals[token.text]?.[member.text];
      if (value === undefined) throw new Error(`lua: ${path}: ${token.text}.${member.text} is no literal`);
      replace(token, member, literal(value));
    } else if (member !== undefined && token.text === 'ff') {
      if (DISPATCHED.has(member.text)) continue;
      const place = places.get(member.text);
      if (place === undefined) throw new Error(`lua: ${path}: ff.${member.text} is no shared function`);
      replace(token, member, place);
    } else if (member !== undefined && LIBRARIES.has(token.text)) {
      const reference = `${token.text}.${member.text}`;
      builtIns.add(reference);
      replace(token, member, builtInName(reference));
    } else if (member === undefined && GLOBALS.has(token.text)) {
      builtIns.add(token.text);
      replace(token, token, builtInName(token.text));
    }
  }
  return { text: linked + text.slice(at), builtIns };
}

/**
 * The lines that declare shared names, then the files, each in a block of its own. `ff.bind` sets the locals for Lua's
 * built-in functions: these are not available while a library is loaded, so the first call sets them.
 */
export function link(sources: readonly LuaFile[], literals: Literals, loader: WriteLoader): readonly string[] {
  const files = sources.map((file) => withLoaders(file, loader));
  const places = placesOf(files);
  const linked = files.map((file) => ({ path: file.path, ...linkFile(file, literals, places) }));
  const builtIns = [...new Set(linked.flatMap((file) => [...file.builtIns]))].sort();
  const locals = [...places.values()].filter((place) => !place.includes('.')).sort();
  const tables = [...new Set([...places.values()].flatMap((place) => place.match(/^\w+(?=\.)/) ?? []))].sort();
  const names = builtIns.map(builtInName).join(', ');
  const guard = places.get(GUARD) ?? '';
  return [
    'local ff = { apply = {}, decide = {}, prepare = {}, query = {}, due = {} }',
    'local command, attempted, guarded',
    `local ${names}`,
    `local ${locals.join(', ')}`,
    ...tables.map((table) => `local ${table} = {}`),
    `function ff_${BIND}()\n  ${names} = ${builtIns.join(', ')}\n  command, attempted = server.call, server.pcall\n  guarded = ${guard}(attempted)\nend`,
    ...linked.map(({ path, text }) => `do -- ${path}\n${text}end`),
  ];
}
