/**
 * Moves of handlers that pass checkpoints: one step, repeated with the same value, another value or another kind; and
 * one too many.
 */
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';

const VALUE = Uint8Array.of(1);

type Fence = ArgsOf<'recordStep'>['fence'];

/** The calls of one caller. */
export function* stepMoves(executionId: string, fence: Fence): Generator<[doing: string, command: Command]> {
  const step = { executionId, fence, stepName: 'pay', stepIndex: 0, value: VALUE, encoding: 'bytes' };
  const recorded = (args: Partial<ArgsOf<'recordStep'>>): Command => ({
    name: 'recordStep',
    args: { ...step, ...args },
  });
  yield ['records a step', recorded({})];
  yield ['records the failure of a step', recorded({ failed: true })];
  yield ['records a sleep', recorded({ stepKind: 'sleep' })];
  yield ['records a step too many', recorded({ stepIndex: LIMITS.maxSteps })];
}
