/**
 * Wakes from the server: one subscribed connection per process, created when a caller first listens. When it breaks, a
 * new one takes over its channels. Messages that were published meanwhile are lost, so every listener gets a `resync`
 * wake once the new subscription is established.
 *
 * A listener is added to all its channels or to none: `add` resolves when the server has confirmed all of them, and
 * removes the listener if that fails or takes too long.
 */
import type { FamilyCounts } from '../../../model/families.js';
import type { Valkey } from 'iovalkey';
import { CHANNELS } from '../../../lua/layout.js';
import { EngineError } from '../../../model/errors.js';
import { memberOf, partitionOfExecution } from '../../../model/ids.js';
import type { AnnouncementKind, AnnouncementListener, StreamNotice, Wake } from '../../backend/backend.js';
import { callListener, WakeListeners, type ChannelMessage, type WakeListener } from '../../backend/wake-listeners.js';
import type { Deadlines } from '../connection/deadlines.js';
import { CallTimeout, faultOf, isPermanent } from '../connection/faults.js';
import { NodeFault } from '../connection/node-faults.js';
import { SubscriptionEnded, WakeConnection } from './connection.js';
import { parseWake } from './parse.js';

/** Interval of pings, ms, which detect a peer that disappeared without closing the connection. */
const PING_INTERVAL_MS = 10_000;
/** Delay before a lost connection is replaced, ms; doubled each time up to the maximum. */
const RECONNECT_MS = 50;
const MAX_RECONNECT_MS = 1_000;

type Resync = Extract<Wake, { kind: 'resync' }>;

export interface WakeSubscriberOptions {
  readonly prefix: string;
  readonly counts: FamilyCounts;
  /** The name of the server in errors. */
  readonly label: string;
  readonly deadlines: Deadlines;
  /** Creates a connection that does not reconnect. */
  readonly connect: () => Valkey;
}

export class WakeSubscriber {
  private connection: WakeConnection | undefined;
  private readonly channels = new Map<string, WakeListeners>();
  /** Every listener once, regardless of its channels. */
  private readonly listeners = new Set<{ readonly listener: (resync: Resync) => void }>();
  private readonly pinging: ReturnType<typeof setInterval>;
  private reconnecting: ReturnType<typeof setTimeout> | undefined;
  /** Callers that wait for the next connection. */
  private waiting: (() => void)[] = [];
  private failures = 0;
  /** Whether wakes may have been lost since the last established subscription. */
  private interrupted = false;
  private enabled = true;
  private closed = false;

  constructor(private readonly options: WakeSubscriberOptions) {
    this.pinging = setInterval(() => {
      this.connection?.ping();
      // Some channels were refused, as by a right that was missing for a moment.
      if (this.interrupted && this.connection !== undefined) void this.resubscribe(this.connection);
    }, PING_INTERVAL_MS);
    this.pinging.unref();
  }

  /**
   * Resolves when the server has confirmed the subscription: every wake sent from then on arrives, or a `resync`
   * instead.
   * @throws EngineError after which the listener is not called
   */
  add(lanes: readonly string[], listener: WakeListener, capabilities?: readonly string[]): Promise<() => void> {
    return this.listen([...lanes.map((lane) => this.channelOf(lane)), this.timersChannel], listener, capabilities);
  }

  /** The same for announcements of partitions. */
  addForAnnouncements(kind: AnnouncementKind, listener: AnnouncementListener): Promise<() => void> {
    return this.listen([this.options.prefix + CHANNELS[kind]], listener);
  }

  /** The same for the streams of an execution. */
  addForFrames(executionId: string, listener: (notice: StreamNotice) => void): Promise<() => void> {
    const name = `${partitionOfExecution(executionId)}:${memberOf(executionId)}`;
    return this.listen([this.options.prefix + CHANNELS.frames + name], listener);
  }

  private async listen<Message extends ChannelMessage>(
    names: readonly string[],
    listener: (message: Message) => void,
    capabilities?: readonly string[],
  ): Promise<() => void> {
    this.assertOpen();
    const channels = [...new Set(names)];
    const entry = { listener: listener as (resync: Resync) => void };
    this.listeners.add(entry);
    const leaves = channels.map((channel) => this.listenersOf(channel).add(listener, capabilities));
    const remove = (): void => {
      if (!this.listeners.delete(entry)) return;
      for (const leave of leaves) leave();
      this.forget(channels);
    };
    try {
      await this.confirm(channels);
    } catch (error) {
      remove();
      throw faultOf(error, this.options.label);
    }
    return remove;
  }

  /**
   * Enables or disables wakes of the server. While they are disabled, listeners only get the work of this process, and
   * `add` resolves at once. When they are enabled again, listeners get a `resync` wake.
   */
  enable(enabled: boolean): void {
    if (this.enabled === enabled || this.closed) return;
    this.enabled = enabled;
    if (enabled) {
      this.interrupted = true;
      if (this.channels.size > 0) this.open();
    } else {
      this.connection?.close();
    }
  }

