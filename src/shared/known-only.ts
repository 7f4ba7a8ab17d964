/** Unknown options are refused: a misspelt option must not be ignored. */
import { InvalidDefinitionError } from './errors.js';

/**
 * Refuses options that are not an object, and unknown members.
 *
 * @param what the owner of the options, as the message begins
 * @param names all options; the compiler holds the list to the type
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
      throw new InvalidDefinitionError(`${what}: there is no option "${name}"; ${listOf(Object.keys(names))}`);
  }
}

function listOf(known: readonly string[]): string {
  return known.length === 1 ? `the only option is ${known[0]}` : `the options are ${known.join(', ')}`;
}
