/**
 * What was right at boot has to stay right: looked at again after every reconnection, and every few minutes. A server
 * that came back empty gets its record and its library; what only an operator can mend is told once.
 */
import type { EngineError } from '../../../model/errors.js';
import type { LibraryMode } from '../options.js';
import { primariesOf, type Client } from '../connection/clients.js';
import type { Connection } from '../connection/connection.js';
import { faultOf } from '../connection/faults.js';
import { nameOf } from '../connection/node-faults.js';
import type { DeploymentRecord } from './deployment.js';
import type { LibraryKeeper } from './library.js';
import type { FoundRights } from './rights.js';
import { checkEviction, serverInfo } from './server-check.js';

/** Between two looks at a server that stays connected, ms. */
const INTERVAL_MS = 120_000;
/** After a reconnection, ms: the nodes of a cluster come back together. */
const SETTLE_MS = 100;
/** Between two looks at the least, ms: while a primary is dead, its connection is tried again and again. */
const MIN_GAP_MS = 500;

export interface UpkeepOptions {
  readonly client: Client;
  readonly label: string;
  readonly record: DeploymentRecord;
  readonly keeper: LibraryKeeper;
  readonly mode: LibraryMode;
  /** Answers the rights that not every user has; throws what else is missing. */
  readonly proveRights: () => Promise<FoundRights>;
  readonly connection: Connection;
}

export class Upkeep {
  private readonly timer: ReturnType<typeof setInterval>;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private looking: Promise<void> | undefined;
  private lookedAt = -Infinity;
  private closed = false;

  constructor(private readonly options: UpkeepOptions) {
    const { client } = options;
    this.timer = setInterval(() => void this.look(), INTERVAL_MS);
    this.timer.unref();
    client.on('ready', () => this.lookSoon());
    client.on('+node', () => this.lookSoon());
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.soon);
  }

  /** Looks once; at the same time as another call, with it. Faults of the way there are not told: calls meet them. */
  look(): Promise<void> {
    this.looking ??= this.lookNow().finally(() => {
      this.looking = undefined;
      this.lookedAt = performance.now();
    });
    return this.looking;
  }

  private lookSoon(): void {
    if (this.closed || this.soon !== undefined) return;
    const delayMs = Math.max(SETTLE_MS, this.lookedAt + MIN_GAP_MS - performance.now());
    this.soon = setTimeout(() => {
      this.soon = undefined;
      void this.look();
    }, delayMs);
    this.soon.unref();
  }

  private async lookNow(): Promise<void> {
    const { client, record, keeper, mode, connection } = this.options;
    const notices: EngineError[] = [];
    const tasks: (() => Promise<unknown>)[] = [
      () => record.restore(),
      () => keeper.bring(mode === 'verify' ? 'verify' : 'load'),
      () => this.lookAtRights(notices),
      ...primariesOf(client).map((node) => async () => checkEviction(await serverInfo(node, 'memory'), nameOf(node))),
    ];
    for (const task of tasks) {
      try {
        if (!this.closed) await task();
      } catch (error) {
        const fault = faultOf(error, this.options.label);
        if (!fault.retryable) notices.push(fault);
      }
    }
    if (!this.closed) connection.notices(notices);
  }

  private async lookAtRights(notices: EngineError[]): Promise<void> {
    const found = await this.options.proveRights();
    if (found.channelsMissing !== undefined) notices.push(found.channelsMissing);
    this.options.connection.rights = found;
  }
}
