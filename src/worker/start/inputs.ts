/**
 * Fetches the inputs that were too long for their claims, a few at a time; their leases are renewed meanwhile. Work whose
 * input has waited, or could not be fetched, for a third of its lease (at most 5 s) is handed back: another worker may
 * have a faster link.
 */
import { EngineError } from '../../../model/errors.js';
import { afterAndIo, type Cancel, type Clock } from '../../engine/clock.js';
import { retryDelayMs } from '../../engine/retry.js';
import type { Backend } from '../../backend/backend.js';
import { maxHoldMs } from './ahead.js';
import { isUnanswered } from '../lease/answers.js';
import type { Attempt } from '../attempt/attempt.js';

/** Bytes of inputs to fetch at once; one input is always fetched. */
const MAX_BYTES_AT_ONCE = 8 * 1024 * 1024;

/** Inputs to fetch at once: many short ones come here when they could not be fetched together with their claim. */
const MAX_READS_AT_ONCE = 32;

export interface InputsOptions {
  readonly backend: Pick<Backend, 'readExecutionContext'>;
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Called when the number of awaited inputs of a lane changes. */
  readonly onAwaited: (laneId: string, change: number) => void;
  /** Called when the input of an attempt is there. */
  readonly onFetched: (attempt: Attempt) => void;
  /** Called for an attempt if its input did not arrive in time. */
  readonly onOverdue: (attempt: Attempt) => void;
  /** Called for an attempt if its input cannot be read. */
  readonly onUnreadable: (attempt: Attempt, error: unknown) => void;
  /** Called when a fetch met a fault, and is repeated or given up. */
  readonly onError: (error: unknown) => void;
}

interface Wanted {
  readonly attempt: Attempt;
  readonly bytes: number;
  /** When it was claimed. */
  readonly since: number;
}

export class Inputs {
  private waiting: Wanted[] = [];
  private readonly fetching = new Set<Attempt>();
  /** Those on their way, also for attempts that were removed. */
  private reads = 0;
  private bytes = 0;
  private timer: Cancel | undefined;

  constructor(private readonly options: InputsOptions) {}

  /** Number of attempts without their inputs. */
  get size(): number {
    return this.waiting.length + this.fetching.size;
  }

  /** Fetches the input of an attempt. One of the three callbacks is called for it later, unless it is removed. */
  add(attempt: Attempt): void {
    const { clock } = this.options;
    this.waiting.push({ attempt, bytes: attempt.claimed.payloadBytes, since: clock.now() });
    this.options.onAwaited(attempt.laneId, 1);
    this.begin();
    if (this.waiting.length > 0) this.timer ??= clock.after(this.holdMs, () => this.handBack());
  }

  /** Removes an attempt; false if its input is not awaited. */
  remove(attempt: Attempt): boolean {
    const isFetching = this.fetching.has(attempt);
    const index = this.waiting.findIndex((each) => each.attempt === attempt);
    if (!isFetching && index === -1) return false;
    if (isFetching) this.done(attempt);
    else {
      this.waiting.splice(index, 1);
      this.options.onAwaited(attempt.laneId, -1);
      this.begin();
    }
    return true;
  }

  /** Removes all attempts, for a worker that ends. */
  takeAll(): Attempt[] {
    this.timer?.();
    this.timer = undefined;
    const all = [...this.fetching, ...this.waiting.splice(0).map(({ attempt }) => attempt)];
    this.fetching.clear();
    for (const { laneId } of all) this.options.onAwaited(laneId, -1);
    return all;
  }

  private get holdMs(): number {
    return maxHoldMs(this.options.leaseTtlMs);
  }

  private begin(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (this.reads === MAX_READS_AT_ONCE) return;
      if (this.reads > 0 && this.bytes + next.bytes > MAX_BYTES_AT_ONCE) return;
      this.waiting.shift();
      this.fetching.add(next.attempt);
      this.reads++;
      this.bytes += next.bytes;
      void this.fetch(next).then(() => this.ended(next));
    }
  }

  /** A fetch has ended; until then its bytes are on their way even if its attempt was removed. */
  private ended({ bytes }: Wanted): void {
    this.reads--;
    this.bytes -= bytes;
    this.begin();
  }

  private done(attempt: Attempt): void {
    this.fetching.delete(attempt);
    this.options.onAwaited(attempt.laneId, -1);
  }

  /** Never rejects. */
  private async fetch({ attempt, bytes }: Wanted): Promise<void> {
    const { backend, clock, onFetched, onOverdue, onUnreadable, onError } = this.options;
    const { executionId } = attempt;
    const since = clock.now();
    for (let failures = 1; this.fetching.has(attempt); failures++) {
      try {
        const { inputPayload } = await backend.readExecutionContext({ executionId });
        if (!this.fetching.has(attempt)) return;
        this.done(attempt);
        if (inputPayload.byteLength === bytes) {
          attempt.input = inputPayload;
          onFetched(attempt);
        } else onUnreadable(attempt, gone(executionId));
        return;
      } catch (error) {
        if (!this.fetching.has(attempt)) return;
        onError(error);
        const isFinal = !isUnanswered(error);
        const leftMs = since + this.holdMs - clock.now();
        if (isFinal || leftMs <= 0) {
          this.done(attempt);
          if (isFinal) onUnreadable(attempt, error);
          else onOverdue(attempt);
          return;
        }
        await new Promise<void>((resolve) =>
          afterAndIo(clock, Math.min(leftMs, retryDelayMs(clock, failures)), resolve),
        );
      }
    }
  }

  private handBack(): void {
    this.timer = undefined;
    const { clock, onOverdue } = this.options;
    const until = clock.now() - this.holdMs;
    const overdue = this.waiting.filter(({ since }) => since <= until);
    this.waiting = this.waiting.filter(({ since }) => since > until);
    for (const { attempt } of overdue) {
      this.options.onAwaited(attempt.laneId, -1);
      onOverdue(attempt);
    }
    this.begin();
    const [oldest] = this.waiting;
    if (oldest !== undefined) this.timer = clock.after(oldest.since - until, () => this.handBack());
  }
}

const gone = (executionId: string): EngineError =>
  new EngineError('corruption', `The input of ${executionId} is missing or incomplete.`);
