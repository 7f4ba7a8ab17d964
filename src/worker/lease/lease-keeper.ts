/**
 * Keeps the leases of all work in hand. One timer renews them, with one call for each partition. Each lease also has
 * a deadline on the worker's monotonic clock, so that a worker that cannot reach the engine, or whose event loop was
 * blocked, knows that it lost its work before another worker starts on it.
 *
 *     0 ------------- 1/3 TTL -------------------------------- 90 % ------- TTL
 *     granted         renewal is sent                          lost          the engine may give it away
 *
 * All times count from the start of the request that was granted the lease, which is earlier than the engine's own
 * count. A renewal that met a fault is sent again until the lease is over.
 *
 * A handler may block the event loop for less than two thirds of the TTL, repeatedly, with a single `setImmediate` in
 * between, and its worker loses no lease. In a turn of the loop, handlers continue in two places: after the sockets and
 * after `setImmediate`. Before each of them due renewals are sent (by a timer, and by `turned`), even if the answer to
 * the previous renewal is unread. No lease is judged before the answers that have arrived are read. If a renewal was
 * sent just before, the keeper waits for its answer during the last tenth of the TTL.
 */
import type { EngineError } from '../../../model/errors.js';
import type { Command } from '../../../model/machine.js';
import type { Backend, CommandResult } from '../../backend/backend.js';
import { afterIo, type Cancel, type Clock } from '../../engine/clock.js';
import { groupBy } from '../../util/group-by.js';
import { Bag, type Member } from '../../util/bag.js';
import { InFlight } from '../../util/in-flight.js';
import { answerOf } from './answers.js';
import { speaksOfOwnership } from './refusal.js';

/** The proof of ownership that a claim returned. */
export interface LeaseFence {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly attemptId: string;
}

/** Work with a lease to keep. */
export interface HeldLease {
  readonly executionId: string;
  readonly partition: string;
  readonly fence: LeaseFence;
  /** State of the keeper while it keeps the lease. */
  lease?: Lease | undefined;
  /**
   * Called when the lease is lost: the engine refused it, or without an error, it is over by the worker's own clock.
   */
  onLost(refusal: EngineError | undefined): void;
}

export interface LeaseKeeperOptions {
  readonly backend: Backend;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
  /** Called when a renewal, or a call with renewals, met a fault; the renewals are sent again. */
  readonly onError: (error: unknown) => void;
}

/** The state of a kept lease. */
export interface Lease extends Member {
  readonly held: HeldLease;
  /** Start of the request that granted or last renewed the lease. */
  grantedAt: number;
  /** When the next renewal is due, whether or not the last one was answered. */
  renewAt: number;
  /** Start of the last renewal. */
  sentAt: number;
  /** Renewals in flight. */
  inFlight: number;
  /** When the worker considers the lease lost. */
  loseAt: number;
  /** Called when the lease is renewed (true) or gone (false). */
  onNews: ((kept: boolean) => void) | undefined;
}

/** Intervals are shorter by up to this share, so that workers do not renew in step; never longer, see above. */
const RENEWAL_JITTER = 0.1;
const SAFETY_MARGIN = 0.1;
/** Renewals that are due within this share of the renewal interval join a call. */
const JOIN_SHARE = 0.25;
const MAX_RETRY_MS = 1_000;
const RENEWALS_PER_CALL = 500;
/** A renewal sent this shortly before its lease is judged was delayed by a blocked event loop, ms. */
const STALL_NOTICE_MS = 50;

export class LeaseKeeper {
  /** Leases, not executions: a lost execution can be in hand again under another lease. */
  private readonly leases = new Bag<Lease>();
  private readonly calls = new InFlight((error) => this.options.onError(error));
  private timer: Cancel | undefined;
  /** When the timer fires. */
  private timerAt = Infinity;
  private closed = false;

  constructor(private readonly options: LeaseKeeperOptions) {}

