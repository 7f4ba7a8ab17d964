import { appendFile, mkdir, mkdtemp, realpath, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { AuditError, fromSystemError } from '../../examples/audit/errors.js';
import { withFile } from '../../examples/audit/files.js';
import { REPORT_WIDTH } from '../../examples/audit/format.js';
import { auditPackage, type AuditContext } from '../../examples/audit/inspect.js';
import { LANGUAGES, languageOf, type Language } from '../../examples/audit/languages.js';
import { recogniseLicence } from '../../examples/audit/licence.js';
import { DEFAULT_LIMITS } from '../../examples/audit/limits.js';
import { LineCounter } from '../../examples/audit/lines.js';
import { findPackages } from '../../examples/audit/packages.js';
import { startProgress } from '../../examples/audit/progress.js';
import { renderReport, type AuditSummary } from '../../examples/audit/report.js';
import {
  MAX_RESULT_BYTES,
  packageAuditSchema,
  packageRefSchema,
  type PackageAudit,
} from '../../examples/audit/schema.js';

const MIT_TEXT = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software. The above copyright notice and this permission notice shall be included
in all copies.`;

let root: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'audit-')));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function put(path: string, content: string | Uint8Array): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

/** Writes a package into `node_modules`, under MIT unless told otherwise. */
async function install(
  name: string,
  files: Readonly<Record<string, string | Uint8Array>> = {},
  manifest: object = { name, version: '1.0.0', license: 'MIT' },
): Promise<void> {
  await put(`node_modules/${name}/package.json`, JSON.stringify(manifest));
  for (const [path, content] of Object.entries(files)) {
    await put(`node_modules/${name}/${path}`, content);
  }
}

function audit(name: string, context: Partial<AuditContext> = {}): Promise<PackageAudit> {
  return auditPackage(
    root,
    { path: `node_modules/${name}`, name },
    { signal: new AbortController().signal, progress: () => undefined, attempt: 1, ...context },
  );
}

async function failureOf(promise: Promise<unknown>): Promise<AuditError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AuditError)) throw new Error('expected an AuditError', { cause: error });
  return error;
}

describe('findPackages', () => {
  it('finds scoped and nested packages, sorted, each with its version', async () => {
    await install('b');
    await install('@scope/a', {}, { version: '2.1.0' });
    await install('b/node_modules/c');
    await put('node_modules/.bin/tool', '#!/bin/sh\n');
    await put('node_modules/.package-lock.json', '{}');

    const packages = await findPackages(root);

    expect(packages).toEqual([
      { path: 'node_modules/@scope/a', name: '@scope/a', version: '2.1.0' },
      { path: 'node_modules/b', name: 'b', version: '1.0.0' },
      { path: 'node_modules/b/node_modules/c', name: 'c', version: '1.0.0' },
    ]);
    for (const each of packages) expect(packageRefSchema.parse(each)).toEqual(each);
  });

  it('gives a linked package once, and none outside the root', async () => {
    await install('a');
    await symlink(join(root, 'node_modules/a'), join(root, 'node_modules/again'), 'junction');
    await symlink(tmpdir(), join(root, 'node_modules/outside'), 'junction');
    await symlink(join(root, 'nowhere'), join(root, 'node_modules/dangling'), 'junction');

    expect((await findPackages(root)).map((each) => each.path)).toEqual(['node_modules/a']);
  });

  it("finds what pnpm's store holds", async () => {
    const real = 'node_modules/.pnpm/a@1.0.0/node_modules/a';
    await put(`${real}/package.json`, '{"version":"1.0.0"}');
    await symlink(join(root, real), join(root, 'node_modules/a'), 'junction');

    expect(await findPackages(root)).toEqual([{ path: real, name: 'a', version: '1.0.0' }]);
  });

  it('gives a package with a broken manifest without a version', async () => {
    await put('node_modules/broken/package.json', '{');
    expect(await findPackages(root)).toEqual([{ path: 'node_modules/broken', name: 'broken' }]);
  });

  it('gives nothing where nothing is installed', async () => {
    expect(await findPackages(root)).toEqual([]);
  });
});

describe('auditPackage', () => {
  it('gives files, bytes, lines and licence, within the schema', async () => {
    const code = 'a();\n\n// no\nb();\n';
    await install('a', { 'index.js': code, 'README.md': 'x', LICENSE: MIT_TEXT });

    const result = await audit('a', { attempt: 2 });

    expect(packageAuditSchema.parse(result)).toEqual(result);
    expect(result).toMatchObject({
      name: 'a',
      version: '1.0.0',
      files: 4,
      lines: 3,
      languages: [
        { language: 'JavaScript', files: 1, lines: 2 },
        { language: 'JSON', files: 1, lines: 1 },
      ],
      licence: { kind: 'text', spdx: 'MIT', file: 'LICENSE', textSpdx: 'MIT' },
      attempt: 2,
    });
  });

  it('hashes the same content alike, wherever and in whatever order it was written', async () => {
    const manifest = { license: 'MIT' };
    await install('a', { 'x.js': '1', 'lib/y.js': '2' }, manifest);
    await install('b', { 'lib/y.js': '2', 'x.js': '1' }, manifest);
    const first = await audit('a');
    expect((await audit('a')).sha256).toBe(first.sha256);
    expect((await audit('b')).sha256).toBe(first.sha256);
  });

  it('hashes differently after one changed byte, a renamed file or a moved boundary', async () => {
    const manifest = { license: 'MIT' };
    const big = Buffer.alloc(300_000, 97);
    await install('a', { 'x.bin': big, y: 'cd' }, manifest);
    const changed = Buffer.from(big);
    changed[200_000] = 98;
    await install('b', { 'x.bin': changed, y: 'cd' }, manifest);
    await install('c', { 'z.bin': big, y: 'cd' }, manifest);
    await install('d', { 'x.bin': big.subarray(1), y: 'acd' }, manifest);
    const hashes = await Promise.all(['a', 'b', 'c', 'd'].map((name) => audit(name)));
    expect(new Set(hashes.map((each) => each.sha256)).size).toBe(4);
  });

  it('leaves packages nested in a package to their own audits', async () => {
    await install('a');
    const alone = await audit('a');
    await install('a/node_modules/b', { 'index.js': 'b();' });
    expect((await audit('a')).sha256).toBe(alone.sha256);
  });

  it('hashes a link by its target and does not follow it', async () => {
    await install('a');
    await put('elsewhere/secret.js', 'a();\n');
    await symlink(join(root, 'elsewhere'), join(root, 'node_modules/a/link'), 'junction');
    const result = await audit('a');
    expect(result.files).toBe(2);
    expect(result.languages.map((each) => each.language)).toEqual(['JSON']);
  });

  it('lets the event loop turn between chunks', async () => {
    await install('a', { 'big.js': 'call();\n'.repeat(500_000) });
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const result = await audit('a');
    clearInterval(timer);
    expect(result.lines).toBe(500_001);
    expect(turns).toBeGreaterThan(3);
  });

  it('reports progress first when the files are listed', async () => {
    await install('a', { 'x.js': '1' });
    const progress = vi.fn();
    await audit('a', { progress });
    expect(progress).toHaveBeenNthCalledWith(1, { filesDone: 0, filesTotal: 2, bytesDone: 0 });
  });

  it('does not start when aborted, and stops amid its files with the given reason', async () => {
    await install('a', { 'big.js': 'call();\n'.repeat(100_000) });
    const reason = new Error('shutting down');
    await expect(audit('a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    const controller = new AbortController();
    const progress = (): void => controller.abort(reason);
    await expect(audit('a', { signal: controller.signal, progress })).rejects.toBe(reason);
  });

  it('stops amid one large file', async () => {
    await put('large', Buffer.alloc(1_000_000));
    const controller = new AbortController();
    let bytes = 0;
    const reading = withFile(root, 'large', controller.signal, async ({ chunks }) => {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        controller.abort();
      }
    });
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(bytes).toBeLessThan(1_000_000);
  });
});

describe('failures', () => {
  it('MANIFEST_UNREADABLE: none, a folder in its place, or too large; permanent', async () => {
    await put('node_modules/none/index.js', '');
    await mkdir(join(root, 'node_modules/folder/package.json'), { recursive: true });
    await install('large');
    const failures = await Promise.all([
      failureOf(audit('none')),
      failureOf(audit('folder')),
      failureOf(audit('large', { limits: { ...DEFAULT_LIMITS, maxManifestBytes: 5 } })),
    ]);
    for (const failure of failures) {
      expect(failure).toMatchObject({
        code: 'MANIFEST_UNREADABLE',
        retryable: false,
        message: expect.stringMatching(/^package\.json: /),
      });
    }
  });

  it('MANIFEST_INVALID: no JSON, or no object; permanent', async () => {
    await put('node_modules/broken/package.json', '{ "name": ');
    await put('node_modules/list/package.json', '[]');
    for (const name of ['broken', 'list']) {
      expect(await failureOf(audit(name))).toMatchObject({
        name: 'ManifestInvalidError',
        code: 'MANIFEST_INVALID',
        retryable: false,
      });
    }
  });

  it('LICENCE_MISSING: nothing states a licence; permanent', async () => {
    await install('a', { 'license.js': 'export {}', LICENSE: ' \n' }, { license: '' });
    expect(await failureOf(audit('a'))).toMatchObject({
      code: 'LICENCE_MISSING',
      retryable: false,
      message: 'no licence in package.json and no licence file',
    });
    await install('b', {}, { license: 'SEE LICENSE IN ../a/LICENSE' });
    expect(await failureOf(audit('b'))).toMatchObject({
      code: 'LICENCE_MISSING',
      message: expect.stringContaining('../a/LICENSE'),
    });
  });

  it('LIMIT_EXCEEDED: too many files or bytes; permanent', async () => {
    await install('a', { 'x.txt': 'x'.repeat(100) });
    const fewFiles = audit('a', { limits: { ...DEFAULT_LIMITS, maxFiles: 1 } });
    const fewBytes = audit('a', { limits: { ...DEFAULT_LIMITS, maxPackageBytes: 99 } });
    for (const failure of await Promise.all([failureOf(fewFiles), failureOf(fewBytes)])) {
      expect(failure).toMatchObject({ code: 'LIMIT_EXCEEDED', retryable: false });
    }
  });

  it('FILE_VANISHED: a listed file or the whole package is gone; retryable', async () => {
    await install('a', { 'x.js': '1' });
    const failing = audit('a', { progress: () => unlink(join(root, 'node_modules/a/x.js')) });
    expect(await failureOf(failing)).toMatchObject({
      code: 'FILE_VANISHED',
      retryable: true,
      message: 'x.js: gone (ENOENT)',
    });
    expect(await failureOf(audit('gone'))).toMatchObject({ code: 'FILE_VANISHED' });
    // What the retry is for: the same package, now that nothing takes its files away.
    expect((await audit('a', { attempt: 2 })).files).toBe(1);
  });

  it('FILE_CHANGED: a file grows or is cut while it is read; retryable', async () => {
    await put('growing', 'x');
    await put('cut', Buffer.alloc(1_000_000));
    const { signal } = new AbortController();
    const growing = withFile(root, 'growing', signal, async ({ chunks }) => {
      for await (const chunk of chunks) await appendFile(join(root, 'growing'), chunk);
    });
    const cut = withFile(root, 'cut', signal, async ({ chunks }) => {
      for await (const chunk of chunks) await writeFile(join(root, 'cut'), chunk.subarray(0, 1));
    });
    for (const failure of await Promise.all([failureOf(growing), failureOf(cut)])) {
      expect(failure).toMatchObject({ code: 'FILE_CHANGED', retryable: true });
    }
  });

  it('RESOURCE_BUSY and FILE_UNREADABLE: as the system says', () => {
    const system = (code: string): Error => Object.assign(new Error(code), { code });
    for (const code of ['EMFILE', 'ENFILE', 'EBUSY']) {
      expect(fromSystemError(system(code), 'x')).toMatchObject({
        code: 'RESOURCE_BUSY',
        retryable: true,
        message: `x: ${code}`,
      });
    }
    expect(fromSystemError(system('EACCES'), 'x')).toMatchObject({
      code: 'FILE_UNREADABLE',
      retryable: false,
    });
    const bug = new TypeError('not from the file system');
    expect(fromSystemError(bug, 'x')).toBe(bug);
  });
});

describe('licences', () => {
  it.each([
    [{ license: 'ISC' }, {}, { kind: 'spdx-only', spdx: 'ISC' }],
    [{ license: { type: 'BSD' } }, {}, { kind: 'spdx-only', spdx: 'BSD' }],
    [{ licenses: [{ type: 'MIT' }, { type: 'Apache-2.0' }] }, {}, { kind: 'spdx-only', spdx: '(MIT OR Apache-2.0)' }],
    [{}, { 'LICENCE.txt': MIT_TEXT }, { kind: 'text', spdx: 'MIT', file: 'LICENCE.txt' }],
    [{}, { COPYING: 'Ask us.' }, { kind: 'text', spdx: 'NOASSERTION', file: 'COPYING' }],
    [{ license: 'ISC' }, { 'license.md': MIT_TEXT }, { kind: 'text', spdx: 'ISC', textSpdx: 'MIT' }],
    [
      { license: 'SEE LICENSE IN terms/EULA' },
      { 'terms/EULA': 'Pay us.' },
      { kind: 'text', spdx: 'NOASSERTION', file: 'terms/EULA' },
    ],
  ])('resolves %j with %j', async (manifest, files, licence) => {
    await install('a', files, manifest);
    expect((await audit('a')).licence).toMatchObject(licence);
  });

  it('recognises nothing in a text with several licences', () => {
    expect(recogniseLicence(MIT_TEXT)).toBe('MIT');
    expect(recogniseLicence('Apache License\n   Version 2.0, January 2004')).toBe('Apache-2.0');
    expect(recogniseLicence(`${MIT_TEXT}\nApache License, Version 2.0`)).toBeUndefined();
  });
});

function countLines(language: Language, text: string, chunkBytes = Infinity): number {
  const counter = new LineCounter(language);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    counter.push(bytes.subarray(at, at + chunkBytes));
  }
  return counter.finish();
}

describe('line counting', () => {
  const cases: readonly [Language, number, string][] = [
    ['JavaScript', 2, '// a\n\n/* b\n c */\nx(); // d\n/* e */ y();\n'],
    ['JavaScript', 3, "glob('/**/*.js');\nx();\n\n/* c */\n'*/';"],
    ['JavaScript', 3, 'const t = `\n// in a template\n`;\n// out of it\n'],
    ['JavaScript', 2, 'a(`x ${b.map((c) => { return `\\`${c}\\``; })} `);\n/* ` */\nd();'],
    ['JavaScript', 2, 'const r = /[`"\'/*]/;\n// comment\nconst d = a / b;\n'],
    ['JavaScript', 1, '\ufeff// after a byte order mark\r\n\r\nx();\r\n'],
    ['TypeScript', 1, '/** doc */\nlet a: string;\n'],
    ['TypeScript declarations', 1, '/**\n * doc\n */\nexport {};'],
    ['Flow', 1, '// @flow\ntype A = 1;\n'],
    ['JSON', 3, '{\n  "a": "// 1"\n\n}\n'],
    ['YAML', 2, "# a\nb: don't\n\nc: 1 # d\n"],
    ['HTML', 2, "<!-- a\n b -->\n<p>it's</p>\n<!-- c --><br>\n"],
    ['CSS', 1, '/* a */\na::before { content: "/*" }\n/* b */\n'],
    ['SCSS/Less', 1, '// a\n$b: 1;\n/* c */'],
    ['Shell', 1, '#!/bin/sh\n# a\necho "#"\n'],
    ['Python', 2, '# a\nx = 1\n\ny = 2 # b\n'],
    ['Lua', 2, '-- a\n--[[ b\n c ]]\nlocal d = "--[["\nreturn d -- e\n'],
    ['C/C++', 2, "/* a */\n#include <b.h>\n// c\nint d = '\"';\n"],
    ['Rust', 2, "// a\nfn b<'c>() {}\n/* d */\nlet e = '\\'';\n"],
  ];

  it.each(cases)('%s: %i in %j', (language, lines, text) => {
    expect(countLines(language, text)).toBe(lines);
    // Tokens cut by chunk ends must not change the count.
    for (const size of [1, 2, 3, 5]) expect(countLines(language, text, size)).toBe(lines);
  });

  it('covers every language', () => {
    expect(new Set(cases.map(([language]) => language))).toEqual(new Set(LANGUAGES));
  });

  it('tells the language by the extension', () => {
    const names = ['a.js', 'a.d.ts', 'b/a.d.mts', 'a.tsx', 'a.js.map', 'a.md', '.js', 'LICENSE'];
    expect(names.map(languageOf)).toEqual([
      'JavaScript',
      'TypeScript declarations',
      'TypeScript declarations',
      'TypeScript',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

function auditOf(name: string, overrides: Partial<PackageAudit> = {}): PackageAudit {
  return {
    path: `node_modules/${name}`,
    name,
    version: '1.0.0',
    sha256: '0'.repeat(64),
    files: 10,
    bytes: 2048,
    lines: 1500,
    languages: [{ language: 'JavaScript', files: 9, lines: 1500 }],
    licence: { kind: 'text', spdx: 'MIT', file: 'LICENSE', textSpdx: 'MIT' },
    attempt: 1,
    durationMs: 12,
    ...overrides,
  };
}

describe('packageAuditSchema', () => {
  it('refuses a result that is over its size', () => {
    expect(packageAuditSchema.safeParse(auditOf('a')).success).toBe(true);
    const wide = auditOf('a', {
      path: '\u20ac'.repeat(1024),
      licence: { kind: 'text', spdx: '\u20ac'.repeat(128), file: '\u20ac'.repeat(255) },
    });
    expect(Buffer.byteLength(JSON.stringify(wide))).toBeGreaterThan(MAX_RESULT_BYTES);
    expect(packageAuditSchema.safeParse(wide).success).toBe(false);
  });
});

describe('renderReport', () => {
  const summary: AuditSummary = {
    durationMs: 2000,
    audits: [
      auditOf('small'),
      auditOf('big', { bytes: 5 * 1024 ** 2, attempt: 3, durationMs: 3210 }),
      auditOf('odd', { licence: { kind: 'text', spdx: 'ISC', file: 'LICENSE', textSpdx: 'MIT' } }),
      auditOf(`@scope/${'long'.repeat(40)}`, {
        licence: { kind: 'spdx-only', spdx: 'x'.repeat(128) },
      }),
    ],
    failures: [
      {
        path: 'node_modules/bad',
        name: 'bad',
        version: '0.1.0',
        code: 'MANIFEST_INVALID',
        reason: `package.json: \u001b[31mUnexpected\nend ${'of input '.repeat(20)}`,
        attempts: 1,
      },
      {
        path: 'node_modules/flaky',
        name: 'flaky',
        code: 'FILE_CHANGED',
        reason: 'x.js: changed while read',
        attempts: 4,
      },
    ],
  };

  it('holds totals, languages, licences, retries and failures with their reasons', () => {
    const report = renderReport(summary, { color: false });
    expect(report).toMatch(/Packages +6 +2 failed/);
    expect(report).toMatch(/Throughput +3\.0 packages\/s/);
    expect(report).toMatch(/JavaScript +4 +36 +6,000 +100\.0%/);
    expect(report).toMatch(/MIT +2 +2 +0/);
    expect(report).toMatch(/odd@1\.0\.0 +ISC +MIT +LICENSE/);
    expect(report).toMatch(/big@1\.0\.0 +5\.0 MiB +10 +1,500 +3\.21 s/);
    expect(report).toMatch(/big@1\.0\.0 +3 +succeeded/);
    expect(report).toMatch(/flaky +4 +failed: FILE_CHANGED/);
    expect(report).toMatch(/bad@0\.1\.0 +MANIFEST_INVALID +package\.json: \[31mUnexpected/);
    expect(report).toMatch(/Unexpected end of\n {4,}input of/);
    expect(report).toMatch(/flaky +FILE_CHANGED +x\.js: changed while read/);
  });

  it('keeps to its width and lets no control character through', () => {
    const report = renderReport(summary, { color: false });
    expect(report).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    for (const line of report.split('\n')) expect(line.length).toBeLessThanOrEqual(REPORT_WIDTH);
  });

  it('adds nothing but colour when coloured', () => {
    const colored = renderReport(summary, { color: true });
    expect(colored).toContain('\u001b[');
    expect(stripVTControlCharacters(colored)).toBe(renderReport(summary, { color: false }));
  });

  it('is readable with nothing audited', () => {
    const report = renderReport({ audits: [], failures: [], durationMs: 0 }, { color: false });
    expect(report).toMatch(/Packages +0 +none failed/);
    expect(report).not.toContain('NaN');
  });
});

describe('startProgress', () => {
  function setUp(isTTY: boolean, columns = 60) {
    const written: string[] = [];
    let timeMs = 0;
    const display = startProgress({
      total: 200,
      stream: { isTTY, columns, write: (text: string) => written.push(text) },
      now: () => timeMs,
    });
    return {
      written,
      display,
      advance: (ms: number): void => {
        timeMs += ms;
      },
    };
  }

  it('rewrites one line on a terminal, at most ten times a second', () => {
    const { written, display, advance } = setUp(true);
    for (let done = 1; done <= 100; done += 1) {
      advance(10);
      display.update({ done, running: 4, failed: 1 });
    }
    expect(written).toHaveLength(10);
    for (const text of written) expect(text).toMatch(/^\r[^\r\n]{1,59}$/);
    display.stop();
    display.stop();
    expect(written.slice(10)).toEqual(['\r100/200 packages  4 running  1 failed  99.0/s', '\n']);
  });

  it('cuts the line to the width of the terminal, when that is known', () => {
    const narrow = setUp(true, 20);
    narrow.display.stop();
    expect(narrow.written[0]).toBe('\r0/200 packages  0 …');
    const unknown = setUp(true, 0);
    unknown.display.stop();
    expect(unknown.written[0]).toBe('\r0/200 packages  0 running  0 failed  0.0/s');
  });

  it('writes a line every two seconds elsewhere', () => {
    const { written, display, advance } = setUp(false);
    for (let done = 1; done <= 50; done += 1) {
      advance(100);
      display.update({ done, running: 2, failed: 0 });
    }
    expect(written).toEqual([
      '20/200 packages  2 running  0 failed  9.5/s\n',
      '40/200 packages  2 running  0 failed  9.8/s\n',
    ]);
    display.stop();
    expect(written[2]).toMatch(/^50\/200 packages .*\n$/);
  });
});
