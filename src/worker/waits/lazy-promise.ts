/** A promise whose work begins when it is awaited first. One that is never awaited does nothing, and rejects for nobody. */
class LazyPromise<T> extends Promise<T> {
  /** What is derived from it is an ordinary promise. */
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

/** A promise of what the work gives; the work begins when the promise is awaited, in whichever way. */
export function whenAwaited<T>(work: () => Promise<T>): Promise<T> {
  let settle: { resolve: (value: T | PromiseLike<T>) => void } | undefined;
  const promise = new LazyPromise<T>((resolve) => (settle = { resolve }));
  promise.begin = () => settle?.resolve(work());
  return promise;
}
