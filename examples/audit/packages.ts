import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

import { AuditError, systemCode } from './errors.js';
import { readManifest } from './manifest.js';
import type { PackageRef } from './schema.js';

export type { PackageRef } from './schema.js';

/**
 * Finds every package installed in `root/node_modules`: scoped ones, those in the `node_modules` of
 * other packages at any depth, and those in pnpm's store. A link is resolved and its target taken
 * when that lies inside `root`, else left out; a package reached in several ways is given once.
 *
 * A folder without a readable manifest is given too, without a version: it is for the audit to say
 * what is wrong with it.
 *
 * @param root folder holding `node_modules`
 * @returns the packages sorted by path in code-unit order; none when there is no `node_modules`
 * @throws a system error when `root` does not exist or a folder cannot be listed
 */
export async function findPackages(root: string): Promise<PackageRef[]> {
  const realRoot = await realpath(root);
  const found = new Map<string, PackageRef>();
  const pending = [join(realRoot, 'node_modules')];
  for (let modules = pending.pop(); modules !== undefined; modules = pending.pop()) {
    for (const { name, folder } of await packageFolders(modules)) {
      const real = await resolveInside(realRoot, folder);
      if (real === undefined || found.has(real)) continue;
      found.set(real, await describe(realRoot, real, name));
      pending.push(join(real, 'node_modules'));
    }
    pending.push(...(await pnpmStores(modules)));
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

interface Candidate {
  readonly name: string;
  readonly folder: string;
}

async function packageFolders(modules: string): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const entry of await list(modules)) {
    const folder = join(modules, entry.name);
    // Names of packages cannot start with a dot: those are .bin, caches and lockfiles.
    if (entry.name.startsWith('.') || !isFolderLike(entry)) continue;
    if (!entry.name.startsWith('@')) candidates.push({ name: entry.name, folder });
    // A scope that is itself a link could lead anywhere; no package manager makes one.
    else if (entry.isDirectory()) {
      for (const scoped of await list(folder)) {
        if (scoped.name.startsWith('.') || !isFolderLike(scoped)) continue;
        const name = `${entry.name}/${scoped.name}`;
        candidates.push({ name, folder: join(folder, scoped.name) });
      }
    }
  }
  return candidates;
}

/** pnpm keeps a package in `.pnpm/<name>@<version>/node_modules`, beside links to what it needs. */
async function pnpmStores(modules: string): Promise<string[]> {
  const store = join(modules, '.pnpm');
  const entries = await list(store);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(store, entry.name, 'node_modules'));
}

async function list(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

function isFolderLike(entry: Dirent): boolean {
  return entry.isDirectory() || entry.isSymbolicLink();
}

/** Real path of a package folder; undefined when it leads out of the root or nowhere. */
async function resolveInside(realRoot: string, folder: string): Promise<string | undefined> {
  try {
    const real = await realpath(folder);
    return real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep) ? real : undefined;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ELOOP') return undefined;
    throw error;
  }
}

async function describe(realRoot: string, real: string, name: string): Promise<PackageRef> {
  const path = relative(realRoot, real).split(sep).join('/');
  try {
    const { version } = await readManifest(real);
    return version === undefined ? { path, name } : { path, name, version };
  } catch (error) {
    if (error instanceof AuditError) return { path, name };
    throw error;
  }
}
