import { constants } from 'node:fs';
import { open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { FileChangedError, fromSystemError, LimitExceededError } from './errors.js';

const CHUNK_BYTES = 128 * 1024;
// Absent on Windows, where a link put in a file's place is caught by nothing, as before.
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);

/** A file or symbolic link of a package; `path` is relative to the package, with `/` between. */
export interface PackageEntry {
  readonly path: string;
  readonly kind: 'file' | 'link';
}

/**
 * Lists what belongs to a package: all its files and links, sorted by path in code-unit order
 * (the same everywhere, unlike a locale's). Links are listed, never followed. The package's own
 * `node_modules` is left out, as what is in there are packages of their own.
 *
 * @param folder absolute path of the package
 * @param maxFiles most entries
 * @throws {AuditError} LIMIT_EXCEEDED, FILE_VANISHED, FILE_UNREADABLE or RESOURCE_BUSY
 */
export async function listEntries(folder: string, maxFiles: number, signal: AbortSignal): Promise<PackageEntry[]> {
  const entries: PackageEntry[] = [];
  const pending = [''];
  for (let prefix = pending.pop(); prefix !== undefined; prefix = pending.pop()) {
    signal.throwIfAborted();
    for (const entry of await listFolder(folder, prefix)) {
      const path = prefix + entry.name;
      if (entry.isDirectory()) {
        if (path !== 'node_modules') pending.push(`${path}/`);
      } else if (entry.isFile()) entries.push({ path, kind: 'file' });
      else if (entry.isSymbolicLink()) entries.push({ path, kind: 'link' });
      // Sockets, pipes and devices are no package content, and opening one could block for ever.
    }
    if (entries.length > maxFiles) throw new LimitExceededError(`more than ${maxFiles} files`);
  }
  return entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

async function listFolder(folder: string, prefix: string) {
  try {
    return await readdir(join(folder, prefix), { withFileTypes: true });
  } catch (error) {
    throw fromSystemError(error, prefix === '' ? '.' : prefix);
  }
}

/** An open file of a package: its size, and its content in chunks. */
export interface FileContent {
  /** Bytes, when the file was opened. */
  readonly size: number;
  /** The content; each chunk is only valid until the next one is asked for. */
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * Opens a file, hands it to `use` and closes it. Every chunk is a read of its own, so the event
 * loop gets its turn between any two, and `signal` is looked at before each.
 *
 * @param folder absolute path of the package
 * @param path the file, relative to the package
 * @throws {AuditError} FILE_VANISHED, FILE_CHANGED (size or time of writing differ after reading),
 *   FILE_UNREADABLE or RESOURCE_BUSY; or the signal's reason
 */
export async function withFile<T>(
  folder: string,
  path: string,
  signal: AbortSignal,
  use: (content: FileContent) => Promise<T>,
): Promise<T> {
  try {
    const handle = await open(join(folder, path), OPEN_FLAGS);
    try {
      const before = await handle.stat({ bigint: true });
      const size = Number(before.size);
      const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK_BYTES, size)));
      const changed = (): FileChangedError => new FileChangedError(`${path}: changed while read`);

      async function* chunks(): AsyncGenerator<Buffer> {
        let remaining = size;
        while (remaining > 0) {
          signal.throwIfAborted();
          const wanted = Math.min(buffer.length, remaining);
          const { bytesRead } = await handle.read(buffer, 0, wanted, null);
          if (bytesRead === 0) throw changed();
          remaining -= bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      }

      const result = await use({ size, chunks: chunks() });
      const after = await handle.stat({ bigint: true });
      if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) throw changed();
      return result;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fromSystemError(error, path);
  }
}

/**
 * Where a symbolic link of a package points, as written in the link.
 *
 * @throws {AuditError} as {@link withFile}, but for FILE_CHANGED
 */
export async function linkTarget(folder: string, path: string): Promise<string> {
  try {
    return await readlink(join(folder, path));
  } catch (error) {
    throw fromSystemError(error, path);
  }
}
