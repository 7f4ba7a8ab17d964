/** One subscribed connection, from its beginning to its end. */
import type { Valkey } from 'iovalkey';
import { NodeFault } from '../connection/node-faults.js';

/** What a caller is told whose channels the connection did not keep. */
export class SubscriptionEnded extends Error {
  /** `reason` is what a call on the connection met, if one did. */
  constructor(readonly reason: unknown) {
    super('The connection for wakes ended.');
  }
}

export class WakeConnection {
  /** Per channel the one confirmation that all who wait for it share. */
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
   * @throws SubscriptionEnded when the connection ended before that, or what the server answered
   */
  async subscribe(channels: Iterable<string>): Promise<void> {
    try {
      // A channel that is refused is refused alone.
      await Promise.all([...channels].map((channel) => this.confirmation(channel)));
    } catch (error) {
      throw this.ended || error instanceof NodeFault ? new SubscriptionEnded(error) : error;
    }
    if (this.ended) throw new SubscriptionEnded(undefined);
  }

  unsubscribe(channels: readonly string[]): void {
    const known = channels.filter((channel) => this.confirmations.delete(channel));
    // A failure to unsubscribe costs messages that nothing listens to, and nothing else.
    if (known.length > 0) this.client.unsubscribe(...known).catch(() => undefined);
  }

  /** Asks for a sign of life. */
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
    // The next caller asks again.
    confirmed.catch(() => {
      if (this.confirmations.get(channel) === confirmed) this.confirmations.delete(channel);
    });
    return confirmed;
  }
}
