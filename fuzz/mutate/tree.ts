/** A copy of the project in which one file at a time is broken. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { present } from '../../model/core/present.js';

/** The top of the project. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Everything that tests may read. */
const COPIED = [
  ...['.ci', 'bench', 'docs', 'examples', 'fuzz', 'lua', 'model', 'src', 'test'],
  ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'tsconfig.json', 'vitest.config.ts'],
];

export class Tree {
  /** The texts of files that were broken. */
  private readonly unbroken = new Map<string, string>();
  readonly path = mkdtempSync(join(tmpdir(), 'flowfabric-mutate-'));

  constructor() {
    for (const name of COPIED)
      if (existsSync(ROOT + name)) cpSync(ROOT + name, join(this.path, name), { recursive: true });
    symlinkSync(`${ROOT}node_modules`, join(this.path, 'node_modules'));
    // Also when the run is stopped.
    process.once('exit', this.remove);
  }

  /** Replaces the text of a file. */
  break(file: string, source: string): void {
    const path = join(this.path, file);
    this.unbroken.set(file, readFileSync(path, 'utf8'));
    writeFileSync(path, source);
  }

  /** Restores the text that was copied, because the project may have changed in the meantime. */
  mend(file: string): void {
    writeFileSync(join(this.path, file), present(this.unbroken.get(file)));
  }

  readonly remove = (): void => {
    process.off('exit', this.remove);
    rmSync(this.path, { recursive: true, force: true });
  };
}

/** Every file below a folder, as paths from the top of the project. */
export const filesUnder = (folder: string): string[] =>
  readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(`${folder}${entry.name}/`) : [folder + entry.name],
  );
