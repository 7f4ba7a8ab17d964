/**
 * Bounded exhaustive exploration: every state of a small world that is reachable within a number of moves, breadth
 * first, so that each reported path is a shortest one. In every state every move is tried.
 */
import { isActive } from '../../model/execution/situation.js';
import { INVARIANTS, violations } from '../../model/specification/invariants.js';
import { operationNamed, type AnyDecision, type Command } from '../../model/machine.js';
import { claimedIn } from '../claimed.js';
import { canonicalOf } from './canonical.js';
import { movesOf, type CommandMove, type Move } from './moves.js';
import { apply, decide, pathTo, rootNode, type Held, type Node, type Registry } from './node.js';
import { shownBy } from './reached.js';
import type { Scenario } from './scenarios.js';
import { unsettled } from './settle.js';

export interface Limits {
  readonly depth: number;
  /** Maximum number of states; a larger world is not explored to its depth, and the result says so. */
  readonly states?: number;
}

export interface Exploration {
  readonly scenario: string;
  readonly states: number;
  /** Moves tried. */
  readonly transitions: number;
  /** Moves that changed something. */
  readonly effects: number;
  /** Depth to which every state was visited. */
  readonly depth: number;
  /** By name of the property: the shortest path that shows it. */
  readonly reached: ReadonlyMap<string, string>;
  /** The first violated property, with the shortest path to it. */
  readonly counterexample: Counterexample | undefined;
}

export interface Counterexample {
  readonly property: string;
  readonly because: string;
  readonly path: string;
}

/** Properties of every answer in any state. */
function faultOf(
  node: Node,
  move: CommandMove,
  decision: AnyDecision,
  registry: Registry,
): { property: string; because: string } | undefined {
  const { name, args } = move.command;
  if (!decision.ok) {
    return registry(name).rejects.includes(decision.code)
      ? undefined
      : { property: 'an operation refuses only with codes that it declares', because: decision.code };
  }
  if (!move.fenced || decision.events.length === 0) return undefined;
  const execution =
    'executionId' in args && args.executionId !== undefined
      ? node.state.tables.execution.get(args.executionId)
      : undefined;
  const held = execution !== undefined && isActive(execution);
  if (move.proof !== 'newest' && (held || move.proof === 'none'))
    return {
      property: 'nobody but the newest owner changes anything',
      because: `${move.words}: ${JSON.stringify(args)}`,
    };
  // An owner may give up as long as no other worker has taken over.
  const inTime =
    name === 'cancelExecution' || (execution?.situation === 'running' && (execution.dueAt ?? 0) > node.now);
  return inTime
    ? undefined
    : {
        property: 'an owner changes nothing at or after the end of its lease',
        because: `${move.words} at ${node.now}, the lease ended at ${execution?.dueAt}`,
      };
}

function withClaims(fences: Node['fences'], decision: AnyDecision, worker: string): Node['fences'] {
  if (!decision.ok || decision.events.length === 0) return fences;
  const next = new Map<string, readonly Held[]>(fences);
  for (const { executionId, leaseId, leaseEpoch, attemptId } of claimedIn(decision.outcome)) {
    next.set(executionId, [...(next.get(executionId) ?? []), { worker, fence: { leaseId, leaseEpoch, attemptId } }]);
  }
  return next;
}

/** The ids of a claim. A claim by execution id that took nothing has used none. */
function mintedBy({ name, args }: Command, decision: AnyDecision): number {
  if (name === 'claimForWorker') return 2 * args.claims.length;
  return decision.ok && decision.outcome.kind === 'claimed' && decision.events.length > 0 ? 2 : 0;
}

/** Makes one move: the decision (undefined when time passed), and the resulting state. */
export function step(node: Node, move: Move, registry: Registry): { decision: AnyDecision | undefined; to: Node } {
  const next = { ...node, parent: node, depth: node.depth + 1, move: move.words };
  if (move.kind === 'time') return { decision: undefined, to: { ...next, answer: '', now: move.to } };
  const decision = decide(node, move.command, registry);
  const to: Node = {
    ...next,
    ...apply(node, decision),
    answer: decision.ok ? decision.outcome.kind : decision.code,
    fences: move.worker === undefined ? node.fences : withClaims(node.fences, decision, move.worker),
    minted: node.minted + mintedBy(move.command, decision),
    created: node.created + (decision.ok && decision.outcome.kind === 'created' ? 1 : 0),
  };
  return { decision, to };
}

class Explorer {
  private readonly seen = new Set<string>();
  private readonly reached = new Map<string, string>();
  private frontier: Node[] = [];
  private transitions = 0;
  private effects = 0;
  private counterexample: Counterexample | undefined;

  constructor(
    private readonly scenario: Scenario,
    private readonly limits: Limits,
    private readonly registry: Registry,
  ) {}

  go(): Exploration {
    const root = rootNode();
    this.seen.add(canonicalOf(root));
    this.frontier = [root];
    let depth = 0;
    for (; depth < this.limits.depth && this.frontier.length > 0 && !this.isOver(); depth++) {
      const layer = this.frontier;
      this.frontier = [];
      for (const node of layer) if (!this.isOver()) this.expand(node);
      if (this.isOver()) break;
    }
    const { transitions, effects, reached, counterexample } = this;
    return {
      scenario: this.scenario.name,
      states: this.seen.size,
      transitions,
      effects,
      depth,
      reached,
      counterexample,
    };
  }

  private isOver(): boolean {
    return this.counterexample !== undefined || this.seen.size > (this.limits.states ?? Number.POSITIVE_INFINITY);
  }

  private expand(node: Node): void {
    for (const move of movesOf(node, this.scenario)) {
      this.transitions += 1;
      if (move.kind === 'time') this.arrive(step(node, move, this.registry).to);
      else this.tryCommand(node, move);
      if (this.counterexample !== undefined) return;
    }
  }

  private tryCommand(node: Node, move: CommandMove): void {
    const { decision, to } = step(node, move, this.registry);
    if (decision === undefined) return;
    for (const property of shownBy({ from: node, move, decision, to }))
      if (!this.reached.has(property)) this.reached.set(property, pathTo(to));
    const fault = faultOf(node, move, decision, this.registry);
    if (fault !== undefined) return this.refute(fault.property, fault.because, to);
    if (to.state === node.state) {
      // Which loop is at work is not state, but decides what the next one may do.
      if (to.applier !== node.applier) this.arrive(to);
      return;
    }
    this.effects += 1;
    const [broken] = violations(to.state, to.log, node.now);
    if (broken !== undefined) return this.refute(broken.name, broken.because, to);
    this.arrive(to);
  }

  private arrive(node: Node): void {
    const canonical = canonicalOf(node);
    if (this.seen.has(canonical)) return;
    this.seen.add(canonical);
    const why = unsettled(node, this.registry);
    if (why !== undefined) return this.refute('everything ends once an honest worker works', why, node);
    this.frontier.push(node);
  }

  private refute(property: string, because: string, node: Node): void {
    this.counterexample ??= { property, because, path: pathTo(node) };
  }
}

/** Explores a world. */
export function explore(scenario: Scenario, limits: Limits, registry: Registry = operationNamed): Exploration {
  return new Explorer(scenario, limits, registry).go();
}

/** Properties checked after every change. */
export const ALWAYS = INVARIANTS.length + 3;

/** The figures of an exploration in one line. */
export function summaryOf({ scenario, states, transitions, effects, depth }: Exploration): string {
  return `${String(states).padStart(7)} states, ${String(transitions).padStart(8)} moves tried, ${String(effects).padStart(7)} with effect, depth ${String(depth).padStart(2)}: ${scenario}`;
}
