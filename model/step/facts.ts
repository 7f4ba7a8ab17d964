/**
 * What is stored of a step: a named checkpoint of a handler, with the value or the error with which it was passed. All of
 * it is beside the state (ruling 39): the log says that a step was recorded, and how large its value is. Steps belong to
 * the execution and not to an attempt (ruling 47): a retry, a takeover and a replay find them.
 */
import * as fact from '../core/facts.js';

/** What a checkpoint is, and the letter under which that is stored. */
export const STEP_KINDS = { step: 's', sleep: 'l', wait: 'w', children: 'c' } as const;
export type StepKind = keyof typeof STEP_KINDS;

/** What is said of a step beside its value; repeated by its event. */
export const stepGiven = {
  stepName: fact.text(),
  /** Which use of the name it is, from 0, in the order of the handler's calls. */
  stepIndex: fact.counter(),
  stepKind: fact.choice(STEP_KINDS),
  /** Whether the value is an error, as data. */
  stepFailed: fact.flag(),
  /** Size of the value, bytes; unset when there is none. */
  valueBytes: fact.optionalNumber(),
  valueEncoding: fact.optionalText(),
};

/** The stored text of a step, beside its value. */
export const stepFacts = { step: { ...stepGiven, recordedAt: fact.number() } } as const;

export type StepFacts = fact.StateOf<typeof stepFacts>;

/** A step as it is stored. */
export interface StepRecord extends Readonly<StepFacts> {
  /** Absent and empty differ: what was recorded is given back. */
  readonly value: Uint8Array | undefined;
}

/** Names a step within its execution. */
export const stepKeyOf = ({ stepName, stepIndex }: Pick<StepFacts, 'stepName' | 'stepIndex'>): string =>
  `${stepName}:${stepIndex}`;
