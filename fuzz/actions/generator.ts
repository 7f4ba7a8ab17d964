/** How a random run comes to call an operation: what it chooses, how often, and what the choices mean. */
import fc from 'fast-check';
import type { Command, QueryName } from '../../model/machine.js';
import type { World } from './world.js';

export interface Generator<Choices extends object> {
  /** How often it is drawn, among all others. */
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Choices>;
  /** The commands that the choices amount to; none when the world has nothing to choose from. */
  resolve(world: World, choices: Choices): Command[];
}

/** Declares a generator. */
export function generator<Choices extends object>(declaration: {
  readonly weight: number;
  readonly choices: { [Name in keyof Choices]: fc.Arbitrary<Choices[Name]> };
  resolve(world: World, choices: Choices): Command[];
}): Generator<Choices> {
  const { weight, choices, resolve } = declaration;
  return { weight, arbitrary: fc.record(choices) as fc.Arbitrary<Choices>, resolve };
}

/** What is chosen where a run reads. */
export interface ReadChoices {
  readonly executionId: string;
  readonly index: number;
  readonly limit: number;
}

/** Reads of a domain that are compared, by what was chosen. */
export type Reads = (world: World, choices: ReadChoices) => readonly (readonly [name: QueryName, args: object])[];
