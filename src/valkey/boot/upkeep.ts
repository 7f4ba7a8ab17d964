/**
 * What was right at boot has to stay right: looked at again after every reconnection, and every few minutes. A server
 * that came back empty gets its record and its library; what only an operator can mend is told once.
 */
import { EngineError } from '../../../model/errors.js';
import type { LibraryMode } from '../options.js';
import { primariesOf, type Client } from '../connection/clients.js';
import { faultOf } from '../connection/faults.js';
import { nameOf } from '../connection/node-faults.js';
import type { DeploymentRecord } from './deployment.js';
import type { LibraryKeeper } from './library.js';
import { checkEviction, serverInfo } from './server-check.js';

/** Between two looks at a server that stays connected, ms. */
const INTERVAL_MS = 120_000;
/** After a reconnection, ms: the nodes of a cluster come back together. */
const SETTLE_MS = 100;

export interface UpkeepOptions {
  readonly client: Client;
  readonly label: string;
  readonly record: DeploymentRecord;
  readonly keeper: LibraryKeeper;
  readonly mode: LibraryMode;
  readonly onNotice: ((notice: EngineError) => void) | undefined;
  /** For tests. Default two minutes. */
  readonly intervalMs?: number;
}

export class Upkeep {
  private readonly timer: ReturnType<typeof setInterval>;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private looking: Promise<void> | undefined;
  /** What was told and is not over: codes. */
  private told: ReadonlySet<string> = new Set();
  private closed = false;

  constructor(private readonly options: UpkeepOptions) {
    const { client, intervalMs = INTERVAL_MS } = options;
    this.timer = setInterval(() => void this.look(), intervalMs);
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
    this.looking ??= this.lookNow().finally(() => (this.looking = undefined));
    return this.looking;
  }

  private lookSoon(): void {
    clearTimeout(this.soon);
    if (this.closed) return;
    this.soon = setTimeout(() => void this.look(), SETTLE_MS);
    this.soon.unref();
  }

  private async lookNow(): Promise<void> {
    const { client, record, keeper, mode } = this.options;
    const met = new Set<string>();
    const tasks: (() => Promise<unknown>)[] = [
      () => record.restore(),
      () => keeper.bring(mode === 'verify' ? 'verify' : 'load'),
      ...primariesOf(client).map((node) => async () => checkEviction(await serverInfo(node, 'memory'), nameOf(node))),
    ];
    for (const task of tasks) {
      try {
        if (!this.closed) await task();
      } catch (error) {
        this.tell(faultOf(error, this.options.label), met);
      }
    }
    this.told = met;
  }

  private tell(notice: EngineError, met: Set<string>): void {
    if (this.closed || notice.retryable) return;
    met.add(notice.code);
    if (this.told.has(notice.code)) return;
    try {
      this.options.onNotice?.(notice);
    } catch (error) {
      // A fault of the listener is its own, and not lost.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
