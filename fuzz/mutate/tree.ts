/** A copy of the project in which one file at a time is broken. */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the project. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Everything that tests may read. */
const COPIED = [
  ...['.ci', 'bench', 'docs', 'examples', 'fuzz', 'lua', 'model', 'src', 'test'],
  ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'tsconfig.json', 'vitest.config.ts'],
];

export class Tree {
  readonly path = mkdtempSync(join(tmpdir(), 'flowfabric-mutate-'));

  constructor() {
    for (const name of COPIED)
      if (existsSync(ROOT + name)) cpSync(ROOT + name, join(this.path, name), { recursive: true });
    symlinkSync(`${ROOT}node_modules`, join(this.path, 'node_modules'));
  }

  /** Replaces the text of a file. */
  break(file: string, source: string): void {
    writeFileSync(join(this.path, file), source);
  }

  mend(file: string): void {
    cpSync(ROOT + file, join(this.path, file));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Every file below a folder, as paths from the top of the project. */
export const filesUnder = (folder: string): string[] =>
  readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(`${folder}${entry.name}/`) : [folder + entry.name],
  );
