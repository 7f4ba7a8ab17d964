/** A subscription to wakes that is retried until it is established. Work that came before is not announced. */
import type { Backend, Wake } from '../backend/backend.js';
import type { Cancel, Clock } from './clock.js';
import { retryDelayMs } from './retry.js';

export interface WakeSubscriptionOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly capabilities?: readonly string[] | undefined;
  readonly onWake: (wake: Wake) => void;
  /** Called when a subscription is established after a failure: these lanes must be checked for work. */
  readonly onLate: (lanes: readonly string[]) => void;
  /** Called when a try failed; another follows. */
  readonly onError: (error: unknown) => void;
}

export class WakeSubscription {
  private readonly ends = new Set<() => void>();
  private readonly retries = new Set<Cancel>();
  private closed = false;

  constructor(private readonly options: WakeSubscriptionOptions) {}

  /** Subscribes to more lanes; resolves when the subscription is established or has failed once. */
  async add(lanes: readonly string[], tries = 1): Promise<void> {
    if (this.closed) return;
    const { backend, capabilities, onWake, onLate, onError } = this.options;
    try {
      const end = await backend.onWake(lanes, onWake, capabilities);
      if (this.isClosed()) {
        end();
        return;
      }
      this.ends.add(end);
      if (tries > 1) onLate(lanes);
    } catch (error) {
      if (this.isClosed()) return;
      onError(error);
      this.retryLater(lanes, tries);
    }
  }

  /** Ends all subscriptions and retries. */
  close(): void {
    this.closed = true;
    for (const cancel of this.retries) cancel();
    for (const end of this.ends) end();
    this.retries.clear();
    this.ends.clear();
  }

  private retryLater(lanes: readonly string[], tries: number): void {
    const { clock } = this.options;
    const cancel = clock.after(retryDelayMs(clock, tries), () => {
      this.retries.delete(cancel);
      void this.add(lanes, tries + 1);
    });
    this.retries.add(cancel);
  }

  private isClosed(): boolean {
    return this.closed;
  }
}
