/**
 * How an app opens its backend: on first use, and again with growing pauses after a `retryable` error, for as long as
 * the app is open. Any other error, and with `connect: 'fail'` every error, is thrown to waiting callers; the next use
 * of the app tries again.
 */
import { EngineError } from '../../model/errors.js';
import type { Backend } from '../backend/backend.js';
import { ConnectionNotice } from '../backend/connection-notice.js';
import { PartitionMended } from '../backend/mended.js';
import { SetAsideError } from '../backend/set-aside.js';
import { afterAndIo, type Clock } from '../engine/clock.js';
import { outageOf } from '../engine/outage.js';
import { isRetryable, retryDelayMs } from '../engine/retry.js';
import { AppClosedError, InvalidDefinitionError } from '../shared/errors.js';
import { anew } from '../shared/lazy.js';
import { silentLogger, type Logger } from '../shared/logger.js';
import { shown } from '../shared/shown.js';
import { reasonOf } from '../util/failure-text.js';
import { warnOfProcess } from '../util/quietly.js';
import { propertyOf } from '../util/thrown.js';
import { CALL_PATIENCE_MS } from './patience.js';

/** How long a store is away before an app without a log warns of it, ms. */
const WARNED_AFTER_MS = 5_000;

/** A backend, a promise of one, or a function that opens one: the function is called again after a failure. */
export type BackendSource = Backend | PromiseLike<Backend> | (() => Backend | PromiseLike<Backend>);

/** The state of the connection between an app and its backend. */
export interface ConnectionState {
  /**
   * `idle` before the first use; `connecting` also between two attempts, and while the server of an open backend, or a
   * primary of its cluster, cannot be reached; `failed` until the next use tries again.
   */
  readonly state: 'idle' | 'connecting' | 'connected' | 'failed' | 'closed';
  /** How long the state has lasted, ms; 0 before the first use. */
  readonly forMs: number;
  /** Failed attempts to open the backend, until one succeeds. */
  readonly failures: number;
  /** The error of the last attempt, or the loss of the connection. */
  readonly error: unknown;
}

const NO_FILE =
  'The server has no append-only file (`appendonly no`): when it restarts, everything since its last snapshot is lost, ' +
  'or everything if it makes none. Set `appendonly yes` unless nothing here has to last.';

export interface ConnectionOptions {
  readonly source: BackendSource;
  readonly mode: 'wait' | 'fail';
  /** Whether a backend that opens after the app was closed is closed too. */
  readonly closesBackend: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when calls of the backend have quarantined records that their answers do not name. */
  readonly onSetAside: (error: SetAsideError) => void;
}

export class Connection {
  private backend: Backend | undefined;
  private opened: Promise<Backend> | undefined;
  private state: ConnectionState['state'] = 'idle';
  private enteredAt = 0;
  private failures = 0;
  private error: unknown;
  private wasTried = false;
  private stopWaiting: (() => void) | undefined;
  private stopNotices: (() => void) | undefined;
  private stopWarning: (() => void) | undefined;
  private hasWarned = false;
  private readonly closed: Promise<never>;
  private endWaits!: (error: AppClosedError) => void;

  constructor(private readonly options: ConnectionOptions) {
    this.closed = new Promise((_resolve, reject) => (this.endWaits = reject));
    this.closed.catch(() => undefined);
    const { source } = options;
    if (typeof source !== 'function' && !isPromise(source)) this.use(source);
  }

  get now(): ConnectionState {
    const { state, failures, error } = this;
    const forMs = state === 'idle' ? 0 : this.options.clock.now() - this.enteredAt;
    return { state, forMs, failures, error };
  }

  /** The backend, if it is open. */
  get current(): Backend | undefined {
    return this.backend;
  }

  /**
   * The open backend, for a call that waits for it as long as it would be repeated.
   * @throws AppClosedError; what the backend's opening failed with for good, or last when the patience is over
   */
  ready(): Promise<Backend> {
    const opened = this.whenOpen();
    return this.backend === undefined ? this.within(CALL_PATIENCE_MS, opened) : opened;
  }

  /** The open backend, however long its opening takes. @throws AppClosedError; what its opening failed with for good */
  whenOpen(): Promise<Backend> {
    if (this.state === 'closed') return Promise.reject(new AppClosedError());
    if (this.opened === undefined) {
      this.opened = this.open();
      this.opened.catch(() => (this.opened = undefined));
    }
    // An open backend needs no race, which would keep a listener on the promise of the end.
    if (this.backend !== undefined) return this.opened;
    return Promise.race([this.opened, this.closed]);
  }

  private within(patienceMs: number, ready: Promise<Backend>): Promise<Backend> {
    return new Promise((resolve, reject) => {
      const cancel = afterAndIo(this.options.clock, patienceMs, () =>
        reject(
          this.error ??
            new EngineError('call_timeout', `The backend was not open within ${Math.round(patienceMs)} ms.`),
        ),
      );
      void ready.then(resolve, reject).finally(cancel);
    });
  }

