/** Names of waits and of signals. */
import { refuse } from '../../shared/checks.js';

/** A key holds the names of a wait and of its signals, and a time. */
const MAX_BYTES = 96;

/** @throws InvalidDefinitionError for anything but a short text that is fit for a name */
export function checkWaitName(where: string, name: unknown): asserts name is string {
  const isFit =
    typeof name === 'string' &&
    name !== '' &&
    Buffer.byteLength(name) <= MAX_BYTES &&
    !name.startsWith('__') &&
    !/[#\p{Cc}\p{Cs}]/u.test(name);
  if (!isFit)
    throw refuse(
      where,
      'the name',
      `a string of 1 to ${MAX_BYTES} bytes without "#" and control characters that does not begin with "__"`,
      name,
    );
}
