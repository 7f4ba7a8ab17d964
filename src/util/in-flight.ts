/** Work that is under way, so that its owner can wait for the last of it. */
export class InFlight {
  private readonly promises = new Set<Promise<unknown>>();

  /** How many are under way. */
  get size(): number {
    return this.promises.size;
  }

  /** Counts the promise until it settles. What it rejects with is for its other users: here it is not looked at. */
  track<T>(promise: Promise<T>): Promise<T> {
    this.promises.add(promise);
    const settled = (): void => void this.promises.delete(promise);
    promise.then(settled, settled);
    return promise;
  }

  /** Resolves when nothing is under way, also of what began meanwhile. Never rejects. */
  async settled(): Promise<void> {
    while (this.promises.size > 0) await Promise.allSettled(this.promises);
  }
}
