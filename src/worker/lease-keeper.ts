/**
 * Keeps the leases of everything that a worker has in hand: one timer renews them all, in one call per partition. It
 * also keeps a deadline of its own for each, on the monotonic clock, so that a worker that cannot reach the engine,
 * or whose event loop stood still, knows that it lost its work before somebody else starts on it.
 *
 *     0 ------------- 1/3 TTL -------------------------------- 90 % ------- TTL
 *     granted         renewal is sent                          lost          the engine may give it away
 *
 * All times count from the start of the request that got the lease, which is earlier than the engine's own count.
 * After a stall (the renewal due was never sent) the last 10 % are used to send it, so a handler that blocks the
 * event loop for less than 2/3 of the TTL loses nothing.
 */
import type { EngineError } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import type { Backend } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';

/** The proof of ownership that a claim returned. */
export interface LeaseFence {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly attemptId: string;
}

/** A lease in hand, and whom to tell when it is gone. */
export interface HeldLease {
  readonly executionId: string;
  readonly partition: string;
  readonly fence: LeaseFence;
  /** The lease is gone: by the engine's word, or by the worker's own clock when there is no error. */
  onLost(refusal: EngineError | undefined): void;
}

export interface LeaseKeeperOptions {
  readonly backend: Backend;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
  /** A renewal call failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

interface Entry {
  readonly held: HeldLease;
  /** Start of the request that granted or last renewed the lease. */
  grantedAt: number;
  /** Renewals tried since then. */
  tries: number;
  inFlight: boolean;
  /** Start of the last renewal tried. */
  sentAt: number;
  /** When the worker gives the lease up for lost. */
  loseAt: number;
}

/** Shorter by up to this share, so that workers do not renew in step; never longer, see above. */
const RENEWAL_JITTER = 0.1;
const SAFETY_MARGIN = 0.1;
const MAX_RETRY_MS = 1_000;
const RENEWALS_PER_CALL = 500;
/** A renewal sent this recently when its lease is about to be given up was held back by a stall, ms. */
const STALL_NOTICE_MS = 50;

export class LeaseKeeper {
  /** By the lease, not by its execution: work that was lost can be in hand again under another lease. */
  private readonly entries = new Map<HeldLease, Entry>();
  private renewal: Cancel | undefined;
  private watch: Cancel | undefined;
  private readonly calls = new Set<Promise<void>>();
  private closed = false;

  constructor(private readonly options: LeaseKeeperOptions) {}

  /** Takes care of a lease that a request which started at `requestedAt` was granted. */
  add(held: HeldLease, requestedAt: number): void {
    const { leaseTtlMs } = this.options;
    this.entries.set(held, {
      held,
      grantedAt: requestedAt,
      tries: 0,
      inFlight: false,
      sentAt: 0,
      loseAt: requestedAt + leaseTtlMs * (1 - SAFETY_MARGIN),
    });
    this.renewal ??= this.scheduleRenewal(this.intervalMs());
    this.watch ??= this.scheduleWatch(requestedAt + leaseTtlMs * (1 - SAFETY_MARGIN));
  }

  /** The work is over, or given back: its lease is not renewed any more. */
  remove(held: HeldLease): void {
    this.entries.delete(held);
  }

  /** Until when final calls for this lease make sense, on the worker's clock. */
  lastsUntil(held: HeldLease): number {
    const entry = this.entries.get(held);
    return entry === undefined ? -Infinity : entry.grantedAt + this.options.leaseTtlMs;
  }

  /** Stops renewing; resolves when no renewal is under way. */
  async close(): Promise<void> {
    this.closed = true;
    this.renewal?.();
    this.watch?.();
    this.entries.clear();
    await Promise.all(this.calls);
  }

  private intervalMs(): number {
    return (this.options.leaseTtlMs / 3) * (1 - RENEWAL_JITTER * this.options.clock.random());
  }

  private scheduleRenewal(ms: number): Cancel {
    return this.options.clock.after(ms, () => {
      this.renewal = undefined;
      if (this.closed || this.entries.size === 0) return;
      this.renew([...this.entries.values()].filter((entry) => !entry.inFlight));
      this.renewal = this.scheduleRenewal(this.intervalMs());
    });
  }

  private renew(entries: readonly Entry[]): void {
    const byPartition = new Map<string, Entry[]>();
    for (const entry of entries) {
      const group = byPartition.get(entry.held.partition);
      if (group === undefined) byPartition.set(entry.held.partition, [entry]);
      else group.push(entry);
    }
    for (const group of byPartition.values()) {
      for (let from = 0; from < group.length; from += RENEWALS_PER_CALL) {
        const call = this.renewGroup(group.slice(from, from + RENEWALS_PER_CALL));
        this.calls.add(call);
        void call.finally(() => this.calls.delete(call));
      }
    }
  }

  private async renewGroup(group: readonly Entry[]): Promise<void> {
    const { backend, clock, leaseTtlMs } = this.options;
    const requestedAt = clock.now();
    for (const entry of group) {
      entry.inFlight = true;
      entry.tries++;
      entry.sentAt = requestedAt;
    }
    const commands = group.map(
      ({ held }): Command => ({
        name: 'renewLease',
        args: { executionId: held.executionId, fence: held.fence, leaseTtlMs },
      }),
    );
    try {
      const results = await backend.execute(commands);
      group.forEach((entry, index) => {
        const result = results[index];
        if (result?.ok) this.renewed(entry, requestedAt);
        else if (result !== undefined) this.lose(entry, result.error);
      });
    } catch (error) {
      this.options.onError(error);
      this.renewal?.();
      if (!this.closed) this.renewal = this.scheduleRenewal(Math.min(leaseTtlMs / 10, MAX_RETRY_MS));
    }
    for (const entry of group) entry.inFlight = false;
  }

  private renewed(entry: Entry, requestedAt: number): void {
    entry.grantedAt = requestedAt;
    entry.tries = 0;
    entry.loseAt = requestedAt + this.options.leaseTtlMs * (1 - SAFETY_MARGIN);
  }

  private lose(entry: Entry, refusal: EngineError | undefined): void {
    // Only if it is still this lease that is in hand: its work may have ended while the call was under way.
    if (!this.entries.delete(entry.held)) return;
    entry.held.onLost(refusal);
  }

  private scheduleWatch(at: number): Cancel {
    return this.options.clock.after(at - this.options.clock.now(), () => {
      this.watch = undefined;
      this.check();
    });
  }

  /** Gives up leases whose time is over, and comes back when the next one's would be. */
  private check(): void {
    if (this.closed) return;
    const now = this.options.clock.now();
    const unsent: Entry[] = [];
    for (const entry of [...this.entries.values()]) {
      if (entry.loseAt > now) continue;
      const endsAt = entry.grantedAt + this.options.leaseTtlMs;
      if (entry.loseAt < endsAt && now < endsAt && this.stalled(entry, now)) {
        entry.loseAt = endsAt;
        if (!entry.inFlight) unsent.push(entry);
      } else {
        this.lose(entry, undefined);
      }
    }
    if (unsent.length > 0) this.renew(unsent);
    const next = Math.min(...[...this.entries.values()].map(({ loseAt }) => loseAt));
    if (Number.isFinite(next)) this.watch = this.scheduleWatch(next);
  }

  /** Whether the renewal that was due long ago has not been sent, or only just now: the event loop stood still. */
  private stalled(entry: Entry, now: number): boolean {
    return entry.tries === 0 || (entry.tries === 1 && entry.inFlight && now - entry.sentAt < STALL_NOTICE_MS);
  }
}
