/** Wakes from the server: one subscribed connection per process, made when somebody first waits. */
import type { Wake } from '../backend.js';
import { CHANNELS } from './layout.js';
import type { Client } from './connection.js';

type Listener = (wake: Wake) => void;

export class WakeSubscriber {
  private client: Client | undefined;
  private readonly listeners = new Map<string, Set<Listener>>();

  constructor(private readonly prefix: string, private readonly connect: () => Client) {}

  /** Resolves when the server confirmed the subscription: a wake sent from then on arrives, unless the connection breaks. */
  async add(lanes: readonly string[], listener: Listener): Promise<() => void> {
    const channels = [...lanes.map((lane) => this.prefix + CHANNELS.work + lane), this.prefix + CHANNELS.timers];
    const fresh = channels.filter((channel) => !this.listeners.has(channel));
    for (const channel of channels) {
      const known = this.listeners.get(channel);
      if (known === undefined) this.listeners.set(channel, new Set([listener]));
      else known.add(listener);
    }
    if (this.client === undefined) {
      this.client = this.connect();
      this.client.on('message', (channel: string, message: string) => this.deliver(channel, message));
    }
    if (fresh.length > 0) await this.client.subscribe(...fresh);
    return () => this.remove(channels, listener);
  }

  close(): void {
    this.client?.disconnect();
    this.listeners.clear();
  }

  private remove(channels: readonly string[], listener: Listener): void {
    const empty = channels.filter((channel) => {
      const known = this.listeners.get(channel);
      known?.delete(listener);
      return known?.size === 0 && this.listeners.delete(channel);
    });
    // A failure to unsubscribe costs messages that nobody listens to, nothing else.
    if (empty.length > 0) this.client?.unsubscribe(...empty).catch(() => undefined);
  }

  private deliver(channel: string, message: string): void {
    const wake = this.parse(channel, message);
    if (wake !== undefined) for (const listener of this.listeners.get(channel) ?? []) listener(wake);
  }

  private parse(channel: string, message: string): Wake | undefined {
    const name = channel.slice(this.prefix.length);
    if (name === CHANNELS.timers) {
      const [partition, at] = message.split(' ');
      return partition === undefined || at === undefined ? undefined : { kind: 'timer', partition, at: Number(at) };
    }
    return { kind: 'work', laneId: name.slice(CHANNELS.work.length), partition: message };
  }
}

