/** Texts that come from handlers, made fit for the engine's limits: a worker must be able to report any failure. */
import { LIMITS } from '../../model/limits.js';
import { boundText } from '../util/text.js';
import { textOf } from '../util/thrown.js';

/** A failure category that the engine accepts, of whatever a handler gave for one: what is forbidden becomes "_". */
export function categoryOf(wanted: unknown, fallback: string): string {
  const text = wanted === undefined || wanted === null ? '' : boundText(textOf(wanted), LIMITS.maxCategoryBytes);
  if (text === '') return fallback;
  return text.replace(/[,|\u0000-\u001f\u007f-\u009f]/g, '_');
}
