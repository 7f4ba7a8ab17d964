/**
 * Recognises errors of the engine and the app, including those of another copy of this package with classes of its own.
 */
import { EngineError } from '../../model/errors.js';
import { propertyOf, tried } from './thrown.js';

/** The value, if it is an EngineError. Unlike `instanceof`, it never throws. */
export function asEngineError(value: unknown): EngineError | undefined {
  return tried(() => value instanceof EngineError) === true ? (value as EngineError) : undefined;
}

/** The value, if it is an InvalidDefinitionError of this or another copy of the package. */
export function asInvalidDefinition(value: unknown): { readonly code: string; readonly hint: unknown } | undefined {
  if (propertyOf(value, 'name') !== 'InvalidDefinitionError') return undefined;
  const code = propertyOf(value, 'code');
  return code === 'invalid_definition' ? { code, hint: propertyOf(value, 'hint') } : undefined;
}
