/** Work that is under way, so that its owner can wait for the last of it. */
export class InFlight {
  private count = 0;
  private waiting: (() => void)[] = [];

  /** What any of it rejects with goes to `onError`. */
  constructor(private readonly onError: (error: unknown) => void) {}

  /** How many are under way. */
  get size(): number {
    return this.count;
  }

  /** Counts the promise until it settles. */
  track(promise: Promise<unknown>): void {
    this.count++;
    void promise.then(this.ended, (error: unknown) => {
      this.ended();
      this.onError(error);
    });
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