  /** Keeps a lease granted to a request that started at `requestedAt`. */
  add(held: HeldLease, requestedAt: number): void {
    const lease: Lease = {
      place: -1,
      held,
      grantedAt: requestedAt,
      renewAt: requestedAt + this.intervalMs(),
      sentAt: -Infinity,
      inFlight: 0,
      loseAt: requestedAt + this.options.leaseTtlMs * (1 - SAFETY_MARGIN),
      onNews: undefined,
    };
    held.lease = lease;
    this.leases.add(lease);
    this.arm(lease.renewAt);
  }

  /** Stops renewing a lease, because the work is over or handed back. */
  remove(held: HeldLease): void {
    const { lease } = held;
    if (lease === undefined) return;
    this.stopKeeping(lease);
    lease.onNews?.(false);
  }

  /** End of the lease, on the worker's clock; -Infinity when it is not kept. */
  lastsUntil(held: HeldLease): number {
    return held.lease === undefined ? -Infinity : held.lease.grantedAt + this.options.leaseTtlMs;
  }

  /**
   * Whether the lease is older than the renewal interval, because the answer that granted it was read late. Renew it
   * before a handler starts: a handler that blocks the event loop would lose it.
   */
  isStale(held: HeldLease): boolean {
    const { clock, leaseTtlMs } = this.options;
    return clock.now() > this.lastsUntil(held) - (leaseTtlMs * 2) / 3;
  }

  /** Renews the lease now; resolves when it is renewed (true) or gone (false). */
  confirm(held: HeldLease): Promise<boolean> {
    const { lease } = held;
    if (lease === undefined) return Promise.resolve(false);
    const confirmed = new Promise<boolean>((resolve) => (lease.onNews = resolve));
    if (lease.inFlight === 0) this.renew([lease]);
    return confirmed;
  }

  /** Renews leases now that may be gone, with one call for each partition. */
  renewNow(held: Iterable<HeldLease>): void {
    const leases = [...held].flatMap(({ lease }) => lease ?? []);
    this.renew(leases.filter(({ inFlight }) => inFlight === 0));
  }

  /**
   * Call this where handlers continue in a turn of the event loop: sends due renewals without waiting for the timer.
   */
  sendDue(): void {
    if (this.options.clock.now() < this.timerAt) return;
    this.timer?.();
    this.tick();
  }

  /** Stops renewing; resolves when no renewal is in flight. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.();
    for (const { held } of [...this.leases]) this.remove(held);
    await this.calls.settled();
  }

  private intervalMs(): number {
    return (this.options.leaseTtlMs / 3) * (1 - RENEWAL_JITTER * this.options.clock.random());
  }

  /** Makes the timer fire at this time at the latest. */
  private arm(at: number): void {
    if (this.closed || at >= this.timerAt) return;
    const { clock } = this.options;
    this.timer?.();
    this.timerAt = at;
    this.timer = clock.after(at - clock.now(), () => this.tick());
  }

  /** Sends due renewals first, then judges leases after the answers that have arrived are read. */
  private tick(): void {
    this.timerAt = Infinity;
    const { clock, leaseTtlMs } = this.options;
    const now = clock.now();
    const soon = now + (leaseTtlMs / 3) * JOIN_SHARE;
    const leases = [...this.leases];
    if (leases.some(({ renewAt }) => renewAt <= now))
      this.renew(leases.filter(({ renewAt, inFlight }) => renewAt <= (inFlight === 0 ? soon : now)));
    // Judged as of now: the time until the answers are read must not count against leases that wait for one.
    if (leases.some(({ loseAt }) => loseAt <= now)) afterIo(clock, () => this.judge(now));
    this.armForNext(now);
  }

  /** Sets the timer for the next renewal, and for the next lease to judge after `judgedAt`. */
  private armForNext(judgedAt: number): void {
    let next = Infinity;
    for (const { renewAt, loseAt } of this.leases)
      next = Math.min(next, renewAt, loseAt > judgedAt ? loseAt : Infinity);
    this.arm(next);
  }

