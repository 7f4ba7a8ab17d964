/**
 * Retries calls until they run or their time is over. A server can be unable to run a call for a moment (a failover, a
 * slot that moves, a missing library): such a call did not run, and is retried. A call that may have run is not retried
 * here, because only its caller knows whether that is safe.
 *
 * The decision depends on the fault alone, never on the contents of the call or on other calls of the connection.
 * Nothing is sent after a deadline.
 */
import { EngineError } from '../../../model/errors.js';
import type { Deadlines } from './deadlines.js';
import { CallTimeout, faultOf, isFunctionMissing, mayRunSoon, isUnconnected, settingsSeen } from './faults.js';

/** Pause before a retry, ms; doubled each time. */
const PAUSE_MS = 10;
const MAX_PAUSE_MS = 160;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface CallRetrierOptions {
  /** The name of the server in errors. */
  readonly label: string;
  readonly deadlines: Deadlines;
  /** Loads the function library onto a server that has lost it. */
  readonly loadLibrary: () => Promise<unknown>;
  /** Reads settings of the deployment with at least this version. */
  readonly learnSettings: (version: number) => Promise<unknown>;
  /** Why there is no connection, if an error has occurred since the last one. */
  readonly connectionFault: () => unknown;
}

export class CallRetrier {
  private closed = false;

  constructor(private readonly options: CallRetrierOptions) {}

  /** Refuses further calls and retries. */
  close(): void {
    this.closed = true;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** The deadline of a call that begins now. */
  fromNow(): number {
    return this.options.deadlines.fromNow();
  }

  /** Whether a deadline has passed. */
  isOver(deadline: number): boolean {
    return this.options.deadlines.leftMs(deadline) <= 0;
  }

  /** Makes a call, and retries it while it did not run and its time is not over. @throws EngineError */
  async make<Value>(call: () => Promise<Value>, deadline = this.fromNow()): Promise<Value> {
    try {
      return await this.send(call, deadline);
    } catch (error) {
      return this.retry(call, error, deadline);
    }
  }

  /**
   * Makes a read, and retries it until its time is over, even if the connection is lost during it. @throws EngineError
   */
  async read<Value>(read: () => Promise<Value>, deadline = this.fromNow()): Promise<Value> {
    for (;;) {
      try {
        return await this.make(read, deadline);
      } catch (error) {
        const lost = error instanceof EngineError && error.code === 'transport_failed';
        if (!lost || this.options.deadlines.leftMs(deadline) <= MAX_PAUSE_MS) throw error;
        await pause(MAX_PAUSE_MS);
      }
    }
  }

  /** The EngineError for a fault of a call. */
  faultOf(error: unknown): EngineError {
    return faultOf(error, this.options.label, this.options.connectionFault());
  }

  private async retry<Value>(call: () => Promise<Value>, first: unknown, deadline: number): Promise<Value> {
    const { deadlines, loadLibrary, learnSettings, connectionFault } = this.options;
    let error = first;
    let loadedLibrary = false;
    /** The last version of the settings that was read. */
    let learned = 0;
    /** The last fault with more information than a missing connection or library. */
    let informative: unknown;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      if (!mayRunSoon(error, connectionFault())) throw this.faultOf(error);
      const missing = isFunctionMissing(error);
      const seen = settingsSeen(error);
      if (seen !== undefined && seen <= learned) throw this.faultOf(error);
      if (!missing && !isUnconnected(error)) informative = error;
      if (deadlines.leftMs(deadline) <= pauseMs) throw this.faultOf(informative ?? error);
      try {
        // If the library is missing again right after it was loaded, pause too.
        if (seen === undefined && (!missing || loadedLibrary)) await pause(pauseMs);
        if (missing) {
          loadedLibrary = true;
          await this.send(loadLibrary, deadline);
        }
        if (seen !== undefined) {
          learned = seen;
          await this.send(() => learnSettings(seen), deadline);
        }
        return await this.send(call, deadline);
      } catch (next) {
        // If a retry could not be sent in time, the earlier fault says more than the timeout.
        if (!(next instanceof CallTimeout) || next.sent) error = next;
      }
    }
  }

  /** @throws CallTimeout, EngineError at once, before anything is sent */
  private send<Value>(call: () => Promise<Value>, deadline: number): Promise<Value> {
    const { deadlines, label } = this.options;
    if (this.closed) throw new EngineError('backend_closed', `The backend of ${label} is closed.`);
    const leftMs = deadlines.leftMs(deadline);
    if (leftMs <= 0) throw new CallTimeout(false);
    return deadlines.within(call(), leftMs);
  }
}
