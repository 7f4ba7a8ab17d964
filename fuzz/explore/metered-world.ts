/**
 * Explores a small world of one metering entity exhaustively to a depth: every call in every state, and the passing of
 * time. Every invariant is checked in every state.
 */
import type { LoggedEvent } from '../../model/events.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import { violations } from '../../model/specification/invariants.js';
import { apply, decide, rootNode, START_AT, type Small } from './node.js';

export interface State extends Small {
  readonly now: number;
  readonly path: readonly string[];
}

/** A move in words, and its command. */
export type Move = readonly [words: string, command: Command];

interface MeteredWorld {
  readonly commandsAt: (state: State) => readonly Move[];
  /** What makes two states equal: everything except the log, with times relative to now. */
  readonly keyOf: (state: State) => string;
  /** The next time at which something is due; Infinity for none. */
  readonly nextAt: (state: State) => number;
  /** Time passes at most so long, ms. */
  readonly lengthMs: number;
}

export interface Exploration {
  readonly states: number;
  /** Reached answers: `<operation> <kind or code>`. */
  readonly reached: ReadonlySet<string>;
  /** A violation with the path to it. */
  readonly broken: { readonly name: string; readonly path: readonly string[] } | undefined;
}

/** Decides on a command; tests can replace it with a broken decision. */
export type Decider = (state: State, command: Command) => AnyDecision;

const honest: Decider = (state, command) => decide(state, command);

/** The same state when something is due next. */
function later({ nextAt, lengthMs }: MeteredWorld, state: State): State | undefined {
  const next = nextAt(state);
  if (!Number.isFinite(next) || next <= state.now || next > START_AT + lengthMs) return undefined;
  return { ...state, now: next, path: [...state.path, `time passes, it is +${next - START_AT} ms`] };
}

/** Explores breadth first, so every reported path is a shortest one. */
export function exploreWorld(world: MeteredWorld, depth: number, decider: Decider = honest): Exploration {
  const reached = new Set<string>();
  const seen = new Set<string>();
  let frontier: State[] = [{ ...rootNode(), path: [] }];
  for (let level = 0; level < depth; level++) {
    const next: State[] = [];
    for (const state of frontier) {
      const after = world.commandsAt(state).flatMap(([words, command]): State[] => {
        const decision = decider(state, command);
        const answer = decision.ok ? decision.outcome.kind : decision.code;
        reached.add(`${command.name} ${answer}`);
        if (!decision.ok || decision.events.length === 0) return [];
        return [{ ...state, ...apply(state, decision), path: [...state.path, `${words} -> ${answer}`] }];
      });
      const passed = later(world, state);
      if (passed !== undefined) after.push(passed);
      for (const each of after) {
        const key = world.keyOf(each);
        if (seen.has(key)) continue;
        seen.add(key);
        const [broken] = violations(each.state, each.log as LoggedEvent[], each.now);
        if (broken !== undefined) return { states: seen.size, reached, broken: { name: broken.name, path: each.path } };
        next.push(each);
      }
    }
    frontier = next;
  }
  return { states: seen.size, reached, broken: undefined };
}
