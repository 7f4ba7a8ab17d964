/**
 * Recognises errors of the engine and the app, including those of another copy of this package with classes of its own.
 */
import { EngineError } from '../../model/errors.js';
import { isOfShared } from './brand.js';
import { tried } from './thrown.js';

/** The value, if it is an EngineError. Unlike `instanceof`, it never throws. */
export function asEngineError(value: unknown): EngineError | undefined {
  return tried(() => value instanceof EngineError) === true ? (value as EngineError) : undefined;
}

/** The value, if it is an InvalidDefinitionError of this or another copy of the package. */
export function asInvalidDefinition(value: unknown): { readonly code: string; readonly hint: unknown } | undefined {
  return isOfShared(value, 'InvalidDefinitionError') ? (value as { code: string; hint: unknown }) : undefined;
}
