/** The message for operators about unreadable records. */
import { EngineError } from '../../model/errors.js';

/** Names in one report. */
const MAX_NAMED = 5;

export function setAsideError(partition: string, setAside: readonly string[]): EngineError {
  const names = setAside.slice(0, MAX_NAMED).join(', ');
  const more = setAside.length > MAX_NAMED ? ` and ${setAside.length - MAX_NAMED} more` : '';
  return new EngineError('corruption', `${partition}: set aside, for their records cannot be read: ${names}${more}.`);
}
