/** What holds for steps in the state and the log. Their values are beside both; backends are compared for them. */
import { LIMITS } from '../limits.js';
import type { ExecutionInvariant } from '../specification/invariant.js';
import type { LogRule } from '../specification/replay.js';
import { stepKeyOf } from './facts.js';

export const stepInvariants: readonly ExecutionInvariant[] = [
  {
    name: 'an execution counts its steps and the bytes of their values',
    holds(it, { replay: { tallies } }) {
      const steps = tallies.get(it.executionId)?.steps;
      return steps === undefined || (it.stepCount === steps.keys.size && it.stepBytes === steps.bytes);
    },
  },
  {
    name: 'steps stay within their limits',
    holds: (it) => it.stepCount <= LIMITS.maxSteps && it.stepBytes <= LIMITS.maxStepsBytes,
  },
];

export const stepRules: readonly LogRule[] = [
  {
    name: 'a step is recorded once, until the steps of its execution are discarded',
    holds: ({ event, past }) => event.type !== 'step_recorded' || past?.steps.keys.has(stepKeyOf(event)) === false,
  },
  {
    name: 'a replay discards only existing steps or waits',
    holds: ({ event, past }) =>
      event.type !== 'execution_replayed' ||
      !event.checkpointsDiscarded ||
      past?.waited === true ||
      (past?.steps.keys.size ?? 0) > 0,
  },
];
