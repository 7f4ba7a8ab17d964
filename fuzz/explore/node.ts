/** A state of a small world, with the way that led there. Nothing in it is ever changed: every move makes a new one. */
import { parseCommand } from '../../src/boundary.js';
import type { Operation } from '../../model/core/operation.js';
import { evolve } from '../../model/evolve-pure.js';
import type { LoggedEvent } from '../../model/events.js';
import type { FullFence } from '../../model/lease/fence.js';
import { operationNamed, type AnyDecision, type Command, type OperationName } from '../../model/machine.js';
import { SpecView } from '../../model/spec-view.js';
import { emptyState, type PartitionState } from '../../model/state.js';

/** A fence as a worker keeps it. */
export interface Held {
  readonly worker: string;
  readonly fence: FullFence;
}

export interface Node {
  readonly parent: Node | undefined;
  /** What led here, in words. */
  readonly move: string;
  /** What was answered. */
  readonly answer: string;
  readonly depth: number;
  readonly now: number;
  readonly state: PartitionState;
  readonly log: readonly LoggedEvent[];
  /** By execution: every fence that a claim gave out, oldest first. */
  readonly fences: ReadonlyMap<string, readonly Held[]>;
  /** Ids made so far. */
  readonly minted: number;
  /** Executions made so far. */
  readonly created: number;
}

/** Finds the declaration of an operation; a test may put a broken one in its place. */
export type Registry = (name: OperationName) => Operation;

export const START_AT = 1_700_000_000_000;
export const PARTITION = '{fp:0}';

/** The n-th id of a world. */
export const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

/** The n-th execution of a world, from 1. */
export const executionOf = (n: number): string =>
  `${PARTITION}:00000000-0000-4000-8000-e${n.toString().padStart(11, '0')}`;

export function rootNode(): Node {
  return {
    parent: undefined,
    move: '',
    answer: '',
    depth: 0,
    now: START_AT,
    state: emptyState(),
    log: [],
    fences: new Map(),
    minted: 0,
    created: 0,
  };
}

const NOTHING = new Map<string, Uint8Array>();

export const viewOf = ({ state, log }: Pick<Node, 'state' | 'log'>): SpecView =>
  new SpecView({ state, payloads: NOTHING, results: NOTHING, log: log as LoggedEvent[] });

/** What a command would come to. */
export function decide(
  node: Pick<Node, 'state' | 'log' | 'now'>,
  command: Command,
  registry: Registry = operationNamed,
): AnyDecision {
  const parsed = parseCommand(command.name, command.args, 'memory');
  return registry(command.name).decide(viewOf(node), parsed.args as never, {
    now: node.now,
    settings: { retentionMs: 0 },
  }) as AnyDecision;
}

/** The state and the log after a decision. */
export function apply({ state, log }: Pick<Node, 'state' | 'log'>, decision: AnyDecision): Pick<Node, 'state' | 'log'> {
  if (!decision.ok || decision.events.length === 0) return { state, log };
  const entries = decision.events.map((event, i): LoggedEvent => ({ sequence: log.length + i + 1, event }));
  let next = state;
  for (const { event } of entries) {
    next = evolve(next, event);
    // A decision that changed what it looked at would be seen at once: everything is frozen.
    const execution = next.executions.get(event.executionId);
    if (execution !== undefined) Object.freeze(execution);
  }
  return { state: next, log: [...log, ...entries] };
}

/** The way from the beginning to a node, one line a move. */
export function pathTo(node: Node): string {
  const lines: string[] = [];
  for (let at: Node = node; at.parent !== undefined; at = at.parent) {
    lines.push(`${`+${at.now - START_AT} ms`.padStart(10)}  ${at.move}${at.answer === '' ? '' : ` -> ${at.answer}`}`);
  }
  return lines.reverse().join('\n');
}
