/** Bounds texts of handlers to the engine's limits, so that a worker can report any failure. */
import { LIMITS } from '../../../model/limits.js';
import { boundText } from '../../util/text.js';
import { textOf } from '../../util/thrown.js';

/** Makes a valid failure category of any value; forbidden characters become "_". */
export function categoryOf(wanted: unknown, fallback: string): string {
  const text = wanted === undefined || wanted === null ? '' : boundText(textOf(wanted), LIMITS.maxCategoryBytes);
  if (text === '') return fallback;
  return text.replace(/[,|\u0000-\u001f\u007f-\u009f]/g, '_');
}
