/**
 * A small world of one waiting execution, explored exhaustively to a depth: its owner creates waitpoints, suspends in
 * every way and gives up; senders signal with a token, by name and as operators; keys rotate, time passes, and another
 * worker takes over. Every invariant is checked in every state, accepted signals are kept, and every state reaches an
 * end.
 */
import { isTerminal } from '../../model/execution/situation.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import { violations } from '../../model/specification/invariants.js';
import { claimedIn } from '../claimed.js';
import { apply, decide, PARTITION, rootNode, SECRETS, START_AT } from './node.js';
import { waitMoves } from './wait-moves.js';
import { claimOf, WAITER, waiterOf, type WaitState } from './wait-state.js';

/** The world ends here, ms from its start, because later times show nothing new. */
const END_MS = 2_500;

/** Decides on a command; tests can replace it with a broken decision. */
export type Decider = (state: WaitState, command: Command) => AnyDecision;
const honest: Decider = (state, command) => decide(state, command);

/** The state after a decision, with what its callers know. */
function after(state: WaitState, words: string, command: Command, decision: AnyDecision): WaitState {
  const answer = decision.ok ? decision.outcome.kind : decision.code;
  const claimed = decision.ok ? claimedIn(decision.outcome) : [];
  return {
    ...state,
    ...apply(state, decision),
    path: [...state.path, `${words} -> ${answer}`],
    fences: [
      ...state.fences,
      ...claimed.map(({ leaseId, leaseEpoch, attemptId }) => ({ leaseId, leaseEpoch, attemptId })),
    ],
    asked: command.name === 'suspendExecution' ? command : state.asked,
  };
}

/** One owned execution, in a partition with a signing key. */
function beginning(): WaitState {
  const naming = { namespace: 'explore', laneId: 'main', executionKind: 'kind', creatorIdentity: 'explorer' };
  const policy = { maxReclaimCount: 1, maxSignalsPerExecution: 3, streamPolicy: { retentionTtlMs: 0 } };
  const first: WaitState = { ...rootNode(), path: [], fences: [], asked: undefined };
  const commands: Command[] = [
    {
      name: 'rotateWaitpointHmacSecret',
      args: { partition: PARTITION, newKid: 'k1', newSecret: SECRETS.get('k1') as Uint8Array },
    },
    { name: 'createExecution', args: { executionId: WAITER, ...naming, policy } },
    claimOf(first),
  ];
  return commands.reduce((state, command) => after(state, command.name, command, decide(state, command)), first);
}

/** What distinguishes two states: everything except the log, with times relative to now. */
function keyOf({ state: { tables }, now, fences, asked }: WaitState): string {
  const relative = (name: string, value: unknown): unknown => {
    // Past times are equal; the creation time of a waitpoint is in its token.
    if (typeof value !== 'number' || !/(At|Until)$/.test(name)) return value;
    return value > now ? value - now : 'past';
  };
  const rows = [[...tables.execution.values()], [...tables.signing_key.values()], fences.length, asked?.args];
  return JSON.stringify(rows, relative);
}

/** The next time at which something is due. */
function later(state: WaitState): WaitState | undefined {
  const it = waiterOf(state);
  const keys = [...state.state.tables.signing_key.values()].map(({ expiresAt = Infinity }) => expiresAt + 1);
  const times = [it?.dueAt, it?.pendingExpiresAt, ...keys].filter((at = 0) => at > state.now) as number[];
  const next = Math.min(...times);
  if (!Number.isFinite(next) || next > START_AT + END_MS) return undefined;
  return { ...state, now: next, path: [...state.path, `time passes, it is +${next - START_AT} ms`] };
}

