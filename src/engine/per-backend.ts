/** State that all users of a backend in this process share. */
import type { Backend } from '../backend/backend.js';

/**
 * A function that returns the same value for every call with a backend; `create` makes it on the first call, with the
 * arguments of that call. The value lives as long as the backend.
 */
export function perBackend<Value, Rest extends readonly unknown[]>(
  create: (backend: Backend, ...rest: Rest) => Value,
): (backend: Backend, ...rest: Rest) => Value {
  const values = new WeakMap<Backend, Value>();
  return (backend, ...rest) => {
    let value = values.get(backend);
    if (value === undefined) values.set(backend, (value = create(backend, ...rest)));
    return value;
  };
}
