/**
 * The promises that a handler gets from its context. Calls that it does not await are logged when it has ended, because
 * their work or their failure would be lost in silence otherwise.
 *
 * Once the run of the handler is over (it has returned, thrown, or waits), none of its promises is rejected: a function
 * of the handler that nothing awaits would be rejected too, which ends the process.
 */
import { prefixed, type Logger } from '../../shared/logger.js';
import { never } from '../../util/never.js';
import { TaskAbort } from '../attempt/abort.js';
import type { Attempt } from '../attempt/attempt.js';
import { refuseInside } from '../checkpoints/inside.js';
import { isBegun, whenAwaited } from '../waits/lazy-promise.js';

/** A promise that knows whether it was awaited. */
class Followed<T> extends Promise<T> {
  /** Derived promises are ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  isAwaited = false;

  override then<Value = T, Reason = never>(
    onFulfilled?: ((value: T) => Value | PromiseLike<Value>) | null,
    onRejected?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    this.isAwaited = true;
    return super.then(onFulfilled, onRejected);
  }
}

/** A call whose promise was rejected. */
interface Failure {
  readonly what: string;
  readonly promise: Followed<unknown>;
  readonly error: unknown;
}

/** Most calls that a line of the log names. */
const MAX_NAMED = 10;

const listed = (calls: Iterable<string>): string => {
  const names = [...new Set(calls)];
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  return names.slice(0, MAX_NAMED).join(', ') + more;
};

export class HandlerPromises {
  /** Steps under way. */
  private readonly steps = new Map<Promise<unknown>, string>();
  /** Waits and uses of `children`, which begin when they are awaited. */
  private readonly waits = new Map<Promise<unknown>, string>();
  private failures: Failure[] = [];
  private saidLate = false;
  private readonly told = new Set<string>();

  constructor(
    private readonly attempt: Attempt,
    private readonly log: Logger,
  ) {}

  /** Whether the run of the handler is over. Steps, waits and children that it asks for now are not done. */
  get isOver(): boolean {
    return this.attempt.how !== 'runs';
  }

  /** The promise of a call that comes when the run is over. */
  never(what: string): Promise<never> {
    this.expected(what);
    return never();
  }

  /** Follows a step. */
  step<T>(what: string, made: Promise<T>): Promise<T> {
    const promise = this.call(what, made);
    const ended = (): boolean => this.steps.delete(promise);
    this.steps.set(promise, what);
    made.then(ended, ended);
    return promise;
  }

  /** Follows a call that is made at once. */
  call<T>(what: string, made: Promise<T>): Promise<T> {
    this.expected(what);
    return this.follow(what, made);
  }

  /** Follows a call that can also be made after the handler has ended. */
  follow<T>(what: string, made: Promise<T>): Promise<T> {
    const promise = new Followed<T>((resolve, reject) => {
      made.then(resolve, (error: unknown) => {
        this.failed({ what, promise, error });
        if (!this.isOver) reject(error);
      });
    });
    // Its rejection is never an unhandled one.
    promise.catch(() => undefined);
    promise.isAwaited = false;
    return promise;
  }

  /** Follows a wait. */
  wait<T>(what: string, promise: Promise<T>): Promise<T> {
    this.expected(what);
    if (isBegun(promise)) return promise;
    const wait = whenAwaited(
      () =>
        new Promise<T>((resolve, reject) => {
          // Without this the step would wait for it, and it for the end of the step.
          if (!this.isOver) refuseInside(this.attempt, what);
          promise.then(resolve, (error: unknown) => {
            if (!this.isOver) reject(error);
          });
        }),
    );
    this.waits.set(wait, what);
    return wait;
  }

  /** Warns of a call that comes after the handler has returned. One that threw has failed, and that is logged. */
  private expected(what: string): void {
    if (this.attempt.how !== 'returned' || this.saidLate || this.attempt.abortCode !== undefined) return;
    this.saidLate = true;
    this.warn(`${what} was called after the handler had returned, and is not done; is an await missing?`);
  }

  /** Call this when the handler has ended. */
  ended(): void {
    for (const failure of this.failures.splice(0)) if (!failure.promise.isAwaited) this.tell(failure);
    if (this.attempt.how === 'threw' || this.attempt.abortCode !== undefined) return;
    if (this.steps.size > 0)
      this.warn(`the handler returned while ${listed(this.steps.values())} was under way; is an await missing?`);
    const idle = [...this.waits].filter(([promise]) => !isBegun(promise)).map(([, what]) => what);
    if (idle.length > 0)
      this.warn(`the handler returned and has not awaited ${listed(idle)}, which did nothing; is an await missing?`);
  }

  private failed(failure: Failure): void {
    const { how } = this.attempt;
    // The handler may still await it.
    if (how === 'runs') this.failures.push(failure);
    else if (how === 'returned' || (how === 'threw' && !failure.promise.isAwaited)) this.tell(failure);
  }

  private tell({ what, error }: Failure): void {
    if (error instanceof TaskAbort || this.attempt.abortCode !== undefined) return;
    if (this.told.has(what) || (this.saidLate && this.attempt.isOver)) return;
    this.told.add(what);
    this.warn(`${what} failed, and the handler did not await it; is an await missing?`, error);
  }

  private warn(message: string, ...details: unknown[]): void {
    logOf(this.attempt, this.log).warn(message, ...details);
  }
}

/** The log, for messages about an attempt. */
export const logOf = ({ claimed, executionId }: Attempt, log: Logger): Logger =>
  prefixed(log, `[${claimed.executionKind} ${executionId}]`);

/** The promises of an attempt's handler, kept from its first call on. */
export function promisesOf(attempt: Attempt, { log }: { readonly log: Logger }): HandlerPromises {
  return (attempt.promises ??= new HandlerPromises(attempt, log));
}
