/** The commands of the server that the library runs, read off its text. */

/** Lua functions that run a command, whose name is their first argument, always a literal. */
const COMMAND_FUNCTIONS = ['store', 'command', 'guarded', 'attempted', 'server.call', 'server.pcall'] as const;

/** Commands with subcommands: the right is for the subcommand. */
const CONTAINERS: ReadonlySet<string> = new Set(['cluster', 'function', 'object', 'script', 'xinfo', 'memory', 'acl']);

/** A comment, a string, a name, white space or any other character; so the scan sees no names inside strings. */
const TOKEN = /--\[\[[\s\S]*?\]\]|--[^\n]*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\[\[[\s\S]*?\]\]|[A-Za-z_][\w.]*|\s+|./g;

const isBlank = (token: string): boolean => /^\s|^--/.test(token);
const textOf = (token: string | undefined): string | undefined => /^(['"])([\s\S]*)\1$/.exec(token ?? '')?.[2];

/** A command that is built in a table before it runs: `{ 'HSET', key }`. */
const GATHERED = /^[A-Z][A-Z_]{2,}$/;

/**
 * The names of the commands in a Lua text, lower case, ascending; subcommands as `command|subcommand`. A command is the
 * first argument of a function that runs one, or the first word of a table that becomes its arguments.
 * @throws Error for a call without a literal name, because its rights could not be told
 */
export function commandsIn(lua: string): readonly string[] {
  const tokens = (lua.match(TOKEN) ?? []).filter((token) => !isBlank(token));
  const callers: ReadonlySet<string> = new Set(COMMAND_FUNCTIONS);
  const found = new Set<string>();
  tokens.forEach((token, at) => {
    const word = textOf(tokens[at + (token === '{' ? 1 : 2)]);
    const isCall = callers.has(token) && tokens[at + 1] === '(' && tokens[at - 1] !== 'function';
    if (isCall && word === undefined && !/unpack$/.test(tokens[at + 2] ?? ''))
      throw new Error(`lua: ${token}(${tokens[at + 2] ?? ''} does not name its command`);
    if (word === undefined || !(isCall || (token === '{' && GATHERED.test(word)))) return;
    const name = word.toLowerCase();
    const second = CONTAINERS.has(name) ? textOf(tokens[at + 4])?.toLowerCase() : undefined;
    found.add(second === undefined ? name : `${name}|${second}`);
  });
  return [...found].sort();
}
