/**
 * Tells which handler runs in a stretch of the event loop, also after its first `await`. Node's async hooks tell it
 * exactly, and make each `await` of the process up to a microsecond dearer, so they are in use only for some minutes
 * after a block of the event loop that could not be explained.
 */
import { AsyncLocalStorage, createHook, type AsyncHook } from 'node:async_hooks';
import type { Cancel, Clock } from '../engine/clock.js';

/** The hooks are in use for this long after the last block, ms. */
const TRACE_MS = 600_000;

interface Hooks<Of> {
  /** The owner of the code that runs now. */
  readonly owner: AsyncLocalStorage<Of>;
  readonly hook: AsyncHook;
}

export class TurnTrace<Of> {
  private hooks: Hooks<Of> | undefined;
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
    return this.hooks !== undefined;
  }

  /** Traces the calls that begin within the next minutes. */
  begin(): void {
    this.hooks ??= this.hooked();
    this.cancelEnd?.();
    this.cancelEnd = this.clock.after(TRACE_MS, () => this.end());
  }

  end(): void {
    this.cancelEnd?.();
    this.cancelEnd = undefined;
    this.hooks?.hook.disable();
    this.hooks = undefined;
  }

  /** Makes a call whose later stretches belong to the owner. The call itself is not passed to `onStretch`. */
  run<T>(owner: Of, call: () => T): T {
    if (this.hooks === undefined) return call();
    try {
      return this.hooks.owner.run(owner, call);
    } finally {
      // The rest of this stretch belongs to the code around the call.
      this.since = this.clock.now();
    }
  }

  private hooked(): Hooks<Of> {
    const owner = new AsyncLocalStorage<Of>();
    const hook = createHook({
      before: () => void (this.since = this.clock.now()),
      after: () => {
        const now = this.clock.now();
        const known = owner.getStore();
        if (known !== undefined) this.onStretch(known, now - this.since);
        this.since = now;
      },
    });
    hook.enable();
    return { owner, hook };
  }
}