  /** Whether claimers may listen: every listener for a lane listens for timers too. */
  get mayHaveClaimers(): boolean {
    return this.channels.has(this.timersChannel);
  }

  /** Calls the listeners of a lane in this process, one after another, while `wakeNow` returns a wake. */
  notifyLane(laneId: string, wakeNow: () => Wake | undefined): void {
    this.channels.get(this.channelOf(laneId))?.notify(wakeNow);
  }

  /** Calls every listener once more, so that those who wait for a wake look and are refused, and closes. */
  end(): void {
    const last = [...this.listeners];
    this.close();
    for (const { listener } of last) callListener(listener, { kind: 'resync' });
  }

  close(): void {
    this.closed = true;
    clearInterval(this.pinging);
    clearTimeout(this.reconnecting);
    this.connection?.close();
    this.channels.clear();
    this.listeners.clear();
    this.connected();
  }

  /** Resolves when the channels are confirmed on the current connection. */
  private async confirm(channels: readonly string[]): Promise<void> {
    const { deadlines } = this.options;
    const deadline = deadlines.fromNow();
    let lastFault: unknown;
    while (this.enabled) {
      this.assertOpen();
      const leftMs = deadlines.leftMs(deadline);
      if (leftMs <= 0) throw lastFault ?? new CallTimeout(true);
      this.open();
      const { connection } = this;
      if (connection === undefined) {
        await deadlines.within(new Promise<void>((resolve) => this.waiting.push(resolve)), leftMs);
        continue;
      }
      try {
        await deadlines.within(connection.subscribe(channels), leftMs);
        return;
      } catch (error) {
        if (!(error instanceof SubscriptionEnded)) throw error;
        lastFault = error.reason ?? lastFault;
        if (lastFault instanceof NodeFault && isPermanent(lastFault.reason)) throw lastFault;
      }
    }
  }

  /** Creates the connection, unless it exists or is scheduled. */
  private open(): void {
    if (!this.enabled || this.closed || this.connection !== undefined || this.reconnecting !== undefined) return;
    let client: Valkey;
    try {
      client = this.options.connect();
    } catch {
      // No node of the cluster is known now.
      this.openLater();
      return;
    }
    const connection: WakeConnection = new WakeConnection(
      client,
      (channel, message) => this.deliver(channel, message),
      () => this.ended(connection),
    );
    this.connection = connection;
    void this.resubscribe(connection);
    this.connected();
  }

  /** Subscribes a new connection to every channel with listeners, and sends `resync` if wakes may have been lost. */
  private async resubscribe(connection: WakeConnection): Promise<void> {
    const results = await Promise.allSettled(
      [...this.channels.keys()].map((channel) => connection.subscribe([channel])),
    );
    if (this.connection !== connection || results.some(hasEnded)) return;
    this.failures = 0;
    if (!this.interrupted) return;
    this.interrupted = results.some(({ status }) => status === 'rejected');
    for (const { listener } of [...this.listeners]) callListener(listener, { kind: 'resync' });
  }

  private ended(connection: WakeConnection): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.interrupted = true;
    this.openLater();
  }

  private openLater(): void {
    if (this.closed || this.channels.size === 0) return;
    const delayMs = Math.min(RECONNECT_MS * 2 ** this.failures++, MAX_RECONNECT_MS);
    this.reconnecting = setTimeout(() => {
      this.reconnecting = undefined;
      if (this.channels.size > 0) this.open();
    }, delayMs);
  }

  private connected(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private assertOpen(): void {
    if (this.closed) throw new EngineError('backend_closed', `The backend of ${this.options.label} is closed.`);
  }

  private get timersChannel(): string {
    return this.options.prefix + CHANNELS.timers;
  }

  private channelOf(lane: string): string {
    return this.options.prefix + CHANNELS.work + lane;
  }

  private listenersOf(channel: string): WakeListeners {
    let known = this.channels.get(channel);
    if (known === undefined) this.channels.set(channel, (known = new WakeListeners()));
    return known;
  }

  /** Unsubscribes from channels without listeners. */
  private forget(channels: readonly string[]): void {
    const empty = channels.filter((channel) => this.channels.get(channel)?.isEmpty && this.channels.delete(channel));
    this.connection?.unsubscribe(empty);
  }

  private deliver(channel: string, message: string): void {
    const wake = parseWake(this.options, channel, message);
    // Others are no wakes of this deployment.
    if (wake !== undefined) this.channels.get(channel)?.notify(() => wake);
  }
}

const hasEnded = (result: PromiseSettledResult<void>): boolean =>
  result.status === 'rejected' && result.reason instanceof SubscriptionEnded;
