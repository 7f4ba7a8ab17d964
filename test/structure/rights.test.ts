/** Before a flow is written, the rights to all commands that may follow are tested (`lua/core/rights.lua`). */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandsIn } from '../../lua/commands.js';

const LUA = new URL('../../lua/', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, LUA), 'utf8');

/** The parts of the library that create executions, edges and flows. */
const PARTS = ['core', 'execution', 'flow', 'lane', 'listing', 'metering', 'schedule'];
/** Files of these parts that run before the test, or in other calls. */
const APART =
  /verify|reads|dropped|clock|quarantine|walk|reindex|list\.lua|due|claim|candidates|line\.lua|replay|rights|tags-text|cancel\.lua/;
/** `PUBLISH` is optional; the log is read before anything is written. */
const UNTESTED: ReadonlySet<string> = new Set(['publish', 'xlen', 'xrevrange']);

test('the list of rights includes every command that writes a flow', () => {
  const files = PARTS.flatMap((part) => readdirSync(new URL(part, LUA)).map((name) => `${part}/${name}`));
  const used = files
    .filter((path) => path.endsWith('.lua') && !APART.test(path.slice(path.indexOf('/'))))
    .flatMap((path) => commandsIn(textOf(path)));
  const list = /local OF_FLOWS = \{([^}]*)\}/.exec(textOf('core/rights.lua'))?.[1] ?? '';
  const tested = new Set([...list.matchAll(/'([A-Z]+)'/g)].map(([, name]) => name?.toLowerCase()));
  expect(used.length).toBeGreaterThan(50);
  expect([...new Set(used)].filter((name) => !tested.has(name) && !UNTESTED.has(name))).toEqual([]);
});
