/** Recognising errors of the engine. A backend can come from another copy of this package, with a class of its own. */
import { EngineError } from '../../model/errors.js';
import { propertyOf, tried } from './thrown.js';

/** The value as an error of the engine, if it is one of this or another copy of the package. */
export function asEngineError(value: unknown): EngineError | undefined {
  if (tried(() => value instanceof EngineError) === true) return value as EngineError;
  const alike =
    propertyOf(value, 'name') === 'EngineError' &&
    typeof propertyOf(value, 'code') === 'string' &&
    typeof propertyOf(value, 'retryable') === 'boolean' &&
    typeof propertyOf(value, 'detail') === 'object';
  return alike ? (value as EngineError) : undefined;
}
