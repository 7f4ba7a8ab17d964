import { access, constants } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { installFromDebian, installableCodename } from './install.js';
import { withFolderLock } from './lock.js';
import { run, succeeds } from './run.js';

/** A way to start Valkey servers: a program of this machine, or an image under Docker. */
export type ValkeyProgram = { kind: 'binary'; path: string } | { kind: 'docker'; image: string };

/** Where tests get their server: one that already runs, or a program that starts one. */
export type ValkeySource = { kind: 'url'; url: string } | ValkeyProgram;

const image = 'valkey/valkey:8';

const binaryOnPath = async (): Promise<ValkeyProgram | undefined> => {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, 'valkey-server');
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return { kind: 'binary', path };
  }
  return undefined;
};

const installed = async (): Promise<ValkeyProgram | undefined> => {
  const codename = await installableCodename();
  if (codename === undefined) return undefined;
  return withFolderLock(join(tmpdir(), 'flowfabric-valkey-install.lock'), 600_000, async () => {
    // Another process may have installed it while this one waited.
    const already = await binaryOnPath();
    if (already !== undefined) return already;
    await installFromDebian(codename);
    return binaryOnPath();
  });
};

const search = async (): Promise<ValkeyProgram> => {
  const onPath = await binaryOnPath();
  if (onPath !== undefined) return onPath;
  let cause: unknown;
  try {
    const binary = await installed();
    if (binary !== undefined) return binary;
  } catch (error) {
    // Docker may still do; the reason is kept for the case that it does not.
    cause = error;
  }
  if (await succeeds('docker', ['info'])) {
    // Fetched here, where there is time for it: a server has only seconds to become ready.
    if (!(await succeeds('docker', ['image', 'inspect', image]))) await run('docker', ['pull', image]);
    return { kind: 'docker', image };
  }
  throw new Error(
    'No Valkey server was found: install the package valkey-server (version 8 or newer) so that ' +
      'valkey-server is on PATH, start a Docker daemon, or set VALKEY_URL to a server the tests may write to.',
    { cause },
  );
};

let program: Promise<ValkeyProgram> | undefined;

/**
 * Finds a program that starts Valkey servers: `valkey-server` on PATH, else
 * (as root on Debian) the distribution's package, which is installed, else the
 * `valkey/valkey:8` image if a Docker daemon answers. Found once per process.
 *
 * @throws Error that says what to install if there is none
 */
export const findValkeyProgram = (): Promise<ValkeyProgram> => {
  program ??= search();
  return program;
};

/**
 * Finds a server for tests: the one that `VALKEY_URL` names, used as it is, or
 * else a program as {@link findValkeyProgram} finds it.
 *
 * @throws Error that says what to install or to set if there is none
 */
export const findValkeyServer = async (): Promise<ValkeySource> => {
  const url = process.env['VALKEY_URL'];
  return url !== undefined && url !== '' ? { kind: 'url', url } : findValkeyProgram();
};
