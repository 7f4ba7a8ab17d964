/**
 * Repeats the checks of the boot after every reconnection, and every few minutes. A server that came back empty gets
 * its record and its library again. Faults that only an operator can fix are reported once.
 */
import type { EngineError } from '../../../model/errors.js';
import type { LibraryMode } from '../options.js';
import { knownPrimariesOf, type Client } from '../connection/clients.js';
import type { Connection } from '../connection/connection.js';
import { faultOf } from '../connection/faults.js';
import { nameOf } from '../connection/node-faults.js';
import type { DeploymentRecord } from './deployment.js';
import type { LibraryKeeper } from './library.js';
import type { FoundRights } from './rights.js';
import { checkEviction, serverInfo } from './server-check.js';

/** Interval of checks while the connection lasts, ms. */
const INTERVAL_MS = 120_000;
/** Delay of the check after a reconnection, ms, because the nodes of a cluster reconnect one after another. */
const SETTLE_MS = 100;
/** Shortest time between two checks, ms, because the connection to a dead primary is retried all the time. */
const MIN_GAP_MS = 500;
/** Delay of the check after this process has loaded the library, ms: longer than another process takes to boot. */
const LOADED_MS = 10_000;

export interface UpkeepOptions {
  readonly client: Client;
  readonly label: string;
  readonly record: DeploymentRecord;
  readonly keeper: LibraryKeeper;
  readonly mode: LibraryMode;
  /** Returns the optional rights of the user; throws if another right is missing. */
  readonly proveRights: () => Promise<FoundRights>;
  readonly connection: Connection;
}

export class Upkeep {
  private readonly timer: ReturnType<typeof setInterval>;
  private timeout: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> | undefined;
  private checkedAt = -Infinity;
  private closed = false;

  constructor(private readonly options: UpkeepOptions) {
    const { client } = options;
    this.timer = setInterval(() => void this.check(), INTERVAL_MS);
    this.timer.unref();
    client.on('ready', () => this.checkSoon());
    client.on('+node', () => this.checkSoon());
    this.checkAgain();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.timeout);
    clearTimeout(this.again);
  }

  /**
   * Runs the checks; concurrent callers share one run. Transient faults are not reported, since calls meet them too.
   */
  check(): Promise<void> {
    this.running ??= this.checkNow().finally(() => {
      this.running = undefined;
      this.checkedAt = performance.now();
      this.checkAgain();
    });
    return this.running;
  }

  private checkSoon(): void {
    if (this.closed || this.timeout !== undefined) return;
    const delayMs = Math.max(SETTLE_MS, this.checkedAt + MIN_GAP_MS - performance.now());
    this.timeout = setTimeout(() => {
      this.timeout = undefined;
      void this.check();
    }, delayMs);
    this.timeout.unref();
  }

  /** An older process that boots at the same moment can load its build over the one that this process has loaded. */
  private checkAgain(): void {
    if (this.closed || !this.options.keeper.takeLoaded()) return;
    clearTimeout(this.again);
    this.again = setTimeout(() => void this.check(), LOADED_MS).unref();
  }

  private async checkNow(): Promise<void> {
    const { client, record, keeper, mode, connection } = this.options;
    const notices: EngineError[] = [];
    const tasks: (() => Promise<unknown>)[] = [
      () => record.restore(),
      () => keeper.ensureLoaded(mode === 'verify' ? 'verify' : 'load'),
      () => this.checkRights(notices),
      ...knownPrimariesOf(client).map(
        (node) => async () => checkEviction(await serverInfo(node, 'memory'), nameOf(node)),
      ),
    ];
    for (const task of tasks) {
      try {
        if (!this.closed) await task();
      } catch (error) {
        const fault = faultOf(error, this.options.label);
        if (!fault.retryable) notices.push(fault);
      }
    }
    if (keeper.behind !== undefined) notices.push(keeper.behind);
    if (!this.closed) connection.notices(notices);
  }

  private async checkRights(notices: EngineError[]): Promise<void> {
    const found = await this.options.proveRights();
    if (found.channelsMissing !== undefined) notices.push(found.channelsMissing);
    this.options.connection.rights = found;
  }
}
