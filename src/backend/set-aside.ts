/** The message for operators about unreadable records. */
import { EngineError } from '../../model/errors.js';
import { nameOfExecution } from '../../model/partition/quarantine.js';
import { brand } from '../util/brand.js';

/** Names in one report. */
const MAX_NAMED = 5;

export class SetAsideError extends EngineError {
  static {
    brand(SetAsideError, 'set_aside');
  }

  /** Not printed with the error: there can be many. */
  readonly #names: readonly string[];

  /** @param names as `listQuarantined` has them */
  constructor(partition: string, names: readonly string[]) {
    const named = names.slice(0, MAX_NAMED).join(', ');
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
    super('corruption', `${partition}: set aside, for their records cannot be read: ${named}${more}.`, {
      detail: { partition },
    });
    this.#names = names;
  }

  get names(): readonly string[] {
    return this.#names;
  }
}

export const executionsSetAside = (partition: string, executionIds: readonly string[]): SetAsideError =>
  new SetAsideError(partition, executionIds.map(nameOfExecution));
