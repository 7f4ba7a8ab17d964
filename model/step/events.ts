/** What can happen to the steps of an execution. */
import { event } from '../core/event.js';
import { EXECUTION } from '../execution/facts.js';
import { stepGiven } from './facts.js';

export const stepEvents = {
  /** A handler completed a checkpoint. The value is payload. */
  step_recorded: event('step_recorded', 'ms', EXECUTION, { step: stepGiven }),
} as const;
