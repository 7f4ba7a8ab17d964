/**
 * Keeps the leases of everything that a worker has in hand: one timer renews them, those of a partition in one call. It
 * also keeps a deadline of its own for each, on the monotonic clock, so that a worker that cannot reach the engine,
 * or whose event loop stood still, knows that it lost its work before another worker starts on it.
 *
 *     0 ------------- 1/3 TTL -------------------------------- 90 % ------- TTL
 *     granted         renewal is sent                          lost          the engine may give it away
 *
 * All times count from the start of the request that got the lease, which is earlier than the engine's own count. A
 * renewal whose answer is a fault is sent again, until the lease is over.
 *
 * A handler that holds the event loop for less than two thirds of the TTL loses nothing, again and again, with a single
 * `setImmediate` in between. A turn of the loop has two places where handlers go on, behind the sockets and behind
 * `setImmediate`; before each of them the renewals that are due leave (a timer, and `turned`), also when the answer to
 * the one before has not been read. And no lease is judged before the answers that are there have been read. When a
 * renewal left only just now, the last tenth is used to wait for its answer.
 */
import type { EngineError } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import type { Backend, CommandResult } from '../backend.js';
import { afterIo, type Cancel, type Clock } from '../engine/clock.js';
import { groupBy } from '../util/group-by.js';
import { Bag, type Member } from '../util/bag.js';
import { InFlight } from '../util/in-flight.js';
import { answerOf } from './answers.js';
import { speaksOfOwnership } from './refusal.js';

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
  /** The keeper's own, while it keeps the lease. */
  lease?: Lease | undefined;
  /** The lease is gone: by the engine's word, or by the worker's own clock when there is no error. */
  onLost(refusal: EngineError | undefined): void;
}

export interface LeaseKeeperOptions {
  readonly backend: Backend;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
  /** A renewal, or a call with renewals, met a fault; what it was for is tried again. */
  readonly onError: (error: unknown) => void;
}

/** What the keeper knows of a lease. */
export interface Lease extends Member {
  readonly held: HeldLease;
  /** Start of the request that granted or last renewed the lease. */
  grantedAt: number;
  /** When the next renewal is due, whether the last one is answered or not. */
  renewAt: number;
  /** Start of the last renewal. */
  sentAt: number;
  /** Renewals under way. */
  inFlight: number;
  /** When the worker gives the lease up for lost. */
  loseAt: number;
  /** Called when the lease is renewed or gone. */
  onNews: ((kept: boolean) => void) | undefined;
}

/** Shorter by up to this share, so that workers do not renew in step; never longer, see above. */
const RENEWAL_JITTER = 0.1;
const SAFETY_MARGIN = 0.1;
/** Renewals that are due this soon travel along, as a share of the time between two. */
const TOGETHER = 0.25;
const MAX_RETRY_MS = 1_000;
const RENEWALS_PER_CALL = 500;
/** A renewal sent this recently when its lease is about to be given up was held back by a stall, ms. */
const STALL_NOTICE_MS = 50;

export class LeaseKeeper {
  /** By the lease, not by its execution: work that was lost can be in hand again under another lease. */
  private readonly leases = new Bag<Lease>();
  private readonly calls = new InFlight((error) => this.options.onError(error));
  private timer: Cancel | undefined;
  /** When the timer fires. */
  private timerAt = Infinity;
  private closed = false;

  constructor(private readonly options: LeaseKeeperOptions) {}

  /** Takes care of a lease that a request which started at `requestedAt` was granted. */
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

  /** The work is over, or given back: its lease is not renewed any more. */
  remove(held: HeldLease): void {
    const { lease } = held;
    if (lease === undefined) return;
    this.drop(lease);
    lease.onNews?.(false);
  }

  /** Until when the lease is in force, on the worker's clock; -Infinity when it is not in hand. */
  lastsUntil(held: HeldLease): number {
    return held.lease === undefined ? -Infinity : held.lease.grantedAt + this.options.leaseTtlMs;
  }

  /**
   * Whether the lease is older than it gets between two renewals: the answer that granted it was read late. Work must
   * not start on it: a handler that holds the event loop then would lose it.
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

  /** These may be gone: asks for them now, those of a partition in one call. */
  doubt(held: Iterable<HeldLease>): void {
    const leases = [...held].flatMap(({ lease }) => lease ?? []);
    this.renew(leases.filter(({ inFlight }) => inFlight === 0));
  }

