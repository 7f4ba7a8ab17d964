import { access, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { run } from './run.js';
import { deriveBackportsSource, type AptSourceFile } from './sources.js';

const aptFolder = '/etc/apt';
const newSourceFile = `${aptFolder}/sources.list.d/valkey-backports.sources`;
const policyFile = '/usr/sbin/policy-rc.d';

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** The release's code name if this is Debian and the process may install packages, else `undefined`. */
export const installableCodename = async (): Promise<string | undefined> => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID="?debian"?$/m.test(release)) return undefined;
  return /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
};

const readAptSources = async (): Promise<AptSourceFile[]> => {
  const parts = await readdir(`${aptFolder}/sources.list.d`).catch((): string[] => []);
  const names = [
    `${aptFolder}/sources.list`,
    ...parts
      .filter((name) => /\.(list|sources)$/.test(name))
      .sort()
      .map((name) => `${aptFolder}/sources.list.d/${name}`),
  ];
  const present = await Promise.all(names.map(async (name) => ((await exists(name)) ? [name] : [])));
  return Promise.all(present.flat().map(async (name) => ({ name, text: await readFile(name, 'utf8') })));
};

const hasCandidate = async (): Promise<boolean> =>
  /^\s*Candidate: (?!\(none\))/m.test(await run('apt-cache', ['policy', 'valkey-server']));

const update = (): Promise<string> => run('apt-get', ['update', '-q', '-o', 'Acquire::Retries=3']);

/**
 * Keeps the package from starting its own server on the default port while
 * `task` runs, in the way Debian's policy gives for it. A policy that the
 * machine already has is left alone.
 */
const withoutServiceStarts = async (task: () => Promise<void>): Promise<void> => {
  if (await exists(policyFile)) return task();
  await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
  try {
    await task();
  } finally {
    await rm(policyFile, { force: true });
  }
};

/**
 * Installs `valkey-server` from the distribution's packages: from the suites
 * the machine has, else from the release's backports, added as one new file
 * beside apt's configured sources.
 *
 * @param codename the release's code name, from {@link installableCodename}
 * @throws Error with apt's own output if the package cannot be had
 */
export const installFromDebian = async (codename: string): Promise<void> => {
  if (!(await hasCandidate())) await update();
  if (!(await hasCandidate())) {
    const source = deriveBackportsSource(await readAptSources(), codename);
    if (source !== undefined) {
      await writeFile(newSourceFile, source, { flag: 'wx' });
      await update();
    }
  }
  const backports = `${codename}-backports`;
  const policy = await run('apt-cache', ['policy', 'valkey-server']);
  const release = policy.includes(`${backports}/`) ? ['-t', backports] : [];
  await withoutServiceStarts(async () => {
    await run('apt-get', [
      'install',
      '-y',
      '-q',
      '--no-install-recommends',
      '-o',
      'DPkg::Lock::Timeout=300',
      '-o',
      'Acquire::Retries=3',
      ...release,
      'valkey-server',
      'valkey-tools',
    ]);
  });
};
