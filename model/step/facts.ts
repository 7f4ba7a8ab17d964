/**
 * What is stored of a step: a named checkpoint of a handler, with the value or the error of its completion. All of it
 * is beside the state (ruling 39): the log has the fact and the size. Steps belong to the execution, not to an attempt
 * (ruling 47): a retry, a takeover and a replay find them.
 */
import * as fact from '../core/facts.js';

/** Kinds of checkpoints, and the stored letter of each. */
export const STEP_KINDS = { step: 's', sleep: 'l', wait: 'w', children: 'c' } as const;
export type StepKind = keyof typeof STEP_KINDS;

/** A step without its value; repeated by its event. */
export const stepGiven = {
  stepName: fact.text(),
  /** How often the name was used before, in the order of the handler's calls; from 0. */
  stepIndex: fact.counter(),
  stepKind: fact.choice(STEP_KINDS),
  /** Whether the value is an error, as data. */
  stepFailed: fact.flag(),
  /** Size of the value, bytes; unset without one. */
  valueBytes: fact.optionalNumber(),
  valueEncoding: fact.optionalText(),
};

/** The stored text of a step without its value. */
export const stepFacts = { step: { ...stepGiven, recordedAt: fact.number() } } as const;

export type StepFacts = fact.StateOf<typeof stepFacts>;

/** A step as it is stored. */
export interface StepRecord extends Readonly<StepFacts> {
  /** Absent and empty differ: the recorded value is returned unchanged. */
  readonly value: Uint8Array | undefined;
}

/** The key of a step within its execution. */
export const stepKeyOf = ({ stepName, stepIndex }: Pick<StepFacts, 'stepName' | 'stepIndex'>): string =>
  `${stepName}:${stepIndex}`;