  private renew(leases: readonly Lease[]): void {
    const now = this.options.clock.now();
    // A lease that is over by the worker's clock is not renewed: if the engine still granted it, no worker would run its
    // work. Except while a renewal is in flight, whose answer may have arrived unread.
    const { leaseTtlMs } = this.options;
    const live = leases.filter(({ grantedAt, inFlight }) => inFlight > 0 || now < grantedAt + leaseTtlMs);
    for (const group of groupBy(live, ({ held }) => held.partition).values()) {
      for (let from = 0; from < group.length; from += RENEWALS_PER_CALL)
        this.calls.track(this.renewGroup(group.slice(from, from + RENEWALS_PER_CALL), now));
    }
  }

  private async renewGroup(group: readonly Lease[], requestedAt: number): Promise<void> {
    const { backend, leaseTtlMs, onError } = this.options;
    for (const lease of group) {
      lease.sentAt = requestedAt;
      lease.renewAt = requestedAt + this.intervalMs();
      lease.inFlight++;
    }
    const commands = group.map(
      ({ held }): Command => ({
        name: 'renewLease',
        args: { executionId: held.executionId, fence: held.fence, leaseTtlMs },
      }),
    );
    try {
      const results: readonly CommandResult[] = await backend.execute(commands);
      group.forEach((lease, index) => this.answered(lease, results[index], requestedAt));
    } catch (error) {
      onError(error);
      for (const lease of group) this.retryLater(lease);
    }
    if (!this.closed) this.sendDue();
  }

  private answered(lease: Lease, result: CommandResult | undefined, requestedAt: number): void {
    const answer = answerOf(result);
    if (answer.kind === 'accepted') {
      this.renewed(lease, requestedAt);
    } else if (answer.kind === 'refused' && speaksOfOwnership(answer.error)) {
      this.lose(lease, answer.error);
    } else {
      this.options.onError(answer.error);
      this.retryLater(lease);
    }
  }

  private renewed(lease: Lease, requestedAt: number): void {
    lease.inFlight--;
    lease.grantedAt = Math.max(lease.grantedAt, requestedAt);
    lease.loseAt = lease.grantedAt + this.options.leaseTtlMs * (1 - SAFETY_MARGIN);
    lease.onNews?.(true);
    lease.onNews = undefined;
  }

  /** Schedules a renewal again soon, since the fate of the last one is unknown. */
  private retryLater(lease: Lease): void {
    const { clock, leaseTtlMs } = this.options;
    lease.inFlight--;
    lease.renewAt = Math.min(lease.renewAt, clock.now() + Math.min(leaseTtlMs / 10, MAX_RETRY_MS));
    if (this.leases.has(lease)) this.arm(lease.renewAt);
  }

  private lose(lease: Lease, refusal: EngineError | undefined): void {
    // Only if it is still kept: the work may have ended while the call was in flight.
    if (!this.stopKeeping(lease)) return;
    lease.onNews?.(false);
    lease.held.onLost(refusal);
  }

  /** Stops keeping the lease. False if it was not kept. */
  private stopKeeping(lease: Lease): boolean {
    // The work may be held under a newer lease by now.
    if (lease.held.lease === lease) lease.held.lease = undefined;
    return this.leases.delete(lease);
  }

  /** Gives up the leases that were over at `asOf`, and sets the timer for the next one. */
  private judge(asOf: number): void {
    if (this.closed) return;
    for (const lease of [...this.leases]) {
      if (lease.loseAt > asOf) continue;
      const endsAt = lease.grantedAt + this.options.leaseTtlMs;
      const justSent = lease.inFlight > 0 && asOf - lease.sentAt < STALL_NOTICE_MS;
      if (justSent && lease.loseAt < endsAt && asOf < endsAt) lease.loseAt = endsAt;
      else this.lose(lease, undefined);
    }
    this.armForNext(asOf);
  }
}
