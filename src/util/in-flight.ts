/** Tracks pending promises, so that their owner can wait for all of them. */
export class InFlight {
  private count = 0;
  private waiting: (() => void)[] = [];

  /** @param onError gets the rejections */
  constructor(private readonly onError: (error: unknown) => void) {}

  /** Number of pending promises. */
  get size(): number {
    return this.count;
  }

  /** Tracks a promise until it settles. */
  track(promise: Promise<unknown>): void {
    this.count++;
    void promise.then(this.ended, (error: unknown) => {
      this.ended();
      this.onError(error);
    });
  }

  /** Resolves when no promise is pending, including those tracked meanwhile. Never rejects. */
  async settled(): Promise<void> {
    while (this.count > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private readonly ended = (): void => {
    this.count--;
    if (this.count > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  };
}
