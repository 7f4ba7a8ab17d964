import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis as Valkey } from 'iovalkey';
import { findValkeyProgram, freePort } from '../test/support/valkey/index.js';
import { startWatchdog } from '../test/support/valkey/watchdog.js';
import type { ServerAddress } from './adapter.js';
import { readDump, type Instructions } from './callgrind-dump.js';

const run = promisify(execFile);

const HOST = '127.0.0.1';

/** How long the server may take to answer under valgrind, in milliseconds. */
const START_LIMIT_MS = 60_000;

const HOW_TO_GET = 'valgrind is missing: apt-get install valgrind (Debian, Ubuntu) or dnf install valgrind (Fedora).';

/**
 * A private server under callgrind. Counted are instructions, which neither other load on the machine nor its clock
 * changes: two measurements of the same work differ by less than two per cent.
 */
export class CallgrindServer {
  private constructor(
    readonly address: ServerAddress,
    private readonly pid: number,
    private readonly folder: string,
    private readonly program: string,
    private readonly end: () => Promise<void>,
  ) {}

  /** Starts a server. @throws Error that says how to get valgrind when it is missing. */
  static async start(): Promise<CallgrindServer> {
    await run('valgrind', ['--version']).catch(() => {
      throw new Error(HOW_TO_GET);
    });
    const program = await findValkeyProgram();
    if (program.kind !== 'binary') throw new Error('valkey-server must be on PATH: callgrind cannot look into Docker.');
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'flowfabric-callgrind-'));
    const child = spawn(
      'valgrind',
      [
        ...['--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${join(folder, 'dump')}`, program.path],
        ...['--port', String(port), '--bind', HOST, '--dir', folder, '--save', '', '--loglevel', 'warning'],
        // Nothing runs beside the commands that are counted.
        ...['--hz', '1', '--dynamic-hz', 'no', '--activedefrag', 'no', '--jemalloc-bg-thread', 'no'],
      ],
      { stdio: 'ignore', detached: true },
    );
    const { pid } = child;
    if (pid === undefined) throw new Error(HOW_TO_GET);
    const watchdog = startWatchdog(['kill', '-9', String(pid)], folder);
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
      watchdog.disarm();
      await rm(folder, { recursive: true, force: true });
    };
    try {
      await waitUntilReady(port);
    } catch (error) {
      await end();
      throw error;
    }
    return new CallgrindServer(
      { host: HOST, port, url: `valkey://${HOST}:${port}` },
      pid,
      folder,
      // Debian's valkey-server is a link to another name.
      await realpath(program.path),
      end,
    );
  }

  /** Counts what the server executes while `action` runs; before and after, it runs several times as fast. */
  async measure(action: () => Promise<void>): Promise<Instructions> {
    await this.control('--instr=on');
    await this.control('--zero');
    await action();
    await this.control('--dump');
    await this.control('--instr=off');
    return readDump(await readFile(await this.newestDump(), 'latin1'), this.program);
  }

  async stop(): Promise<void> {
    await this.end();
  }

  private async control(option: string): Promise<void> {
    await run('callgrind_control', [option, String(this.pid)]);
  }

  /** Dumps are numbered as they are written: `dump.1`, `dump.2`, ... */
  private async newestDump(): Promise<string> {
    const numbers = (await readdir(this.folder)).map((name) => Number(/^dump\.(\d+)$/.exec(name)?.[1] ?? 0));
    return join(this.folder, `dump.${Math.max(...numbers)}`);
  }
}

async function waitUntilReady(port: number): Promise<void> {
  const client = new Valkey({
    host: HOST,
    port,
    lazyConnect: true,
    retryStrategy: () => 100,
    maxRetriesPerRequest: null,
  });
  client.on('error', () => undefined);
  const deadline = setTimeout(() => {
    client.disconnect();
  }, START_LIMIT_MS);
  try {
    await client.connect().catch(() => undefined);
    await client.ping();
  } catch (cause) {
    throw new Error(`valkey-server did not start under valgrind within ${START_LIMIT_MS / 1_000} s.`, { cause });
  } finally {
    clearTimeout(deadline);
    client.disconnect();
  }
}
