import { Redis as Valkey } from 'iovalkey';
import { startValkey } from '../test/support/valkey/index.js';
import type { ServerAddress } from './adapter.js';

/** Any long period: the timer only has to exist. */
const KEEP_ALIVE_MS = 60_000;

/** Calls of a function that are noted, µs. */
const LONG_CALL_US = 200;

/** What the server has counted for one command since the last reset of its statistics. */
interface CommandCount {
  readonly calls: number;
  /** Microseconds spent in the command; a function's time includes the commands it calls. */
  readonly usec: number;
}

/** A connection of the harness that watches a server, from whichever process measures. */
export class ServerMonitor {
  private readonly monitor: Valkey;

  constructor(readonly address: ServerAddress) {
    this.monitor = new Valkey({ host: address.host, port: address.port });
  }

  /** Empties the store. Loaded function libraries stay. */
  async flush(): Promise<void> {
    await this.monitor.flushall('SYNC');
  }

  /** The fields of one section of INFO. */
  async info(section: string): Promise<ReadonlyMap<string, string>> {
    const text = await this.monitor.info(section);
    const fields = new Map<string, string>();
    for (const line of text.split('\r\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
    }
    return fields;
  }

  /** One numeric field of INFO. @throws Error when the server does not report it. */
  async infoNumber(section: string, field: string): Promise<number> {
    const value = Number((await this.info(section)).get(field));
    if (Number.isNaN(value)) throw new Error(`INFO ${section} has no number ${field}.`);
    return value;
  }

  /** Microseconds of CPU that the server has used since it started, socket work included. */
  async cpuUs(): Promise<number> {
    const cpu = await this.info('cpu');
    return (Number(cpu.get('used_cpu_user')) + Number(cpu.get('used_cpu_sys'))) * 1e6;
  }

  /** Sets all counters of INFO to zero. */
  async resetStatistics(): Promise<void> {
    await this.monitor.config('RESETSTAT');
  }

  /** Counts per command since the last reset, without the harness's own commands. */
  async commandCounts(): Promise<ReadonlyMap<string, CommandCount>> {
    const counts = new Map<string, CommandCount>();
    for (const [field, value] of await this.info('commandstats')) {
      const command = field.replace('cmdstat_', '');
      if (/^(config|info)\b/.test(command)) continue;
      const numbers = new Map(
        value.split(',').map((pair): [string, number] => {
          const [key = '', number = ''] = pair.split('=');
          return [key, Number(number)];
        }),
      );
      counts.set(command, { calls: numbers.get('calls') ?? 0, usec: numbers.get('usec') ?? 0 });
    }
    return counts;
  }

  /** Begins anew to note the calls of functions that last long enough to matter. */
  async watchCalls(): Promise<void> {
    await this.monitor.config('SET', 'slowlog-log-slower-than', LONG_CALL_US);
    await this.monitor.slowlog('RESET');
  }

  /** The longest call of a function since then, as the server measured it, ms; 0 when none was long enough. */
  async longestCallMs(): Promise<number> {
    const calls = (await this.monitor.slowlog('GET', -1)) as [number, number, number, string[]][];
    const lengths = calls.filter(([, , , [command]]) => /^fcall/i.test(command ?? '')).map(([, , us]) => us / 1_000);
    return Math.max(0, ...lengths);
  }

  /** Bytes that the server's data and buffers use, after giving free pages back. */
  async usedMemoryBytes(): Promise<number> {
    await this.monitor.memory('PURGE');
    return this.infoNumber('memory', 'used_memory');
  }

  /** Empties every stream: the logs of this engine, wherever it keeps them. */
  async trimStreams(): Promise<void> {
    let cursor = '0';
    do {
      const [next, keys] = await this.monitor.scan(cursor, 'COUNT', 1_000, 'TYPE', 'stream');
      for (const key of keys) await this.monitor.xtrim(key, 'MAXLEN', 0);
      cursor = next;
    } while (cursor !== '0');
  }

  /** Bytes of each key that begins so, by its name: `MEMORY USAGE` over all of it. */
  async memoryOf(start: string): Promise<ReadonlyMap<string, number>> {
    const usage = new Map<string, number>();
    const pattern = `${start.replace(/[[\]?*\\]/g, (c) => `\\${c}`)}*`;
    let cursor = '0';
    do {
      const [next, keys] = await this.monitor.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
      const sizes = await Promise.all(keys.map((key) => this.monitor.memory('USAGE', key, 'SAMPLES', 0)));
      keys.forEach((key, i) => usage.set(key, Number(sizes[i] ?? 0)));
      cursor = next;
    } while (cursor !== '0');
    return usage;
  }

  /** Number of keys. */
  async keyCount(): Promise<number> {
    return this.monitor.dbsize();
  }

  /** Connections other than the harness's own. */
  async clientCount(): Promise<number> {
    return (await this.infoNumber('clients', 'connected_clients')) - 1;
  }

  /** The server's version. */
  async version(): Promise<string> {
    const server = await this.info('server');
    return server.get('valkey_version') ?? server.get('redis_version') ?? 'unknown';
  }

  /** Closes the connection; the server runs on. */
  close(): void {
    this.monitor.disconnect();
  }
}

/** A private Valkey server, and a connection that watches it. */
export class BenchServer extends ServerMonitor {
  private constructor(private readonly process: Awaited<ReturnType<typeof startValkey>>) {
    super({ host: process.host, port: process.port, url: process.url });
  }

  /** Starts a server on a free loopback port, without snapshots; with `appendonly` the file is synced every second. */
  static async start(options: { readonly appendonly: boolean }): Promise<BenchServer> {
    const args = ['--save', '', '--appendfsync', 'everysec'];
    return new BenchServer(await startValkey({ appendonly: options.appendonly, args }));
  }

  async stop(): Promise<void> {
    this.close();
    // The server's process does not keep this one alive, and with the monitor gone nothing else may.
    const keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
    try {
      await this.process.stop();
    } finally {
      clearInterval(keepAlive);
    }
  }
}
