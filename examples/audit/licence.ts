import { posix } from 'node:path';

import { LicenceMissingError } from './errors.js';
import { withFile, type PackageEntry } from './files.js';
import { languageOf } from './languages.js';
import type { Manifest } from './manifest.js';
import { MAX_SPDX_LENGTH, type Licence } from './schema.js';

/** SPDX's own word for "there is a licence, but which one is not known". */
const NO_ASSERTION = 'NOASSERTION';

const TEXT_BYTES = 64 * 1024;
const FILE_NAME = /^(?:[a-z0-9.]+-)?(?:un)?(?:licen[cs]es?|copying)(?:[-_.].*)?$/i;
const SEE_FILE = /^see licen[cs]e in (.+)$/i;

/** Sentences that only the named licence has, as {@link plainWords} writes them. */
const FAMILIES: readonly (readonly [mark: string, spdx: (text: string) => string])[] = [
  [
    'permission is hereby granted free of charge to any person obtaining a copy',
    (text) => (text.includes('this permission notice shall be included') ? 'MIT' : 'MIT-0'),
  ],
  [
    'permission to use copy modify and or distribute this software',
    (text) => (text.includes('provided that the above copyright notice') ? 'ISC' : '0BSD'),
  ],
  ['permission to use copy modify and distribute this software', () => 'ISC'],
  ['apache license version 2.0', () => 'Apache-2.0'],
  ['mozilla public license version 2.0', () => 'MPL-2.0'],
  [
    'redistribution and use in source and binary forms',
    (text) => (/neither the names? of/.test(text) ? 'BSD-3-Clause' : 'BSD-2-Clause'),
  ],
  ['this is free and unencumbered software released into the public domain', () => 'Unlicense'],
  ['cc0 1.0 universal', () => 'CC0-1.0'],
  ['blue oak model license version 1.0.0', () => 'BlueOak-1.0.0'],
];

/** Copies of one licence differ in case, line breaks, commas and markup; their words do not. */
function plainWords(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9.]+/g, ' ');
}

/**
 * Recognises a licence by sentences that only it has.
 * Undefined when none is recognised, or several are (as in a file listing bundled software).
 */
export function recogniseLicence(text: string): string | undefined {
  const words = plainWords(text);
  const found = FAMILIES.filter(([mark]) => words.includes(mark));
  return found.length === 1 ? found[0]?.[1](words) : undefined;
}

/**
 * Resolves under which licence a package is and where its text is.
 *
 * `kind` is `text` when a file with the text is in the package, `spdx-only` when only the manifest
 * names the licence.
 *
 * @param folder absolute path of the package
 * @param entries its files, as `listEntries` gives them
 * @throws {AuditError} LICENCE_MISSING, or a failure of reading the text
 */
export async function resolveLicence(
  folder: string,
  manifest: Manifest,
  entries: readonly PackageEntry[],
  signal: AbortSignal,
): Promise<Licence> {
  const stated = statedLicence(manifest);
  const pointer = SEE_FILE.exec(stated ?? '')?.[1];
  const names = candidates(entries, pointer);
  const spdx = pointer === undefined ? stated : undefined;

  for (const file of names) {
    const text = await readStart(folder, file, signal);
    if (text.trim() === '') continue;
    const textSpdx = recogniseLicence(text);
    return {
      kind: 'text',
      spdx: spdx ?? textSpdx ?? NO_ASSERTION,
      file,
      ...(textSpdx === undefined ? {} : { textSpdx }),
    };
  }
  if (spdx !== undefined) return { kind: 'spdx-only', spdx };
  throw new LicenceMissingError(
    pointer === undefined
      ? 'no licence in package.json and no licence file'
      : `package.json points to the licence in ${pointer}, which is not in the package`,
  );
}

/** The manifest's licence, in either its present (`license`) or its old form (`licenses`). */
function statedLicence(manifest: Manifest): string | undefined {
  const all = manifest.license === undefined ? (manifest.licenses ?? []) : [manifest.license];
  const ids = all.map((id) => id.trim()).filter((id) => id !== '');
  if (ids.length === 0) return undefined;
  const expression = ids.length === 1 ? ids.join('') : `(${ids.join(' OR ')})`;
  return expression.slice(0, MAX_SPDX_LENGTH);
}

/** Files that may hold the licence text, the most telling first. */
function candidates(entries: readonly PackageEntry[], pointer: string | undefined): string[] {
  const files = entries.filter((entry) => entry.kind === 'file').map((entry) => entry.path);
  const named = files.filter(
    // A language means code about licences (license.js), not the text of one.
    (path) => FILE_NAME.test(path) && languageOf(path) === undefined,
  );
  // Shortest first: LICENSE before LICENSE-THIRD-PARTY.txt.
  named.sort((a, b) => a.length - b.length);
  if (pointer === undefined) return named;
  // Only a listed file can match, so a pointer out of the package leads nowhere.
  const target = posix.normalize(pointer.replace(/^["'<]|[>"']$/g, ''));
  return [...files.filter((path) => path === target), ...named];
}

async function readStart(folder: string, path: string, signal: AbortSignal): Promise<string> {
  return withFile(folder, path, signal, async ({ chunks }) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of chunks) {
      parts.push(Buffer.from(chunk));
      bytes += chunk.length;
      if (bytes >= TEXT_BYTES) break;
    }
    return Buffer.concat(parts).subarray(0, TEXT_BYTES).toString('utf8');
  });
}
