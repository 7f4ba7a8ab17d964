import { assert } from '../errors.js';

/**
 * The value, which is there by the logic of the code around it: an item within the bounds of its list, an entry under a
 * known key. @throws EngineError `invariant_violation` if it is absent
 */
export function present<Value>(value: Value | undefined): Value {
  assert(value !== undefined, 'A value that must be present is absent');
  return value;
}
