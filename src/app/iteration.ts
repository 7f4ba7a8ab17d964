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
  /** Reads that are not answered yet. */
  private reads = 0;
  /** Why it ended between two reads; the next read throws it. */
  private ended: { readonly reason: unknown } | undefined;

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
    this.reads++;
    try {
      const result = await this.items.next();
      if (result.done === true) this.finish();
      return result;
    } catch (error) {
      this.over();
      if (error === LEFT) return { done: true, value: undefined };
      throw error;
    } finally {
      this.reads--;
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
      else this.undo.push(onAbort(signal, () => this.end(signal.reason)));
    }
  }

  private end(reason: unknown): void {
    if (this.controller.signal.aborted) return;
    this.controller.abort(reason);
    if (this.reads > 0) return;
    // Nobody may ever read again, and what the items hold open would keep the process alive.
    this.ended = { reason };
    void this.items.return().catch(() => undefined);
  }

  /** @throws the reason for which it ended between two reads */
  private finish(): void {
    this.over();
    const { ended } = this;
    this.ended = undefined;
    if (ended !== undefined) throw ended.reason;
  }

  private over(): void {
    for (const each of this.undo ?? []) each();
  }
}
