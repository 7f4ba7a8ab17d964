/** What an invariant is: a rule with a name, that holds for a state, its log and the time, or says what breaks it. */
import type { LoggedEvent } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import type { Replay } from './replay.js';
import type { PartitionState } from '../state.js';

export interface World {
  readonly state: PartitionState;
  /** The whole log, or what is left of it: a log without its first entry is judged by what it still shows. */
  readonly log: readonly LoggedEvent[];
  readonly now: number;
  readonly replay: Replay;
}

export interface Invariant {
  /** The rule in words. */
  readonly name: string;
  /** What breaks it, or nothing. */
  check(world: World): string | undefined;
}

/** An invariant that concerns one execution at a time. */
export interface ExecutionInvariant {
  readonly name: string;
  /** Whether the rule compares times: it says nothing once the clock stepped back. */
  readonly ofTime?: boolean;
  holds(execution: ReadonlyExecution, world: World): boolean;
}
