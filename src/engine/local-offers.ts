/**
 * Work that a command of this process may be about to make claimable, offered inside the process. A claimer with room claims
 * before its listener returns: the claim then travels behind the command, in the same call, and finds the work. Like local
 * news it is a hint: the store decides whether there is work, and wakes the others if nobody here takes it.
 */
import { perBackend } from './per-backend.js';

/** Where the work would wait. */
export interface LocalOffer {
  readonly laneId: string;
  readonly partition: string;
  readonly executionKind: string;
  readonly requiredCapabilities: readonly string[];
}

class LocalOffers {
  private readonly listeners = new Set<(offer: LocalOffer) => boolean>();

  /** Calls the listener, which answers whether it claims, until the returned function is called. It must not throw. */
  listen(listener: (offer: LocalOffer) => boolean): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Offers the work to one claimer after the other, until one claims. */
  offer(work: LocalOffer): void {
    for (const claims of this.listeners) if (claims(work)) return;
  }
}

/** The offers of a backend in this process. */
export const localOffers = perBackend(() => new LocalOffers());
