/** Names of waits and of signals. */
import { refuse, shown } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';

/** Short enough for a waitpoint key, which contains the names of a wait and of its signals, and a time. */
export const MAX_NAME_BYTES = 96;

/** @throws InvalidDefinitionError for anything but a short text that is a valid name */
export function checkWaitName(where: string, name: unknown): asserts name is string {
  const isFit =
    typeof name === 'string' &&
    name !== '' &&
    Buffer.byteLength(name) <= MAX_NAME_BYTES &&
    !name.startsWith('__') &&
    !/[#\p{Cc}\p{Cs}]/u.test(name);
  if (!isFit)
    throw refuse(
      where,
      'the name',
      `a string of 1 to ${MAX_NAME_BYTES} bytes without "#" and control characters that does not begin with "__"`,
      name,
    );
}

/**
 * Checks a name against the signals that a task declares. An undeclared name is most often misspelt, and would never be
 * sent or waited for.
 * @throws InvalidDefinitionError for an undeclared name, if the task declares any
 */
export function checkDeclared(task: string, signals: object | undefined, name: string): void {
  const declared = Object.keys(signals ?? {});
  if (declared.length === 0 || declared.includes(name)) return;
  throw new InvalidDefinitionError(
    `Task ${shown(task)}: there is no signal ${shown(name)}; its definition has ${declared.map(shown).join(', ')}`,
    'Use a declared name, or add this one to `signals` of the task.',
  );
}
