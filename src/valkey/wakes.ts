/**
 * Wakes from the server: one subscribed connection per process, made when somebody first waits. When it breaks, another
 * one takes over its channels; what was published meanwhile is lost, which is why whoever waits also polls.
 */
import type { Valkey } from 'iovalkey';
import type { Wake } from '../backend.js';
import { WakeListeners, type WakeListener } from '../wake-listeners.js';
import { CHANNELS } from '../../lua/layout.js';

/** Between two signs of life that are asked of a quiet connection, ms: a peer can go away without a word. */
const PING_INTERVAL_MS = 10_000;
/** Wait before a lost connection is replaced, ms: doubled each time up to the second. */
const RECONNECT_MS = 50;
const MAX_RECONNECT_MS = 1_000;

export class WakeSubscriber {
  private client: Valkey | undefined;
  private readonly listeners = new Map<string, WakeListeners>();
  private readonly pinging: ReturnType<typeof setInterval>;
  private reconnecting: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private closed = false;

  /** `connect` makes a connection that ends for good when it breaks. */
  constructor(
    private readonly prefix: string,
    private readonly connect: () => Valkey,
  ) {
    this.pinging = setInterval(() => void this.client?.ping().catch(() => undefined), PING_INTERVAL_MS);
    this.pinging.unref();
  }

  /** Resolves when the server confirmed the subscription: a wake sent from then on arrives, unless the connection breaks. */
  async add(lanes: readonly string[], listener: WakeListener, capabilities?: readonly string[]): Promise<() => void> {
    const channels = [...lanes.map((lane) => this.channelOf(lane)), this.prefix + CHANNELS.timers];
    const fresh = channels.filter((channel) => !this.listeners.has(channel));
    const leaves = channels.map((channel) => this.listenersOf(channel).add(listener, capabilities));
    const remove = (): void => {
      for (const leave of leaves) leave();
      this.forget(channels);
    };
    try {
      if (this.client === undefined) await this.open();
      else if (fresh.length > 0) await this.client.subscribe(...fresh);
    } catch (error) {
      remove();
      throw error;
    }
    return remove;
  }

  /** Tells those of this process who wait for a lane, one after the other, as long as there is something to say. */
  tell(laneId: string, wakeNow: () => Wake | undefined): void {
    this.listeners.get(this.channelOf(laneId))?.tell(wakeNow);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.pinging);
    clearTimeout(this.reconnecting);
    this.client?.disconnect();
    this.listeners.clear();
  }

  /** Makes the connection and subscribes it to every channel that somebody listens to. */
  private async open(): Promise<void> {
    clearTimeout(this.reconnecting);
    const client = this.connect();
    this.client = client;
    client.on('message', (channel: string, message: string) => this.deliver(channel, message));
    client.once('end', () => this.replace(client));
    await client.subscribe(...this.listeners.keys());
    this.failures = 0;
  }

  private replace(ended: Valkey): void {
    if (this.client !== ended) return;
    this.client = undefined;
    this.openLater();
  }

  private openLater(): void {
    if (this.closed || this.listeners.size === 0) return;
    const delayMs = Math.min(RECONNECT_MS * 2 ** this.failures++, MAX_RECONNECT_MS);
    this.reconnecting = setTimeout(() => {
      if (this.client !== undefined || this.listeners.size === 0) return;
      // A connection that could not be made ends, which brings us back here; one that could not even be tried does not.
      this.open().catch(() => {
        if (this.client === undefined) this.openLater();
      });
    }, delayMs);
  }

  private channelOf(lane: string): string {
    return this.prefix + CHANNELS.work + lane;
  }

  private listenersOf(channel: string): WakeListeners {
    let known = this.listeners.get(channel);
    if (known === undefined) this.listeners.set(channel, (known = new WakeListeners()));
    return known;
  }

  /** Unsubscribes from the channels that nobody listens to any more. */
  private forget(channels: readonly string[]): void {
    const empty = channels.filter((channel) => this.listeners.get(channel)?.isEmpty && this.listeners.delete(channel));
    // A failure to unsubscribe costs messages that nobody listens to, nothing else.
    if (empty.length > 0) this.client?.unsubscribe(...empty).catch(() => undefined);
  }

  private deliver(channel: string, message: string): void {
    const wake = this.parse(channel, message);
    if (wake !== undefined) this.listeners.get(channel)?.tell(() => wake);
  }

  private parse(channel: string, message: string): Wake | undefined {
    const name = channel.slice(this.prefix.length);
    if (name === CHANNELS.timers) {
      const [partition, at] = message.split('\t');
      return partition === undefined || at === undefined ? undefined : { kind: 'timer', partition, at: Number(at) };
    }
    const [partition = '', priority, needs = '', executionKind = ''] = message.split('\t');
    return {
      kind: 'work',
      laneId: name.slice(CHANNELS.work.length),
      partition,
      executionKind,
      priority: Number(priority),
      requiredCapabilities: needs === '' ? [] : needs.split(','),
    };
  }
}
