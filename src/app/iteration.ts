/** An iteration over the items of a run. It ends when one of its signals aborts, and at once when its reader leaves. */
import { onAbort } from '../shared/abort-listeners.js';

/** Reads from the beginning; ends with the reason of the signal when that aborts. */
export type Open<Item> = (signal: AbortSignal) => AsyncGenerator<Item, void, undefined>;

/** The abort reason when the reader has left. */
const LEFT = Symbol('left');

/** A reader that leaves need not wait for the pending item. */
export class Iteration<Item> implements AsyncIterableIterator<Item> {
  private readonly controller = new AbortController();
  private readonly items: AsyncGenerator<Item, void, undefined>;
  private undo: (() => void)[] | undefined;

  /** @param signals the first to abort ends the iteration with its reason */
  constructor(
    open: Open<Item>,
    private readonly signals: readonly (AbortSignal | undefined)[],
  ) {
    this.items = open(this.controller.signal);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Item, void>> {
    this.listen();
    try {
      const result = await this.items.next();
      if (result.done === true) this.over();
      return result;
    } catch (error) {
      this.over();
      if (error === LEFT) return { done: true, value: undefined };
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Item, void>> {
    this.over();
    this.controller.abort(LEFT);
    await this.items.return().catch(() => undefined);
    return { done: true, value: undefined };
  }

  /** Listens from the first read on: an iteration that is never read must not stay registered. */
  private listen(): void {
    if (this.undo !== undefined) return;
    this.undo = [];
    for (const signal of this.signals) {
      if (signal === undefined) continue;
      if (signal.aborted) this.controller.abort(signal.reason);
      else this.undo.push(onAbort(signal, () => this.controller.abort(signal.reason)));
    }
  }

  private over(): void {
    for (const each of this.undo ?? []) each();
  }
}
