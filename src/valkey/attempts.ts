/**
 * Calls that are made until they ran, or their time is over. A server can be unable to take a call for a moment (a
 * failover, a slot that moves, a library that is gone): such a call did not run, and is repeated. What may have run is
 * not: whether that can be repeated is its caller's to know.
 */
import { EngineError } from '../../model/errors.js';
import { faultOf, isFunctionMissing, isNotNow } from './connection.js';
import type { Deadlines } from './deadlines.js';

/** Pause before a call is repeated, ms: doubled each time up to the second. */
const PAUSE_MS = 10;
const MAX_PAUSE_MS = 160;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Attempts {
  private closed = false;

  /** `bringLibrary` puts the function library on a server that has lost it. */
  constructor(
    private readonly host: string,
    private readonly deadlines: Deadlines,
    private readonly bringLibrary: () => Promise<unknown>,
  ) {}

  /** No more calls; those that wait to be repeated end. */
  close(): void {
    this.closed = true;
  }

  /** Makes a call until it ran or its time is over. Only calls that did not run are repeated. @throws EngineError */
  async make<Value>(call: () => Promise<Value>, deadline = this.deadlines.fromNow()): Promise<Value> {
    if (this.closed) throw new EngineError('backend_closed', `The backend of ${this.host} is closed.`);
    try {
      return await this.deadlines.within(call(), Math.max(1, deadline - performance.now()));
    } catch (error) {
      return this.makeAgain(call, error, deadline);
    }
  }

  /** Makes a read until it is answered or its time is over, whatever becomes of the connection. @throws EngineError */
  async read<Value>(read: () => Promise<Value>, deadline: number): Promise<Value> {
    for (;;) {
      try {
        return await this.make(read, deadline);
      } catch (error) {
        const lost = error instanceof EngineError && error.code === 'transport_failed';
        if (!lost || deadline - performance.now() <= MAX_PAUSE_MS) throw error;
        await pause(MAX_PAUSE_MS);
      }
    }
  }

  private async makeAgain<Value>(call: () => Promise<Value>, first: unknown, deadline: number): Promise<Value> {
    let error = first;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      if (this.closed)
        throw new EngineError('backend_closed', `The backend of ${this.host} was closed during the call.`);
      const missing = isFunctionMissing(error);
      if (!missing && !isNotNow(error)) throw faultOf(error, this.host);
      const leftMs = deadline - performance.now();
      if (leftMs <= pauseMs) throw faultOf(error, this.host);
      try {
        if (missing) await this.deadlines.within(this.bringLibrary(), leftMs);
        else await pause(pauseMs);
        return await this.deadlines.within(call(), Math.max(1, deadline - performance.now()));
      } catch (next) {
        if (next instanceof EngineError) throw next;
        error = next;
      }
    }
  }
}
