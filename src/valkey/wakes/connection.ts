/** A subscribed connection; it does not reconnect. */
import type { Valkey } from 'iovalkey';
import { NodeFault } from '../connection/node-faults.js';

/** The connection ended before it confirmed the channels of a caller. */
export class SubscriptionEnded extends Error {
  /** @param reason the error of a call on the connection, if there was one */
  constructor(readonly reason: unknown) {
    super('The connection for wakes ended.');
  }
}

export class WakeConnection {
  /** The confirmation of each channel, which all its callers share. */
  private readonly confirmations = new Map<string, Promise<void>>();
  private ended = false;

  constructor(
    private readonly client: Valkey,
    onMessage: (channel: string, message: string) => void,
    onEnd: () => void,
  ) {
    client.on('message', onMessage);
    client.once('end', () => {
      this.ended = true;
      onEnd();
    });
  }

  /**
   * Resolves when the server has confirmed every channel on this connection.
   * @throws SubscriptionEnded if the connection ended before that; otherwise the error of the server
   */
  async subscribe(channels: Iterable<string>): Promise<void> {
    try {
      // One call per channel, so that a refusal affects one channel only.
      await Promise.all([...channels].map((channel) => this.confirmation(channel)));
    } catch (error) {
      throw this.ended || error instanceof NodeFault ? new SubscriptionEnded(error) : error;
    }
    if (this.ended) throw new SubscriptionEnded(undefined);
  }

  unsubscribe(channels: readonly string[]): void {
    const known = channels.filter((channel) => this.confirmations.delete(channel));
    // After a failure to unsubscribe, messages without listeners arrive, which is harmless.
    if (known.length > 0) this.client.unsubscribe(...known).catch(() => undefined);
  }

  /** Sends a ping, so that a dead connection is detected. */
  ping(): void {
    this.client.ping().catch(() => undefined);
  }

  close(): void {
    this.client.disconnect();
  }

  private confirmation(channel: string): Promise<void> {
    const known = this.confirmations.get(channel);
    if (known !== undefined) return known;
    const confirmed = this.client.subscribe(channel).then(() => undefined);
    this.confirmations.set(channel, confirmed);
    // The next caller subscribes again.
    confirmed.catch(() => {
      if (this.confirmations.get(channel) === confirmed) this.confirmations.delete(channel);
    });
    return confirmed;
  }
}
