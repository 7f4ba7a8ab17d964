/** The calls of a backend that have no answer yet, and the end of new ones before the backend is closed. */
import { EngineError } from '../../model/errors.js';
import { checkNumber, checkOptionNames } from './settings.js';

/** Default time for calls in flight, ms. */
const GRACE_MS = 15_000;
/** The longest delay of a timer, ms. */
const MAX_GRACE_MS = 2 ** 31 - 1;

export interface ShutdownOptions {
  /** How long to wait for calls in flight, ms. Default 15 s. */
  readonly graceMs?: number | undefined;
}

export interface ShutdownReport {
  /**
   * Number of calls without an answer at the end of the grace; `close` breaks them off. A store in files that is not on
   * the disk by then counts as one more.
   */
  readonly unanswered: number;
}

/** @throws EngineError `invalid_input` */
export function parseGrace(options: ShutdownOptions = {}): number {
  const where = 'shutdownPrepare()';
  checkOptionNames(where, options, ['graceMs']);
  checkNumber(where, 'graceMs', options.graceMs, { min: 0, max: MAX_GRACE_MS, isWhole: true });
  return options.graceMs ?? GRACE_MS;
}

export class Gate {
  private unanswered = 0;
  private isShut = false;
  private readonly waiting = new Set<() => void>();

  /** @param name how errors name the backend: `embedded backend` */
  constructor(private readonly name: string) {}

  /** Makes a call. @throws EngineError `backend_closed` by rejecting, what the call throws */
  pass<Value>(call: () => Promise<Value>): Promise<Value> {
    if (this.isShut) return Promise.reject(new EngineError('backend_closed', `The ${this.name} is closed.`));
    return this.count(call());
  }

  /** Waits for an answer as for that of a call, even while calls are refused. */
  count<Value>(answer: Promise<Value>): Promise<Value> {
    this.unanswered++;
    // Beside the answer, so that its caller does not wait longer.
    answer.then(this.leave, this.leave);
    return answer;
  }

  private readonly leave = (): void => {
    if (--this.unanswered === 0) for (const resolve of this.waiting) resolve();
  };

  /** Refuses further calls. */
  shut(): void {
    this.isShut = true;
  }

  /** Resolves when every call has its answer, or the grace is over. */
  async drain(graceMs: number): Promise<ShutdownReport> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let answered: (() => void) | undefined;
    // The answers that have arrived by then are read first.
    const over = new Promise<void>((resolve) => (timer = setTimeout(() => setImmediate(resolve), graceMs)));
    const drained = new Promise<void>((resolve) => this.waiting.add((answered = resolve)));
    if (this.unanswered === 0) answered?.();
    await Promise.race([over, drained]);
    clearTimeout(timer);
    if (answered !== undefined) this.waiting.delete(answered);
    return { unanswered: this.unanswered };
  }
}
