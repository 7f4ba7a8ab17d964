/** Converts refusals of commands to errors. */
import type { Rejected } from '../../model/operation.js';
import { EngineError } from '../../model/errors.js';

/** The error that a refused command throws. */
export function refusal(name: string, { code, detail }: Rejected): EngineError {
  const facts = Object.entries(detail).map(([key, value]) => `${key}=${value}`);
  return new EngineError(code, `${name} was refused${facts.length > 0 ? ` (${facts.join(', ')})` : ''}.`, { detail });
}
