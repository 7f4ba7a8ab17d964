/** Options are known or refused: what is misspelt must not be left out without a word. */
import { InvalidDefinitionError } from './errors.js';

/**
 * Refuses options that are not an object, and unknown members.
 *
 * @param what whose options they are, as the message begins
 * @param names every name there is; the compiler sees to it that none is missing
 * @throws InvalidDefinitionError that names the member and the known ones
 */
export function knownOnly<Options extends object>(
  what: string,
  options: Options,
  names: Readonly<Record<keyof Options, true>>,
): void {
  if (typeof options !== 'object' || options === null)
    throw new InvalidDefinitionError(`${what}: the options must be an object`);
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name))
      throw new InvalidDefinitionError(
        `${what}: there is no option "${name}"; known are ${Object.keys(names).join(', ')}`,
      );
  }
}
