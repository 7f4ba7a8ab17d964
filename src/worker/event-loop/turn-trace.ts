/**
 * Tells which handler runs in a stretch of the event loop, also after its first `await`. Node's async hooks tell it
 * exactly, and make each `await` of the process up to a microsecond dearer, so they are in use only for some minutes
 * after a block of the event loop that could not be explained.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import type { Cancel, Clock } from '../../engine/clock.js';

/** The hooks are in use for this long after the last block, ms. */
const TRACE_MS = 600_000;

export class TurnTrace<Of> {
  /** The owner of the code that runs now. */
  private readonly owner = new AsyncLocalStorage<Of>();
  private readonly hook = createHook({
    before: () => void (this.since = this.clock.now()),
    after: () => this.stretchEnded(),
  });
  private cancelEnd: Cancel | undefined;
  /** When the current stretch began. */
  private since = 0;

  /** @param onStretch called after each stretch of code that belongs to an owner, with its duration in ms */
  constructor(
    private readonly clock: Clock,
    private readonly onStretch: (owner: Of, ms: number) => void,
  ) {}

  /** Whether calls are traced now. */
  get isOn(): boolean {
    return this.cancelEnd !== undefined;
  }

  /** Whether the stretch that runs now will be told as one of this owner. */
  covers(owner: Of): boolean {
    return this.isOn && this.owner.getStore() === owner;
  }

  /** Traces the calls that begin within the next minutes. */
  begin(): void {
    this.hook.enable();
    this.cancelEnd?.();
    this.cancelEnd = this.clock.after(TRACE_MS, () => this.end());
  }

  end(): void {
    this.cancelEnd?.();
    this.cancelEnd = undefined;
    this.hook.disable();
    // A storage that was used has hooks of its own, which pass owners on to all that comes after their calls.
    this.owner.disable();
  }

  /** Makes a call; its later stretches belong to the owner. The call itself is not passed to `onStretch`. */
  run<T>(owner: Of, call: () => T): T {
    if (!this.isOn) return call();
    try {
      return this.owner.run(owner, call);
    } finally {
      // The rest of this stretch belongs to the code around the call.
      this.since = this.clock.now();
    }
  }

  private stretchEnded(): void {
    const now = this.clock.now();
    const owner = this.owner.getStore();
    if (owner !== undefined) this.onStretch(owner, now - this.since);
    this.since = now;
  }
}
