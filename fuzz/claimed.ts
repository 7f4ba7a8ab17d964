/** The executions that a claim took: of a claim for a worker any number, of a claim by id the one that it names. */
import type { OperationName, OutcomeOf } from '../model/machine.js';
import type { ClaimedExecution } from '../model/schedule/claimed.js';

export function claimedIn(outcome: OutcomeOf<OperationName>): readonly ClaimedExecution[] {
  if (outcome.kind !== 'claimed') return [];
  return 'executions' in outcome ? outcome.executions : [outcome];
}
