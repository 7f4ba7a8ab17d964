/**
 * News inside one process: code that ends an execution tells all other users of the same backend in this process, so
 * that none of them waits for a poll. News are hints; those of other processes come from the store.
 */
import { perBackend } from './per-backend.js';

/** How an execution, or its current attempt, ended. */
export type News =
  | {
      readonly kind: 'completed';
      readonly executionId: string;
      readonly result: Uint8Array | undefined;
      readonly encoding: string | undefined;
    }
  | { readonly kind: 'failed'; readonly executionId: string; readonly reason: string; readonly category: string }
  | { readonly kind: 'cancelled'; readonly executionId: string; readonly reason: string }
  | {
      readonly kind: 'expired';
      readonly executionId: string;
      readonly reason: 'attempt_timeout' | 'execution_deadline' | 'suspension_timeout:expire';
    }
  /** Its dependencies in its flow did not complete. */
  | { readonly kind: 'skipped'; readonly executionId: string }
  /** The attempt timed out; another one follows. */
  | { readonly kind: 'attempt_timeout'; readonly executionId: string };

class LocalNews {
  private readonly listeners = new Set<(news: News) => void>();

  /** Calls the listener for all news until the returned function is called. Listeners must not throw. */
  listen(listener: (news: News) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  publish(news: News): void {
    for (const listener of this.listeners) listener(news);
  }
}

/** The news of a backend in this process. */
export const localNews = perBackend(() => new LocalNews());
