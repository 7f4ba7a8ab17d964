import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'iovalkey';
import { findValkeyProgram, type ValkeyProgram } from './find.js';
import { freePort } from './ports.js';
import { startWatchdog, type Watchdog } from './watchdog.js';

const host = '127.0.0.1';
const startTimeoutMs = 30_000;

/** How a private server is started. */
export interface StartValkeyOptions {
  /** TCP port on 127.0.0.1; default: a free one. */
  port?: number;
  /** Whether writes are kept in an append-only file, so that {@link ValkeyServer.restart} finds them; default false. */
  appendonly?: boolean;
  /** Folder for the server's files; default: a new temporary one, removed by {@link ValkeyServer.stop}. */
  dir?: string;
  /** Further arguments of `valkey-server`, which win over the ones set here. */
  args?: string[];
  /** Further variables of the server's environment, where it runs without Docker; default: none. */
  env?: Readonly<Record<string, string>>;
  /** The primary to replicate from; default: none. */
  replicaOf?: { host: string; port: number };
}

/** A private server of this process. It ends with the process (or worker thread) at the latest. */
export interface ValkeyServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The server's process, or that of the Docker client which runs it; another one after a restart. */
  readonly pid: number;
  /** Folder with the server's files and its log, `server.log`. */
  readonly dir: string;
  /** Ends the server at once and removes its folder if that is a temporary one. May be called again. */
  stop(): Promise<void>;
  /** Sends a signal; for `SIGKILL` and `SIGTERM`, resolves when the server is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again on its port and folder, killing it with SIGKILL first if it still runs. */
  restart(): Promise<void>;
}

/** One run of the server's process. */
interface Run {
  child: ChildProcess;
  pid: number;
  exited: Promise<void>;
  hasExited: () => boolean;
  watchdog: Watchdog;
  signal: (signal: NodeJS.Signals) => void;
}

const launch = async (
  program: ValkeyProgram,
  args: string[],
  { dir, ownsDir, env = {} }: { dir: string; ownsDir: boolean; env: StartValkeyOptions['env'] },
): Promise<Run> => {
  const container = `flowfabric-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const [file, ...argv] =
    program.kind === 'binary'
      ? [program.path, ...args]
      : [
          ...['docker', 'run', '--rm', '--name', container, '--network', 'host', '--user', user],
          ...['-v', `${dir}:${dir}`, program.image, 'valkey-server', ...args],
        ];
  const log = await open(join(dir, 'server.log'), 'a');
  try {
    const child = spawn(file as string, argv, {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, ...env },
      // Its own process group: on Ctrl-C the test decides when its server ends.
      detached: true,
    });
    let gone = false;
    const exited = new Promise<void>((resolve) => {
      const done = (): void => {
        gone = true;
        resolve();
      };
      child.once('exit', done);
      child.once('error', done);
    });
    const pid = child.pid;
    if (pid === undefined) throw new Error(`${file as string} could not be started`);
    child.unref();
    const killCommand = program.kind === 'binary' ? ['kill', '-9', String(pid)] : ['docker', 'kill', container];
    return {
      child,
      pid,
      exited,
      hasExited: () => gone,
      watchdog: startWatchdog(killCommand, ownsDir ? dir : undefined),
      signal: (signal) => {
        if (gone) return;
        if (program.kind === 'binary') child.kill(signal);
        else spawn('docker', ['kill', '--signal', signal, container], { stdio: 'ignore' });
      },
    };
  } finally {
    await log.close();
  }
};

/** Waits until the server answers PING and is the one that was started, not another that took its port. */
const waitUntilReady = async (program: ValkeyProgram, run: Run, port: number, dir: string): Promise<void> => {
  const deadline = Date.now() + startTimeoutMs;
  const client = new Redis({
    host,
    port,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => 20,
  });
  client.on('error', () => undefined);
  try {
    while (!run.hasExited() && Date.now() < deadline) {
      try {
        if ((await client.ping()) === 'PONG') {
          const info = await client.info('server');
          const pid = Number(/^process_id:(\d+)/m.exec(info)?.[1]);
          if (program.kind === 'docker' || pid === run.pid) return;
          // Another server has the port: the one started here is about to say so and end.
          await Promise.race([run.exited, sleep(5_000, undefined, { ref: false })]);
          break;
        }
      } catch {
        // Not yet listening, or still loading its data.
      }
      await sleep(10);
    }
  } finally {
    client.disconnect();
  }
  const log = await readFile(join(dir, 'server.log'), 'utf8').catch(() => '');
  throw new Error(`valkey-server did not become ready on port ${port}:\n${log.slice(-2_000)}`);
};

const attempt = async (options: StartValkeyOptions, port: number): Promise<ValkeyServer> => {
  const program = await findValkeyProgram();
  const ownsDir = options.dir === undefined;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'flowfabric-valkey-')));
  await mkdir(dir, { recursive: true });
  const args = [
    ...['--port', String(port), '--bind', host, '--dir', dir, '--save', ''],
    ...['--appendonly', options.appendonly === true ? 'yes' : 'no'],
    ...['--maxmemory-policy', 'noeviction', '--loglevel', 'warning'],
    // A primary waits by default for more replicas to come before it serves the first.
    ...['--repl-diskless-sync-delay', '0'],
    ...(options.replicaOf === undefined ? [] : ['--replicaof', options.replicaOf.host, String(options.replicaOf.port)]),
    ...(options.args ?? []),
  ];

  let run: Run;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    run.signal(signal);
    await run.exited;
    run.watchdog.disarm();
  };
  const begin = async (): Promise<void> => {
    run = await launch(program, args, { dir, ownsDir, env: options.env });
    try {
      await waitUntilReady(program, run, port, dir);
    } catch (error) {
      await end('SIGKILL');
      throw error;
    }
  };
  const removeDir = async (): Promise<void> => {
    if (ownsDir) await rm(dir, { recursive: true, force: true });
  };

  try {
    await begin();
  } catch (error) {
    await removeDir();
    throw error;
  }
  return {
    url: `redis://${host}:${port}`,
    host,
    port,
    dir,
    get pid() {
      return run.pid;
    },
    stop: async () => {
      await end('SIGKILL');
      await removeDir();
    },
    kill: async (signal) => {
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await end(signal);
      else run.signal(signal);
    },
    restart: async () => {
      await end('SIGKILL');
      await begin();
    },
  };
};

/**
 * Starts a private server on 127.0.0.1 that keeps nothing on disk unless asked
 * to, and waits until it answers. It runs even where `VALKEY_URL` names a
 * server, since its callers stop, kill or configure it.
 *
 * @throws Error if no program is found (see {@link findValkeyProgram}), or with
 *   the server's log if it does not become ready within 30 seconds
 */
export const startValkey = async (options: StartValkeyOptions = {}): Promise<ValkeyServer> => {
  if (options.port !== undefined) return attempt(options, options.port);
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(options, await freePort());
    } catch (error) {
      // Another process may have taken the port between the probe and the start.
      const taken = error instanceof Error && /in use|did not become ready/.test(error.message);
      if (tries === 3 || !taken) throw error;
    }
  }
};
