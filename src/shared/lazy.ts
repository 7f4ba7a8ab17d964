/** Promises whose work begins when they are first awaited, and can be begun anew: a server to connect to. */

/** Recognised by brand: another copy of this package can have made it. */
const ANEW = Symbol.for('flowfabric.lazy.anew');

/** A promise whose work begins when it is first awaited. */
export class Lazy<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = 'Promise';
  private begun: Promise<T> | undefined;

  constructor(private readonly work: () => Promise<T>) {}

  /** Begins the work anew, as after a failure. */
  [ANEW](): Promise<T> {
    this.begun = this.work();
    return this.begun;
  }

  then<Value = T, Reason = never>(
    onValue?: ((value: T) => Value | PromiseLike<Value>) | null,
    onError?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    this.begun ??= this.work();
    return this.begun.then(onValue, onError);
  }

  catch<Reason = never>(onError?: ((error: unknown) => Reason | PromiseLike<Reason>) | null): Promise<T | Reason> {
    return this.then(undefined, onError);
  }

  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.then().finally(onEnd);
  }
}

/** Begins the work of a lazy promise anew; nothing for any other value. */
export function anew<T>(source: PromiseLike<T>): (() => Promise<T>) | undefined {
  const begin = (source as { readonly [ANEW]?: () => Promise<T> })[ANEW];
  return begin === undefined ? undefined : () => begin.call(source);
}
