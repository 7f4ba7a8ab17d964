/**
 * The server of a run and its faults: killed and restarted on its files, truncated as by a power cut, replaced by its
 * replica. Each fault that may lose acknowledged writes returns when the server died, ms since the epoch.
 */
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Valkey } from 'iovalkey';
import { startValkey, type ValkeyServer } from '../../test/support/valkey/index.js';
import { Proxy } from './proxy.js';

export type Fsync = 'everysec' | 'always';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Servers {
  private constructor(
    private primary: ValkeyServer,
    private readonly address: Proxy,
    private readonly fsync: Fsync,
    private replica: ValkeyServer | undefined,
    private readonly link: Proxy | undefined,
  ) {}

  static async start(fsync: Fsync, withReplica: boolean): Promise<Servers> {
    const args = ['--appendfsync', fsync];
    const primary = await startValkey({ appendonly: true, args });
    const address = await Proxy.open(primary.port);
    if (!withReplica) return new Servers(primary, address, fsync, undefined, undefined);
    // Its link goes through a proxy of its own, so that it can fall behind before the primary dies.
    const link = await Proxy.open(primary.port);
    const replica = await startValkey({ appendonly: true, args, replicaOf: { host: '127.0.0.1', port: link.port } });
    return new Servers(primary, address, fsync, replica, link);
  }

  /** The address that clients know. */
  get url(): string {
    return this.address.url;
  }

  /** kill -9, and a start on the same files. */
  async restart(): Promise<number | undefined> {
    await this.primary.kill('SIGKILL');
    const diedAt = Date.now();
    await pause(300);
    await this.primary.restart();
    // With everysec a server holds writes back while the disk is slow, and loses those.
    return this.fsync === 'always' ? undefined : diedAt;
  }

  /** The effect of a power cut with everysec: the last writes of the append-only file are lost. */
  async powerCut(): Promise<number> {
    const file = await this.appendOnlyFile();
    const { size } = await stat(file);
    await pause(400);
    await this.primary.kill('SIGKILL');
    const diedAt = Date.now();
    // If a rewrite has started a new file meanwhile, nothing is cut.
    if ((await this.appendOnlyFile()) === file) await truncate(file, size);
    await pause(300);
    await this.primary.restart();
    return diedAt;
  }

  /** The primary dies and its replica takes over the address. The link breaks first, so that a tail is lost. */
  async failover(): Promise<number> {
    const { replica, link } = this;
    if (replica === undefined || link === undefined) throw new Error('There is no replica to fail over to.');
    const control = new Valkey({ host: replica.host, port: replica.port, lazyConnect: true });
    await control.connect();
    while (!/^master_link_status:up/m.test(await control.info('replication'))) await pause(50);
    link.cut();
    await pause(150);
    await this.primary.kill('SIGKILL');
    const diedAt = Date.now();
    // Clients reach the replica before its promotion, and are refused: READONLY.
    this.address.lead(replica.port);
    await pause(300);
    await control.call('REPLICAOF', 'NO', 'ONE');
    control.disconnect();
    await this.primary.stop();
    this.primary = replica;
    this.replica = undefined;
    return diedAt;
  }

  /** Freezes the server: connections stay open, nothing answers. */
  async freeze(ms: number): Promise<undefined> {
    await this.primary.kill('SIGSTOP');
    await pause(ms);
    await this.primary.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.address.close();
    this.link?.close();
    await Promise.all([this.primary.stop(), this.replica?.stop()]);
  }

  private async appendOnlyFile(): Promise<string> {
    const dir = join(this.primary.dir, 'appendonlydir');
    const last = (await readdir(dir))
      .filter((name) => name.endsWith('.incr.aof'))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .at(-1);
    if (last === undefined) throw new Error(`${dir} holds no append-only file.`);
    return join(dir, last);
  }
}
