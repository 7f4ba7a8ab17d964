/** How a random run calls an operation: its choices, their weights, and the commands that they mean. */
import fc from 'fast-check';
import type { Command, QueryName } from '../../model/machine.js';
import type { World } from './world.js';

export interface Generator<Choices extends object> {
  /** Weight of the action among all others. */
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Choices>;
  /** The commands for the choices; none when the world has nothing to choose from. */
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

/** The choices of a run's reads. */
export interface ReadChoices {
  readonly executionId: string;
  readonly index: number;
  readonly limit: number;
}

/** The compared reads of a domain, for given choices. */
export type Reads = (world: World, choices: ReadChoices) => readonly (readonly [name: QueryName, args: object])[];
