/** Recognising errors of the engine and of the app. A backend can come from another copy of this package, with a class of its own. */
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

/** The value as the app's error about a wrong option or argument, if it is one of this or another copy of the package. */
export function asInvalidDefinition(value: unknown): { readonly code: string; readonly hint: unknown } | undefined {
  if (propertyOf(value, 'name') !== 'InvalidDefinitionError') return undefined;
  const code = propertyOf(value, 'code');
  return code === 'invalid_definition' ? { code, hint: propertyOf(value, 'hint') } : undefined;
}
