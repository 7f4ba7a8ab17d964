/** Every invariant as a named predicate over the state of a partition and its log. */
import type { LoggedEvent } from './events.js';
import { executionInvariants } from './execution/invariants.js';
import type { PartitionState } from './state.js';

export interface World {
  readonly state: PartitionState;
  /** The whole log, or what is left of it. */
  readonly log: readonly LoggedEvent[];
  readonly now: number;
}

export interface Invariant {
  /** The rule in words. */
  readonly name: string;
  /** What breaks it, or nothing. */
  check(world: World): string | undefined;
}

export const INVARIANTS: readonly Invariant[] = [...executionInvariants];

export interface Violation {
  readonly name: string;
  readonly because: string;
}

/** The invariants that do not hold. */
export function violations(state: PartitionState, log: readonly LoggedEvent[], now: number): Violation[] {
  return INVARIANTS.flatMap(({ name, check }) => {
    const because = check({ state, log, now });
    return because === undefined ? [] : [{ name, because }];
  });
}