  /** The event loop has come to a point where handlers go on: what is due by now is not left to the timer. */
  turned(): void {
    if (this.options.clock.now() < this.timerAt) return;
    this.timer?.();
    this.tick();
  }

  /** Stops renewing; resolves when no renewal is under way. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.();
    for (const { held } of [...this.leases]) this.remove(held);
    await this.calls.settled();
  }

  private intervalMs(): number {
    return (this.options.leaseTtlMs / 3) * (1 - RENEWAL_JITTER * this.options.clock.random());
  }

  /** Sees to it that the timer fires at this time at the latest. */
  private arm(at: number): void {
    if (this.closed || at >= this.timerAt) return;
    const { clock } = this.options;
    this.timer?.();
    this.timerAt = at;
    this.timer = clock.after(at - clock.now(), () => this.tick());
  }

  /** First sends what is due, then judges, once the answers that are there have been read. */
  private tick(): void {
    this.timerAt = Infinity;
    const { clock, leaseTtlMs } = this.options;
    const now = clock.now();
    const soon = now + (leaseTtlMs / 3) * TOGETHER;
    const leases = [...this.leases];
    if (leases.some(({ renewAt }) => renewAt <= now))
      this.renew(leases.filter(({ renewAt, inFlight }) => renewAt <= (inFlight === 0 ? soon : now)));
    // As of now: what happens until the answers are read must not count against those who wait for one.
    if (leases.some(({ loseAt }) => loseAt <= now)) afterIo(clock, () => this.judge(now));
    this.armForNext(now);
  }

  /** Comes back for the next renewal, and for the next verdict after the one at `judgedAt`. */
  private armForNext(judgedAt: number): void {
    let next = Infinity;
    for (const { renewAt, loseAt } of this.leases)
      next = Math.min(next, renewAt, loseAt > judgedAt ? loseAt : Infinity);
    this.arm(next);
  }

  private renew(leases: readonly Lease[]): void {
    const now = this.options.clock.now();
    // A lease that is over by our own clock is not asked for again: it may be renewed, and then nobody has it. Unless a
    // renewal is under way, whose answer may only be unread.
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
      for (const lease of group) this.again(lease);
    }
    if (!this.closed) this.turned();
  }

  private answered(lease: Lease, result: CommandResult | undefined, requestedAt: number): void {
    const answer = answerOf(result);
    if (answer.kind === 'accepted') {
      this.renewed(lease, requestedAt);
    } else if (answer.kind === 'refused' && speaksOfOwnership(answer.error)) {
      this.lose(lease, answer.error);
    } else {
      this.options.onError(answer.error);
      this.again(lease);
    }
  }

  private renewed(lease: Lease, requestedAt: number): void {
    lease.inFlight--;
    lease.grantedAt = Math.max(lease.grantedAt, requestedAt);
    lease.loseAt = lease.grantedAt + this.options.leaseTtlMs * (1 - SAFETY_MARGIN);
    lease.onNews?.(true);
    lease.onNews = undefined;
  }

  /** Nothing is known of the renewal: it is sent again soon. */
  private again(lease: Lease): void {
    const { clock, leaseTtlMs } = this.options;
    lease.inFlight--;
    lease.renewAt = Math.min(lease.renewAt, clock.now() + Math.min(leaseTtlMs / 10, MAX_RETRY_MS));
    if (this.leases.has(lease)) this.arm(lease.renewAt);
  }

  private lose(lease: Lease, refusal: EngineError | undefined): void {
    // Only if it is still in hand: its work may have ended while the call was under way.
    if (!this.drop(lease)) return;
    lease.onNews?.(false);
    lease.held.onLost(refusal);
  }

  /** Whether it was kept. */
  private drop(lease: Lease): boolean {
    // It may be held under a newer lease by now.
    if (lease.held.lease === lease) lease.held.lease = undefined;
    return this.leases.delete(lease);
  }

  /** Gives up the leases whose time was over at `asOf`, and comes back when the next one's would be. */
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
