import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

import { LimitExceededError } from './errors.js';
import { linkTarget, listEntries, withFile, type PackageEntry } from './files.js';
import { languageOf, type Language } from './languages.js';
import { resolveLicence } from './licence.js';
import { DEFAULT_LIMITS, type AuditLimits } from './limits.js';
import { LineCounter } from './lines.js';
import { readManifest } from './manifest.js';
import type { PackageAudit, PackageRef } from './schema.js';

export type { PackageAudit } from './schema.js';

/** Least time between two calls of `progress`, in milliseconds; the first call is not held back. */
const PROGRESS_INTERVAL_MS = 250;

/** How far the audit of one package is. */
export interface AuditProgress {
  readonly filesDone: number;
  readonly filesTotal: number;
  readonly bytesDone: number;
}

/** What an audit needs from whoever runs it. */
export interface AuditContext {
  /** Ends the audit with the signal's reason, at the latest before the next chunk is read. */
  readonly signal: AbortSignal;
  /** Told how far it is: once the files are listed, then at most every 250 ms. Awaited. */
  readonly progress: (state: AuditProgress) => void | Promise<void>;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Bounds; default {@link DEFAULT_LIMITS}. */
  readonly limits?: AuditLimits;
}

interface LanguageTotal {
  files: number;
  lines: number;
}

/**
 * Audits one installed package: hashes its files, counts its code lines and resolves its licence.
 * Nothing is written and nothing kept between attempts, so it may be run any number of times.
 *
 * @param root folder that `ref.path` is relative to
 * @throws {AuditError} with its `code`, and `retryable` saying whether another attempt may help;
 *   or the signal's reason
 */
export async function auditPackage(root: string, ref: PackageRef, context: AuditContext): Promise<PackageAudit> {
  const startedAt = performance.now();
  const { signal, attempt, limits = DEFAULT_LIMITS } = context;
  signal.throwIfAborted();
  const folder = join(root, ref.path);

  const manifest = await readManifest(folder, limits.maxManifestBytes);
  const entries = await listEntries(folder, limits.maxFiles, signal);
  // Before the long part: a package that fails on its licence should fail early.
  const licence = await resolveLicence(folder, manifest, entries, signal);

  const digest = new PackageDigest(folder, signal, limits.maxPackageBytes);
  let reportedAt = -Infinity;
  for (const [filesDone, entry] of entries.entries()) {
    if (performance.now() - reportedAt >= PROGRESS_INTERVAL_MS) {
      await context.progress({ filesDone, filesTotal: entries.length, bytesDone: digest.bytes });
      reportedAt = performance.now();
    }
    signal.throwIfAborted();
    await digest.add(entry);
  }

  const languages = digest.languages();
  return {
    path: ref.path,
    name: ref.name,
    ...(manifest.version === undefined ? {} : { version: manifest.version }),
    sha256: digest.hex(),
    files: entries.length,
    bytes: digest.bytes,
    lines: languages.reduce((sum, each) => sum + each.lines, 0),
    languages,
    licence,
    attempt,
    durationMs: Math.round((performance.now() - startedAt) * 100) / 100,
  };
}

/** Hash and line counts over the files of one package, in a single reading of each. */
class PackageDigest {
  readonly #hash: Hash = createHash('sha256');
  readonly #totals = new Map<Language, LanguageTotal>();
  #bytes = 0;

  constructor(
    private readonly folder: string,
    private readonly signal: AbortSignal,
    private readonly maxBytes: number,
  ) {}

  /** Bytes of the files added so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds one file or link. Path, kind and size go first, so no two packages can run together. */
  async add(entry: PackageEntry): Promise<void> {
    if (entry.kind === 'link') {
      const target = await linkTarget(this.folder, entry.path);
      this.#hash.update(`${entry.path}\0link\0${Buffer.byteLength(target)}\0${target}`);
      return;
    }
    await withFile(this.folder, entry.path, this.signal, async ({ size, chunks }) => {
      this.#bytes += size;
      if (this.#bytes > this.maxBytes) {
        throw new LimitExceededError(`more than ${this.maxBytes} bytes`);
      }
      this.#hash.update(`${entry.path}\0file\0${size}\0`);
      const language = languageOf(entry.path);
      const counter = language === undefined ? undefined : new LineCounter(language);
      for await (const chunk of chunks) {
        this.#hash.update(chunk);
        counter?.push(chunk);
      }
      if (language !== undefined) this.#count(language, counter?.finish() ?? 0);
    });
  }

  /** Totals by language, most lines first. */
  languages(): PackageAudit['languages'] {
    return [...this.#totals].map(([language, total]) => ({ language, ...total })).sort((a, b) => b.lines - a.lines);
  }

  /** The finished hash; call once. */
  hex(): string {
    return this.#hash.digest('hex');
  }

  #count(language: Language, lines: number): void {
    const total = this.#totals.get(language) ?? { files: 0, lines: 0 };
    total.files += 1;
    total.lines += lines;
    this.#totals.set(language, total);
  }
}
