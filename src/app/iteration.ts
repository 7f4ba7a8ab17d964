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
  private readonly undo: readonly (() => void)[];

  /** @param signals the first to abort ends the iteration with its reason */
  constructor(open: Open<Item>, signals: readonly (AbortSignal | undefined)[]) {
    const undo: (() => void)[] = [];
    for (const signal of signals) {
      if (signal === undefined) continue;
      if (signal.aborted) this.controller.abort(signal.reason);
      else undo.push(onAbort(signal, () => this.controller.abort(signal.reason)));
    }
    this.undo = undo;
    this.items = open(this.controller.signal);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Item, void>> {
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

  private over(): void {
    for (const each of this.undo) each();
  }
}
