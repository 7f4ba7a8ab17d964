/**
 * Links the files of the library into one text. What the files write as members of tables becomes what is fast on the
 * server: `LIMIT.max_integer` a literal, `ff.load` a local function, `string.sub` a local that is set once. Looking these
 * up in tables took an eighth of the time that a transition spends in Lua. Works on tokens, so that words in texts and
 * comments stay as they are.
 */
import { tokensOf, type Token } from './tokens.js';

/** Tables of literals, by the name that the Lua has for each. */
export type Literals = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

export interface LuaFile {
  /** Path from this folder, e.g. `execution/create.lua`. */
  readonly path: string;
  readonly text: string;
}

/** Lua allows 200 locals in the body of a library. The rest are those of the file with the most, tables, and built-in functions. */
const MAX_SHARED_LOCALS = 110;

/** The table of the shared functions that are no locals: one for all, since locals are scarce. */
const COLD = 'cold';

/**
 * What runs in every call, what runs in the life of every execution, and what often does: the shared functions that these
 * files mention most are locals, and a mention counts the more the oftener its file runs.
 */
const HOT_FILES: readonly { readonly path: RegExp; readonly weight: number }[] = [
  { path: /^(?:core\/(?:call|log|index|ids)|main)\./, weight: 6 },
  { path: /^(?:execution\/(?:complete|create|events)|lease\/fence|schedule\/(?:claim|counts|queue))\./, weight: 3 },
  {
    path: /^(?:core\/|execution\/(?:bytes|lifecycle|record)\.|lease\/(?:events|renew)\.|schedule\/(?:retention|timers)\.)/,
    weight: 1,
  },
];

/** Members of `ff` that are looked up by name while a call runs. */
const DISPATCHED: ReadonlySet<string> = new Set(['decide', 'prepare', 'apply', 'query', 'due']);

/** What loaders are written out by: of executions, the same with tables of before, and of records of a kind. */
const LOADERS: ReadonlySet<string> = new Set(['loader', 'refilling_loader', 'record']);

/** The text of a loader, from the name of what writes it and what it is given. */
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

/** Made here, not defined in a file. */
const BIND = 'bind';
/** Makes `guarded`, which answers an error, of `attempted`, which answers every error. */
const GUARD = 'guard';

/** Whether a token is a symbol. */
const is = (token: Token | undefined, text: string): boolean => token?.kind === 'symbol' && token.text === text;

/** A file with what it is made of. */
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

/** Names of the shared functions that a file calls or hands on; where it defines one is no mention. */
function namedIn({ tokens }: SplitFile): string[] {
  return tokens.flatMap((token, i) => {
    const isMention = token.text === 'ff' && is(tokens[i + 1], '.') && tokens[i - 1]?.text !== 'function';
    return isMention ? [tokens[i + 2]?.text ?? ''] : [];
  });
}

/** The shared functions that are locals. */
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

/** Where each shared function is found, by its name. */
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

/** `ff.loader('a', 'b')` and `ff.record('kind', 'a')` written out. */
function withLoaders({ path, text }: LuaFile, loader: WriteLoader): SplitFile {
  const tokens = tokensOf(text, 'lua');
  let written = '';
  let at = 0;
  for (let i = 0; i + 3 < tokens.length; i++) {
    const first = tokens[i] as Token;
    const name = tokens[i + 2] as Token;
    if (first.text !== 'ff' || !LOADERS.has(name.text) || !is(tokens[i + 3], '(')) continue;
    const close = tokens.findIndex((token, place) => place > i + 3 && is(token, ')'));
    const names = tokens.slice(i + 4, close).filter(({ kind }) => kind === 'string');
    written +=
      text.slice(at, first.start) +
      loader(
        name.text,
        names.map((each) => each.text.slice(1, -1)),
      );
    at = (tokens[close] as Token).end;
  }
  if (at === 0) return { path, text, tokens };
  const whole = written + text.slice(at);
  return { path, text: whole, tokens: tokensOf(whole, 'lua') };
}

interface Linked {
  readonly text: string;
  readonly builtIns: ReadonlySet<string>;
}

/** A file with every reference replaced. @throws Error for a reference to nothing: it would be nil on the server */
function linkFile({ path, text, tokens }: SplitFile, literals: Literals, places: ReadonlyMap<string, string>): Linked {
  const builtIns = new Set<string>();
  let linked = '';
  let at = 0;
  const replace = (from: Token, to: Token, by: string): void => {
    linked += text.slice(at, from.start) + by;
    at = to.end;
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
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
 * The lines that declare what is shared, then the files, each in a block of its own. `ff.bind` sets what comes from the
 * server: while a library is loaded nothing of Lua is in reach, so the first call does it.
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
