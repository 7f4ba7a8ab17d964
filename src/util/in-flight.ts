/** Work that is under way, so that its owner can wait for the last of it. */
export class InFlight {
  private count = 0;
  private waiting: (() => void)[] = [];

  /** How many are under way. */
  get size(): number {
    return this.count;
  }

  /** Counts the promise until it settles. What it rejects with is for its other users: here it is not looked at. */
  track<T>(promise: Promise<T>): Promise<T> {
    this.count++;
    promise.then(this.ended, this.ended);
    return promise;
  }

  /** Resolves when nothing is under way, also of what began meanwhile. Never rejects. */
  async settled(): Promise<void> {
    while (this.count > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private readonly ended = (): void => {
    this.count--;
    if (this.count > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  };
}
