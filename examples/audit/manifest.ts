import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

import {
  FileVanishedError,
  fromSystemError,
  ManifestInvalidError,
  ManifestUnreadableError,
  ResourceBusyError,
  systemCode,
} from './errors.js';
import { DEFAULT_LIMITS } from './limits.js';

const licenceEntrySchema = z.union([z.string(), z.object({ type: z.string() }).transform((entry) => entry.type)]);

// Anything of an unexpected type counts as not stated: the field is then of no use to anybody.
const manifestSchema = z.object({
  name: z.string().min(1).optional().catch(undefined),
  version: z.string().min(1).optional().catch(undefined),
  license: licenceEntrySchema.optional().catch(undefined),
  licenses: z
    .union([z.array(licenceEntrySchema), licenceEntrySchema.transform((entry) => [entry])])
    .optional()
    .catch(undefined),
});

/** What the audit uses of a `package.json`, with licences in their old object form unwrapped. */
export type Manifest = z.infer<typeof manifestSchema>;

/**
 * Reads a package's manifest.
 *
 * @param folder absolute path of the package
 * @param maxBytes largest manifest read; default 1 MiB
 * @throws {AuditError} MANIFEST_UNREADABLE or MANIFEST_INVALID; FILE_VANISHED when the whole
 *   package is gone (an install may be replacing it); RESOURCE_BUSY
 */
export async function readManifest(
  folder: string,
  maxBytes: number = DEFAULT_LIMITS.maxManifestBytes,
): Promise<Manifest> {
  const text = await readText(folder, maxBytes);
  let json: unknown;
  try {
    // Some editors put a byte order mark first; npm accepts it, JSON.parse does not.
    json = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ManifestInvalidError(`package.json: ${reason}`, { cause: error });
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw new ManifestInvalidError('package.json: not a JSON object');
  return parsed.data;
}

async function readText(folder: string, maxBytes: number): Promise<string> {
  const path = join(folder, 'package.json');
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new ManifestUnreadableError(`package.json: ${size} bytes, limit ${maxBytes}`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    throw await manifestFailure(error, folder);
  }
}

async function manifestFailure(error: unknown, folder: string): Promise<unknown> {
  const failure = fromSystemError(error, 'package.json');
  if (failure instanceof ResourceBusyError) return failure;
  const code = systemCode(error);
  if (failure instanceof FileVanishedError) {
    // A folder without a manifest will not grow one, while a folder that is gone may come back.
    const folderExists = await stat(folder).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (!folderExists) return new FileVanishedError('the package folder is gone', { cause: error });
    return new ManifestUnreadableError('package.json: does not exist', { cause: error });
  }
  if (code !== undefined && failure !== error) {
    return new ManifestUnreadableError(`package.json: ${code}`, { cause: error });
  }
  return failure;
}
