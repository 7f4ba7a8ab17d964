/**
 * Gives outcomes of steps to a handler one by one, in the order in which they were recorded. Each is followed by all
 * that the handler does at once, before the next one. So a race of steps has the same winner in every run, and what
 * parallel steps do next happens in the same order.
 */
interface Waiting {
  readonly order: number;
  readonly go: () => void;
}

export class Deliveries {
  private readonly waiting: Waiting[] = [];

  /** Resolves when the outcome of this place in the order may reach the handler. */
  inTurn(order: number): Promise<void> {
    return new Promise((go) => {
      this.waiting.push({ order, go });
      // A tick that is set in a promise's reaction runs after all reactions, which includes those of earlier outcomes.
      if (this.waiting.length === 1) void Promise.resolve().then(this.schedule);
    });
  }

  private readonly schedule = (): void => process.nextTick(this.deliver);

  private readonly deliver = (): void => {
    const { waiting } = this;
    const first = waiting.reduce((one, other) => (other.order < one.order ? other : one));
    waiting.splice(waiting.indexOf(first), 1);
    first.go();
    if (waiting.length > 0) void Promise.resolve().then(this.schedule);
  };
}
