import { z } from 'zod';

import { LANGUAGES } from './languages.js';

/** Longest licence expression kept, in characters. */
export const MAX_SPDX_LENGTH = 128;
/** Largest result of one audit, in bytes of JSON. */
export const MAX_RESULT_BYTES = 4096;

const count = z.number().int().nonnegative();

/** Input of one audit task: which package, where. */
export const packageRefSchema = z.object({
  /** Folder of the package relative to the audited root, with `/` between. */
  path: z.string().min(1).max(1024),
  /** Name it is installed under (for an alias this differs from its manifest's name). */
  name: z.string().min(1).max(256),
  /** Version in its manifest; absent when the manifest cannot be read or states none. */
  version: z.string().max(256).optional(),
});

/** One installed package. */
export type PackageRef = z.infer<typeof packageRefSchema>;

const licenceSchema = z.object({
  /** `text`: a file with the text is in the package; `spdx-only`: the manifest just names it. */
  kind: z.enum(['text', 'spdx-only']),
  /** Expression stated in the manifest, else recognised in the text, else NOASSERTION. */
  spdx: z.string().min(1).max(MAX_SPDX_LENGTH),
  /** The file with the text, relative to the package. */
  file: z.string().max(255).optional(),
  /** Licence recognised in the text; may contradict `spdx`. */
  textSpdx: z.string().max(MAX_SPDX_LENGTH).optional(),
});

/** Licence of a package. */
export type Licence = z.infer<typeof licenceSchema>;

/** Output of one audit task; at most {@link MAX_RESULT_BYTES} as JSON. */
export const packageAuditSchema = packageRefSchema
  .extend({
    /** SHA-256 over the sorted paths and contents of its files, in lower-case hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** Files and symbolic links. */
    files: count,
    /** Bytes of all files. */
    bytes: count,
    /** Code lines of all languages. */
    lines: count,
    /** Files and code lines by language, most lines first. */
    languages: z.array(z.object({ language: z.enum(LANGUAGES), files: count, lines: count })).max(LANGUAGES.length),
    licence: licenceSchema,
    /** Which attempt gave this result; 1 is the first. */
    attempt: z.number().int().positive(),
    /** Time the successful attempt took, in milliseconds. */
    durationMs: z.number().nonnegative(),
  })
  .refine((audit) => Buffer.byteLength(JSON.stringify(audit)) <= MAX_RESULT_BYTES, {
    message: `result is over ${MAX_RESULT_BYTES} bytes`,
  });

/** What the audit of one package found. */
export type PackageAudit = z.infer<typeof packageAuditSchema>;
