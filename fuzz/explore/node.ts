/** A state of a small world, with the path to it. Immutable: every move creates a new one. */
import { parseCommand } from '../../src/backend/boundary.js';
import type { Applier, Operation } from '../../model/operation.js';
import { evolve } from '../../model/specification/evolve.js';
import { isOfExecution, type Event, type LoggedEvent } from '../../model/events.js';
import type { FullFence } from '../../model/lease/fence.js';
import { LIMITS } from '../../model/limits.js';
import { operationNamed, type AnyDecision, type Command, type OperationName } from '../../model/machine.js';
import { generationOf } from '../../model/partition/cursor.js';
import { NO_NOTICES } from '../../model/partition/notices.js';
import { emptyState, type PartitionState } from '../../model/state.js';
import { addStep, dropSteps, type StepTable } from '../../model/step/contents.js';
import { closedBy, removedBefore } from '../../model/stream/closing.js';
import { append, type StreamTable } from '../../model/stream/contents.js';
import { streamIdOf } from '../../model/stream/facts.js';
import { viewByDefinition, type View } from '../../model/view.js';

/** A fence as a worker stores it. */
export interface Held {
  readonly worker: string;
  readonly fence: FullFence;
}

/** The state and contents of a partition. */
export interface Small {
  readonly state: PartitionState;
  readonly log: readonly LoggedEvent[];
  /** The loop that applies due work. */
  readonly applier: Applier | undefined;
  readonly steps: StepTable;
  /** Contents of streams. */
  readonly streams: StreamTable;
}

export interface Node extends Small {
  readonly parent: Node | undefined;
  /** The move that led here, in words. */
  readonly move: string;
  /** Its answer. */
  readonly answer: string;
  readonly depth: number;
  readonly now: number;
  /** By execution: every fence from a claim, oldest first. */
  readonly fences: ReadonlyMap<string, readonly Held[]>;
  /** Number of minted ids. */
  readonly minted: number;
  /** Number of created executions. */
  readonly created: number;
}

/** Finds the declaration of an operation; tests can substitute a broken one. */
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
    applier: undefined,
    steps: new Map(),
    streams: new Map(),
    fences: new Map(),
    minted: 0,
    created: 0,
  };
}

const NOTHING = new Map<string, Uint8Array>();

/** The signing keys of a world. */
export const SECRETS: ReadonlyMap<string, Uint8Array> = new Map(
  ['k1', 'k2'].map((kid, i) => [kid, new Uint8Array(LIMITS.minSecretBytes).fill(i + 1)]),
);

function viewOf({
  state,
  log,
  applier,
  steps,
  streams,
}: Omit<Small, 'applier'> & Partial<Pick<Small, 'applier'>>): View {
  const [first, last] = [log[0], log.at(-1)];
  return viewByDefinition({
    state,
    bytes: { input: NOTHING, result: NOTHING, secret: SECRETS as Map<string, Uint8Array> },
    streams,
    payloads: new Map(),
    watches: new Map(),
    steps,
    log: log as LoggedEvent[],
    header: {
      generation: first === undefined ? '' : generationOf(first.event.at),
      sequence: log.length,
      time: last?.event.at ?? 0,
      applier,
      notices: NO_NOTICES,
    },
  });
}

/** The decision on a command. */
export function decide(
  node: Small & { readonly now: number },
  command: Command,
  registry: Registry = operationNamed,
): AnyDecision {
  const parsed = parseCommand(command.name, command.args, 'memory');
  return registry(command.name).decide(viewOf(node), parsed.args, {
    now: node.now,
    settings: { retentionMs: 0 },
  }) as AnyDecision;
}

/** The partition after a decision. */
export function apply({ state, log, applier, steps, streams }: Small, decision: AnyDecision): Small {
  if (!decision.ok) return { state, log, applier, steps, streams };
  const next = 'applier' in decision ? decision.applier : applier;
  const kept = streamsAfter(streams, decision);
  if (decision.events.length === 0) return { state, log, applier: next, steps, streams: kept };
  const entries: LoggedEvent[] = [];
  let after = state;
  const record = (event: Event): void => {
    entries.push({ sequence: log.length + entries.length + 1, event });
    after = evolve(after, event);
    if (event.type === 'stream_removed') kept.delete(streamIdOf(event.executionId, event.attemptIndex));
    // Everything is frozen, so a decision that changes its input fails at once.
    const execution = isOfExecution(event) ? after.tables.execution.get(event.executionId) : undefined;
    if (execution !== undefined) Object.freeze(execution);
  };
  for (const event of decision.events) {
    // Consequences of an event are judged by the state before it.
    const view = viewOf({ state: after, log, steps, streams });
    const execution = isOfExecution(event) ? view.executions.get(event.executionId) : undefined;
    if (!isOfExecution(event) || execution === undefined) {
      record(event);
      continue;
    }
    removedBefore(view, event, execution).forEach(record);
    const later = closedBy(view, event, execution);
    record(event);
    later.forEach(record);
  }
  return { state: after, log: [...log, ...entries], applier: next, steps: stepsAfter(steps, decision), streams: kept };
}

/** The contents of streams after a decision; copied if changed. */
function streamsAfter(streams: StreamTable, { append: frame }: AnyDecision & { ok: true }): StreamTable {
  if (streams.size === 0 && frame === undefined) return streams;
  const after: StreamTable = new Map(
    [...streams].map(([id, { frames, ...rest }]) => {
      const { durable, summary, best_effort } = frames;
      return [id, { ...rest, frames: { durable: [...durable], summary: [...summary], best_effort: [...best_effort] } }];
    }),
  );
  if (frame !== undefined) append(after, frame);
  return after;
}

/** The recorded steps after a decision; copied if changed. */
function stepsAfter(steps: StepTable, { events, recording }: AnyDecision & { ok: true }): StepTable {
  if (steps.size === 0 && recording === undefined) return steps;
  const after: StepTable = new Map(
    [...steps].map(([id, { records, places }]) => [id, { records: [...records], places: new Map(places) }]),
  );
  for (const event of events) dropSteps(after, event);
  if (recording !== undefined) addStep(after, recording);
  return after;
}

/** The path from the beginning to a node, one move per line. */
export function pathTo(node: Node): string {
  const lines: string[] = [];
  for (let at: Node = node; at.parent !== undefined; at = at.parent) {
    lines.push(`${`+${at.now - START_AT} ms`.padStart(10)}  ${at.move}${at.answer === '' ? '' : ` -> ${at.answer}`}`);
  }
  return lines.reverse().join('\n');
}
