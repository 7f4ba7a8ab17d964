/** The executions that a claim took: any number for a claim by a worker, one for a claim by id. */
import type { OperationName, OutcomeOf } from '../model/machine.js';
import type { ClaimedExecution } from '../model/schedule/claimed.js';

export function claimedIn(outcome: OutcomeOf<OperationName>): readonly ClaimedExecution[] {
  if (outcome.kind !== 'claimed') return [];
  return 'executions' in outcome ? outcome.executions : [outcome];
}
