/** Sentinels of a test. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.js';

export interface StartSentinelOptions {
  /** The server's program. */
  readonly program: string;
  /** Where its file goes. */
  readonly folder: string;
  readonly monitored: { readonly name: string; readonly port: number; readonly quorum: number };
  /** Further settings of Sentinels, without the word `sentinel`. */
  readonly settings?: readonly string[];
  /** Further lines of its file. */
  readonly lines?: readonly string[];
}

export interface Sentinel {
  readonly port: number;
  stop(): void;
}

/** Starts the server's program as a Sentinel, and waits until it listens. */
export async function startSentinel(options: StartSentinelOptions): Promise<Sentinel> {
  const { program, folder, monitored, settings = [], lines = [] } = options;
  const port = await freePort();
  const file = join(folder, `sentinel-${port}.conf`);
  const text = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    ...lines,
    `sentinel monitor ${monitored.name} 127.0.0.1 ${monitored.port} ${monitored.quorum}`,
    ...settings.map((setting) => `sentinel ${setting}`),
  ];
  await writeFile(file, `${text.join('\n')}\n`);
  const child = spawn(program, [file, '--sentinel'], { stdio: 'ignore' });
  while (!(await listens(port))) await sleep(20);
  return { port, stop: () => void child.kill('SIGKILL') };
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
