/** A locale in which texts do not stand in the order of their bytes, for servers that run in one. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NAME = 'en_US.UTF-8';

export interface ForeignLocale {
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** The locale, made for this purpose; nothing where the system has no sources of locales. */
export async function foreignLocale(): Promise<ForeignLocale | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'flowfabric-locale-'));
  const remove = (): Promise<void> => rm(dir, { recursive: true, force: true });
  try {
    await run('localedef', ['-i', 'en_US', '-f', 'UTF-8', join(dir, NAME)]);
    return { env: { LOCPATH: dir, LC_ALL: NAME }, remove };
  } catch {
    await remove();
    return undefined;
  }
}
