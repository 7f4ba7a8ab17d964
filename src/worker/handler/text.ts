/** Bounds texts of handlers to the engine's limits, so that a worker can report any failure. */
import { LIMITS } from '../../../model/limits.js';
import { boundText } from '../../util/text.js';
import { asEngineError, asInvalidDefinition } from '../../util/engine-error.js';
import { propertyOf, textOf } from '../../util/thrown.js';

/**
 * The category of a failure: the one that the error has, whatever its class, or the code of an error of the engine or of
 * a refused definition. The rule is the same for what ends a handler and for what a step throws. Never throws.
 */
export const categoryOfError = (error: unknown, fallback: string): string =>
  categoryOf(propertyOf(error, 'category') ?? (asEngineError(error) ?? asInvalidDefinition(error))?.code, fallback);

/** Makes a valid failure category of any value; forbidden characters become "_". */
export function categoryOf(wanted: unknown, fallback: string): string {
  const text = wanted === undefined || wanted === null ? '' : boundText(textOf(wanted), LIMITS.maxCategoryBytes);
  if (text === '') return fallback;
  return text.replace(/[,|\u0000-\u001f\u007f-\u009f]/g, '_');
}