  private async open(): Promise<Backend> {
    const { clock, log, mode } = this.options;
    this.enter('connecting');
    for (;;) {
      try {
        const backend = await this.tryOnce();
        checkBackend(backend);
        return this.use(backend);
      } catch (error) {
        if (this.isClosed()) throw new AppClosedError();
        this.error = error;
        this.failures++;
        if (mode === 'fail' || !isRetryable(error) || !this.canTryAgain()) {
          this.enter('failed');
          throw error;
        }
        // Once, not for every attempt.
        if (this.failures === 1) {
          log.warn('The backend cannot be opened; retrying until it can.', error);
          this.warnLater();
        }
        await this.pause(retryDelayMs(clock, this.failures));
        if (this.isClosed()) throw new AppClosedError();
      }
    }
  }

  private use(backend: Backend): Backend {
    if (this.isClosed()) {
      this.discard(backend);
      throw new AppClosedError();
    }
    if (this.failures > 0) this.options.log.info('The backend is open.');
    const isOther = this.backend !== backend;
    this.backend = backend;
    this.enter('connected');
    this.failures = 0;
    this.error = undefined;
    // After the state, which a notice of the backend can change at once.
    if (isOther) {
      this.stopNotices?.();
      this.stopNotices = backend.onNotice?.((notice) => this.noticed(backend, notice));
      if (backend.capabilities?.().server?.appendOnly === false) this.options.log.warn(NO_FILE);
    }
    return backend;
  }

  /** Without a log, a store that stays away is a warning of the process, once per app. */
  private warnLater(): void {
    if (this.options.log !== silentLogger || this.hasWarned) return;
    this.stopWarning ??= this.options.clock.after(WARNED_AFTER_MS, () => {
      this.hasWarned = true;
      warnOfProcess(
        `flowfabric: the store is unreachable, and calls and workers wait for it: ${reasonOf(this.error)} ` +
          'Later outages are not reported here: give app() a `log`.',
      );
    });
  }

  private enter(state: ConnectionState['state']): void {
    if (state !== 'connecting') {
      this.stopWarning?.();
      this.stopWarning = undefined;
    }
    this.state = state;
    this.enteredAt = this.options.clock.now();
  }

  private noticed(backend: Backend, notice: EngineError): void {
    const { log, onSetAside } = this.options;
    if (notice instanceof ConnectionNotice) return this.reached(backend, notice);
    if (notice instanceof PartitionMended) return log.info('A partition was repaired.', notice);
    if (!(notice instanceof SetAsideError)) return log.warn('The server needs attention.', notice);
    log.warn('Damaged records were found.', notice);
    onSetAside(notice);
  }

  private reached(backend: Backend, notice: ConnectionNotice): void {
    const { log } = this.options;
    const { isLost } = notice;
    outageOf(backend).isLogged = isLost;
    this.enter(isLost ? 'connecting' : 'connected');
    this.error = isLost ? notice : undefined;
    if (isLost) this.warnLater();
    if (isLost && notice.retryable)
      log.warn('The store is unreachable; calls and workers wait until it is back.', notice);
    else if (isLost) log.warn('The store is unreachable; calls fail and workers wait until this is corrected.', notice);
    else log.info('The store is reachable again.');
  }

  private async tryOnce(): Promise<Backend> {
    const { source } = this.options;
    if (typeof source === 'function') return opened(source);
    if (!isPromise(source)) return source;
    const again = this.wasTried ? anew(source) : undefined;
    this.wasTried = true;
    return again === undefined ? source : again();
  }

  private canTryAgain(): boolean {
    const { source } = this.options;
    return typeof source === 'function' || (isPromise(source) && anew(source) !== undefined);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.after(ms, resolve);
      this.stopWaiting = () => {
        cancel();
        resolve();
      };
    });
  }

  private isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Ends every wait for the backend. One that is being opened is closed as soon as it is there; an open one is not. */
  close(): void {
    const { source } = this.options;
    // A promise that the app was given is kept by its maker whether the app was used or not.
    if (this.state === 'idle' && source instanceof Promise)
      source.then(
        (backend: Backend) => this.discard(backend),
        () => undefined,
      );
    this.enter('closed');
    this.stopNotices?.();
    this.stopWaiting?.();
    this.endWaits(new AppClosedError());
  }

  private discard(backend: Backend): void {
    if (this.options.closesBackend) backend.close().catch(() => undefined);
  }
}

/** Opens a backend. @throws InvalidDefinitionError if the function has a mistake; every other error of the function */
async function opened(open: () => Backend | PromiseLike<Backend>): Promise<Backend> {
  try {
    return await open();
  } catch (error) {
    if (isRetryable(error) || propertyOf(error, 'code') !== undefined) throw error;
    throw new InvalidDefinitionError(
      `The app: the function for its backend failed: ${reasonOf(error)}`,
      'Give a function without arguments that returns a backend, like () => valkey(url).',
    );
  }
}

/** @throws InvalidDefinitionError for a value that is not a backend */
export function checkBackend(backend: unknown): asserts backend is Backend {
  const { execute, close } = Object(backend) as Partial<Backend>;
  if (typeof execute === 'function' && typeof close === 'function') return;
  throw new InvalidDefinitionError(
    `The app: backend must be a backend, not ${shown(backend)}`,
    'Make one: memory(), embedded({ path }) or valkey(url).',
  );
}

export function isPromise(source: BackendSource): source is PromiseLike<Backend> {
  return typeof (source as { then?: unknown }).then === 'function';
}
