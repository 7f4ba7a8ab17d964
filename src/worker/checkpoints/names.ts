/** Names of checkpoints. */
import { LIMITS } from '../../../model/limits.js';
import type { StepKind } from '../../../model/step/facts.js';
import { refuse } from '../../shared/checks.js';

/** @throws InvalidDefinitionError for anything but a text of 1 to 128 bytes without control characters */
export function checkName(kind: StepKind, name: unknown): asserts name is string {
  const isFit =
    typeof name === 'string' &&
    name !== '' &&
    Buffer.byteLength(name) <= LIMITS.maxStepNameBytes &&
    !/[\p{Cc}\p{Cs}]/u.test(name);
  if (!isFit)
    throw refuse(
      kind,
      'the name',
      `a string of 1 to ${LIMITS.maxStepNameBytes} bytes without control characters`,
      name,
    );
}
