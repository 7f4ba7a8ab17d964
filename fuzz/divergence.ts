/** The steps of a run, and the difference between machines that ends it. */
import type { Event } from '../model/events.js';
import type { AnyDecision, Command } from '../model/machine.js';
import type { Action } from './actions/index.js';
import type { StateClass } from './state-class.js';

/** One executed action and its result, for the story of a failure and for coverage. */
export interface Step {
  readonly at: number;
  readonly action: Action['do'];
  readonly command: Command | undefined;
  /** Class of the execution that the command names, before the command; `-` when it names none. */
  readonly situation: StateClass | '-';
  /** The kind of the outcome, or the code of the refusal. */
  readonly result: string;
  readonly decision: AnyDecision | undefined;
  /** The recorded events, with those that follow from them. */
  readonly events: readonly Event[];
  /** Classes, before the call, of the executions that a claim took or ended. */
  readonly taken: readonly (readonly [string, StateClass])[];
}

/** A difference between the specification and a backend, with the steps that led to it. */
export class Divergence extends Error {
  override readonly name = 'Divergence';
  constructor(
    readonly backend: string,
    readonly what: string,
    readonly expected: unknown,
    readonly got: unknown,
    readonly steps: readonly Step[],
  ) {
    super(`${backend} differs in ${what}`);
  }
}
