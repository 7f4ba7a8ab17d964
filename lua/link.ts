/**
 * Links the files of the library: what they write as members of tables (`K.timers`, `ff.load`) becomes a literal or a
 * local function. Looking them up in tables took an eighth of the time that a transition spends in Lua.
 */
export type Literals = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

/** Lua allows 200 locals in the body of a library; the files need some of their own. */
const MAX_SHARED_FUNCTIONS = 150;

/** `function ff.load(` and `function ff.apply.lease_renewed(`, wherever a line begins with it. */
const DEFINITION = /^function (ff(?:\.apply)?)\.(\w+)\(/gm;

/** Members of `ff` that are tables: of operations, of reads, of what applies events. */
const TABLES: ReadonlySet<string> = new Set(['operations', 'queries', 'apply']);

/** Made here, not defined in a file. */
const BIND = 'ff_bind';

const literal = (value: string | number): string =>
  typeof value === 'number' ? value.toString() : JSON.stringify(value);

const localName = (table: string, name: string): string => `${table.replace('.', '_')}_${name}`;

/** The literals' place in a file. @throws Error when a name is unknown: it would be nil on the server */
function withLiterals(text: string, tables: Literals): string {
  const names = Object.keys(tables).join('|');
  return text.replace(new RegExp(`\\b(${names})\\.(\\w+)`, 'g'), (reference, table: string, name: string) => {
    const value = tables[table]?.[name];
    if (value === undefined) throw new Error(`lua: ${reference} is no literal of the model`);
    return literal(value);
  });
}

/** Functions of Lua itself that the bodies call: `string.sub`, `tonumber`. */
const BUILT_IN = /\b(?:string\.|math\.|table\.)\w+\b|(?<!\.)\b(?:tonumber|unpack|pcall)(?=\()/g;

const builtInName = (reference: string): string => `lua_${reference.replace('.', '_')}`;

/**
 * Locals for the functions of Lua, and `ff.bind`, which sets them: while a library is loaded nothing of Lua is in
 * reach, so that is done by the first call.
 */
function builtIns(bodies: readonly string[]): readonly string[] {
  const used = [...new Set(bodies.flatMap((body) => body.match(BUILT_IN) ?? []))].sort();
  const names = used.map(builtInName).join(', ');
  return [`local ${names}`, `local function ${BIND}()\n  store = server.call\n  ${names} = ${used.join(', ')}\nend`];
}

/**
 * The bodies with every `<table>.<name>` of `tables` replaced by its value, and every shared function by a local one;
 * and the lines that declare those.
 */
export function link(
  bodies: readonly string[],
  tables: Literals,
): { readonly declarations: readonly string[]; readonly bodies: readonly string[] } {
  const shared = new Set(
    bodies.flatMap((body) =>
      [...body.matchAll(DEFINITION)].map(([, table, name]) => localName(table as string, name as string)),
    ),
  );
  if (shared.size > MAX_SHARED_FUNCTIONS)
    throw new Error(`lua: ${shared.size} shared functions; ${MAX_SHARED_FUNCTIONS} are possible`);
  const linked = bodies.map((body) =>
    withLiterals(body, tables)
      .replace(/\b(ff(?:\.apply)?)\.(\w+)\b/g, (reference, table: string, name: string) => {
        const local = localName(table, name);
        if (local === BIND || shared.has(local)) return local;
        if (TABLES.has(name)) return reference;
        throw new Error(`lua: ${reference} is no shared function`);
      })
      .replace(BUILT_IN, builtInName),
  );
  return { declarations: [...builtIns(bodies), `local ${[...shared].sort().join(', ')}`], bodies: linked };
}
