/**
 * Makes calls until they ran or their time is over. A server can be unable to take a call for a moment (a failover, a
 * slot that moves, a library that is gone): such a call did not run, and is made again. A call that may have run is not
 * made again here: only its caller knows whether that is safe.
 *
 * Whether a call is made again depends on the fault alone, never on what the call carries or which calls it shares the
 * connection with. Nothing is sent past a deadline.
 */
import { EngineError } from '../../../model/errors.js';
import type { Deadlines } from './deadlines.js';
import { CallTimeout, faultOf, isFunctionMissing, isNotNow, isUnconnected, settingsSeen } from './faults.js';

/** Pause before a call is made again, ms: doubled each time. */
const PAUSE_MS = 10;
const MAX_PAUSE_MS = 160;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface CallRetrierOptions {
  /** What errors call the server. */
  readonly label: string;
  readonly deadlines: Deadlines;
  /** Puts the function library on a server that has lost it. */
  readonly bringLibrary: () => Promise<unknown>;
  /** Learns settings of the deployment that are at least of this version. */
  readonly learnSettings: (version: number) => Promise<unknown>;
  /** Why there is no connection, if an error was met since there last was one. */
  readonly connectionFault: () => unknown;
}

export class CallRetrier {
  private closed = false;

  constructor(private readonly options: CallRetrierOptions) {}

  /** No more calls; those that wait to be made again end. */
  close(): void {
    this.closed = true;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** When a call that begins now has to be answered: a deadline for the methods below. */
  fromNow(): number {
    return this.options.deadlines.fromNow();
  }

  /** Makes a call until it ran or its time is over. Only calls that did not run are made again. @throws EngineError */
  async make<Value>(call: () => Promise<Value>, deadline = this.fromNow()): Promise<Value> {
    try {
      return await this.send(call, deadline);
    } catch (error) {
      return this.makeAgain(call, error, deadline);
    }
  }

  /** Makes a read until it is answered or its time is over, whatever becomes of the connection. @throws EngineError */
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

  /** The error of the interface for what a call met. */
  faultOf(error: unknown): EngineError {
    return faultOf(error, this.options.label, this.options.connectionFault());
  }

  private async makeAgain<Value>(call: () => Promise<Value>, first: unknown, deadline: number): Promise<Value> {
    const { deadlines, bringLibrary, learnSettings, connectionFault } = this.options;
    let error = first;
    let brought = false;
    /** The version of the settings that was learned of. */
    let learned = 0;
    /** The last fault that says more than that there is no connection, or that the library is missing. */
    let telling: unknown;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      if (!isNotNow(error, connectionFault())) throw this.faultOf(error);
      const missing = isFunctionMissing(error);
      const seen = settingsSeen(error);
      if (seen !== undefined && seen <= learned) throw this.faultOf(error);
      if (!missing && !isUnconnected(error)) telling = error;
      if (deadlines.leftMs(deadline) <= pauseMs) throw this.faultOf(telling ?? error);
      try {
        // A library that is missing although it was brought a moment ago gets the server a pause, too.
        if (seen === undefined && (!missing || brought)) await pause(pauseMs);
        if (missing) {
          brought = true;
          await this.send(bringLibrary, deadline);
        }
        if (seen !== undefined) {
          learned = seen;
          await this.send(() => learnSettings(seen), deadline);
        }
        return await this.send(call, deadline);
      } catch (next) {
        // Of a call that could not be sent in time, why it did not run says more than the time.
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
