/**
 * A promise whose work begins when it is first awaited. A promise that is never awaited does nothing and never rejects.
 */
class LazyPromise<T> extends Promise<T> {
  /** Derived promises are ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  begin: (() => void) | undefined;

  override then<Value = T, Reason = never>(
    onFulfilled?: ((value: T) => Value | PromiseLike<Value>) | null,
    onRejected?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    const { begin } = this;
    this.begin = undefined;
    begin?.();
    return super.then(onFulfilled, onRejected);
  }
}

/** Whether the work of a promise has begun; true for any other value. */
export const isBegun = (promise: unknown): boolean => !(promise instanceof LazyPromise) || promise.begin === undefined;

/** A promise of the work's value; the work begins when the promise is first awaited. */
export function whenAwaited<T>(work: () => Promise<T>): Promise<T> {
  let settle: { resolve: (value: T | PromiseLike<T>) => void } | undefined;
  const promise = new LazyPromise<T>((resolve) => (settle = { resolve }));
  promise.begin = () => settle?.resolve(work());
  return promise;
}
