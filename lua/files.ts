import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Lists the `.lua` files under `folder`, as paths relative to it with `/` between the parts. */
const list = (folder: string, prefix: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) return list(`${folder}/${entry.name}`, `${path}/`);
    return entry.isFile() && entry.name.endsWith('.lua') ? [path] : [];
  });

/**
 * The text of every `.lua` file in this folder and below, keyed by its path relative to this folder, in the order of
 * those paths (by code unit, so the same on every machine).
 *
 * Only this module reads Lua from disk. The build replaces it with a module that contains the texts, so the package
 * works under a bundler, where no file lies next to the code.
 *
 * @throws the error of `node:fs` if a file cannot be read
 */
export const luaFiles = (): Record<string, string> => {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const paths = list(folder, '').sort();
  return Object.fromEntries(paths.map((path) => [path, readFileSync(`${folder}/${path}`, 'utf8')]));
};