/** Violations of a step, besides the invariants of the resulting state. */
function faultOf(from: WaitState, command: Command, to: WaitState): string | undefined {
  const [before, now] = [waiterOf(from), waiterOf(to)];
  const kept = Object.keys(before?.waiting?.signals ?? {});
  if (now !== undefined && kept.some((id) => now.waiting?.signals[id] === undefined))
    return 'no signal that was accepted is lost';
  if (command.name !== 'suspendExecution' || now?.situation !== 'suspended' || before?.situation === 'suspended')
    return undefined;
  // Signals that arrived earlier, and that the worker has not seen, must be seen first.
  return now.keptSignalCount > (command.args.seenSignals ?? Infinity) ? 'no wake-up is lost' : undefined;
}

/** Why an execution does not reach an end when an operator resumes it and an honest worker takes it, if so. */
function unsettled(from: WaitState, decider: Decider): string | undefined {
  let state = from;
  const run = (command: Command): void => {
    state = after(state, command.name, command, decider(state, command));
  };
  for (let round = 0; round < 8; round++) {
    const it = waiterOf(state);
    if (it === undefined || isTerminal(it.situation)) return undefined;
    if (it.situation === 'suspended') run({ name: 'resumeExecution', args: { executionId: WAITER } });
    run({ name: 'applyDue', args: { partition: PARTITION } });
    const owners = state.fences.length;
    run(claimOf(state));
    if (state.fences.length > owners)
      run({ name: 'completeExecution', args: { executionId: WAITER, fence: state.fences.at(-1) } });
    const dueAt = waiterOf(state)?.dueAt;
    if (dueAt !== undefined && dueAt > state.now) state = { ...state, now: dueAt };
  }
  return `it is ${waiterOf(state)?.situation} in the end`;
}

export interface WaitExploration {
  readonly states: number;
  /** Reached answers: `<operation> <kind or code>`, followed by an effect or reason if there is one. */
  readonly reached: ReadonlySet<string>;
  /** Violations, each with the path to it. */
  readonly broken: { readonly name: string; readonly path: readonly string[] } | undefined;
}

function answerOf({ name }: Command, decision: AnyDecision): string {
  if (!decision.ok) return `${name} ${decision.code}`;
  const { kind, effect, reason } = decision.outcome as { kind: string; effect?: string; reason?: string };
  return [name, kind, effect ?? reason].filter((word) => word !== undefined).join(' ');
}

class Exploration {
  readonly reached = new Set<string>();
  readonly seen = new Set<string>();
  broken: WaitExploration['broken'];

  constructor(private readonly decider: Decider) {}

  go(depth: number): WaitExploration {
    let frontier: readonly WaitState[] = [beginning()];
    for (let level = 0; level < depth; level++) frontier = frontier.flatMap((state) => this.expand(state));
    return { states: this.seen.size, reached: this.reached, broken: this.broken };
  }

  private expand(state: WaitState): readonly WaitState[] {
    if (this.broken !== undefined) return [];
    const next: WaitState[] = [];
    for (const [words, command] of waitMoves(state)) {
      const decision = this.decider(state, command);
      this.reached.add(answerOf(command, decision));
      if (!decision.ok || decision.events.length === 0) continue;
      const to = after(state, words, command, decision);
      const fault = faultOf(state, command, to);
      if (fault !== undefined) this.broken ??= { name: fault, path: to.path };
      if (this.isNew(to)) next.push(to);
    }
    const passed = later(state);
    if (passed !== undefined && this.isNew(passed)) next.push(passed);
    return next;
  }

  /** Whether a state is new; its violations are recorded. */
  private isNew(state: WaitState): boolean {
    const key = keyOf(state);
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    const [found] = violations(state.state, state.log, state.now);
    const name = found?.name ?? (unsettled(state, this.decider) && 'everything ends once an honest worker works');
    if (name !== undefined) this.broken ??= { name, path: state.path };
    return true;
  }
}

/** Explores to a depth, breadth first, so every reported path is a shortest one. */
export const exploreWaits = (depth: number, decider: Decider = honest): WaitExploration =>
  new Exploration(decider).go(depth);
