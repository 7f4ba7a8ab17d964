/** Unknown options are refused: a misspelt option must not be ignored. */
import { disown } from '../util/quietly.js';
import { InvalidDefinitionError } from './errors.js';
import { isRecord, shown } from './shown.js';

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
  if (!isRecord(options)) {
    // Such as the promise of an asynchronous function.
    disown(options);
    throw new InvalidDefinitionError(`${what}: the options must be an object, not ${shown(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name))
      throw new InvalidDefinitionError(`${what}: there is no option ${shown(name)}; ${listOf(Object.keys(names))}`);
  }
}

function listOf(known: readonly string[]): string {
  return known.length === 1 ? `the only option is ${known[0]}` : `the options are ${known.join(', ')}`;
}
