/** The error for a wrong option of `valkey()`. */
import { EngineError } from '../../model/errors.js';

/** @param what what is wrong with it; never its value, which can be a secret */
export const invalidOption = (field: string, what: string): EngineError =>
  new EngineError('invalid_input', `${field}: ${what}`, { detail: { field } });
