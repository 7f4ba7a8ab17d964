/** The graph of a flow: its nodes in the order of their declaration, and the nodes that each of them waits for. */
import { LIMITS } from '../../../model/limits.js';
import { needList, needWhole, shown } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Hole, Path, Template } from '../../shared/template.js';
import { disown } from '../../util/quietly.js';
import { keptOptions } from '../tasks/policy.js';
import type { TaskDefinition, TaskReference } from '../tasks/task.js';
import { checkDelay, nameOfTask } from '../tasks/task-checks.js';
import type { FlowBuilder, FlowNode, GroupOptions, NodeOptions, OnSatisfied } from './nodes.js';

/** How many of the nodes that a node waits for must complete. */
export type Policy =
  | { readonly kind: 'all_of' }
  | { readonly kind: 'any_of'; readonly onSatisfied: OnSatisfied }
  | { readonly kind: 'quorum'; readonly k: number; readonly onSatisfied: OnSatisfied };

export interface GraphNode {
  readonly task: TaskDefinition;
  readonly template: Template;
  readonly options: Omit<NodeOptions, 'after'>;
  /** Indexes of the nodes that it waits for, each once. The results of these nodes are labelled with their indexes. */
  readonly upstreams: readonly number[];
  readonly policy: Policy;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  /** The result of the flow, with holes for results of nodes; undefined if the builder returned nothing. */
  readonly output: Template | undefined;
}

/** A placeholder for the result of one node, or of a group. */
class Reference {
  constructor(
    readonly graph: GraphBuilder,
    readonly nodes: readonly number[],
    readonly policy: Policy,
    readonly task = '',
  ) {}

  /** A placeholder in a text, a sum or a comparison could never be replaced by the result. */
  [Symbol.toPrimitive](): never {
    return this.refuseUse();
  }

  toJSON(): never {
    return this.refuseUse();
  }

  private refuseUse(): never {
    throw new InvalidDefinitionError(
      `${this.graph.where}: a node is a placeholder for a result, but it is used as a value here`,
      'Pass the node itself in the input: `{ parts: [node] }`. The task that receives its result can convert it.',
    );
  }
}

/** Objects and lists are searched for nodes to this depth. */
const MAX_LEVELS = 1_000;

const NODE_OPTIONS = { after: true, delay: true, priority: true, tags: true } as const;
const GROUP_OPTIONS = { onSatisfied: true } as const;
const ALL: Policy = { kind: 'all_of' };

/** Runs a builder. @throws InvalidDefinitionError, and every error of the builder */
export function graphOf<Input>(
  name: string,
  build: (builder: FlowBuilder, input: Input) => unknown,
  input: Input,
  taskNamed: (name: unknown) => TaskDefinition,
): Graph {
  const builder = new GraphBuilder(`Flow ${shown(name)}`, taskNamed);
  const output = build(builder, input);
  if (typeof (output as PromiseLike<unknown> | undefined)?.then === 'function') {
    builder.end();
    // The promise is not awaited; its rejection must not end the process.
    disown(output);
    throw new InvalidDefinitionError(
      `${builder.where}: its builder must not be asynchronous`,
      'Fetch the data before the flow is created, and pass it as the input of the flow.',
    );
  }
  return builder.finished(output);
}

class GraphBuilder implements FlowBuilder {
  private readonly nodes: GraphNode[] = [];
  private hasEnded = false;

  constructor(
    readonly where: string,
    private readonly taskNamed: (name: unknown) => TaskDefinition,
  ) {}

  run(task: TaskReference, ...[input, options = {}]: [unknown?, NodeOptions?]): FlowNode<never> {
    if (this.hasEnded)
      throw new InvalidDefinitionError(
        `${this.where}: run is called after its builder has ended`,
        'Declare all nodes before the function returns.',
      );
    const definition = this.taskNamed(nameOfTask(task));
    const where = `${this.where}, node ${this.nodes.length + 1} (task ${shown(definition.name)})`;
    knownOnly<NodeOptions>(where, options, NODE_OPTIONS);
    const { after = [], delay, priority, tags } = options;
    needList(where, 'after', after);
    checkDelay(where, delay);
    const { template, references } = this.read(where, input);
    references.push(...after.map((node) => this.own(where, node)));
    const kept = keptOptions({ delay, priority, tags });
    this.nodes.push({ task: definition, template, options: kept, ...waitingFor(where, references) });
    return this.reference([this.nodes.length - 1], ALL, definition.name);
  }

  any(nodes: readonly FlowNode<unknown>[], options: GroupOptions = {}): never {
    return this.group('any', nodes, options, (onSatisfied) => ({ kind: 'any_of', onSatisfied }));
  }

  quorum(k: number, nodes: readonly FlowNode<unknown>[], options: GroupOptions = {}): never {
    needList(`${this.where}, quorum`, 'the nodes', nodes);
    needWhole(`${this.where}, quorum`, 'k', k, 1, Math.max(1, nodes.length));
    return this.group('quorum', nodes, options, (onSatisfied) => ({ kind: 'quorum', k, onSatisfied }));
  }

  /** Call this when the builder has returned: no further node can be declared. */
  end(): void {
    this.hasEnded = true;
  }

  finished(output: unknown): Graph {
    this.end();
    if (this.nodes.length === 0)
      throw new InvalidDefinitionError(`${this.where} has no nodes: call run of the builder`);
    this.checkSize();
    if (output === undefined) return { nodes: this.nodes, output: undefined };
    const { template, references } = this.read(`${this.where}, the value that its builder returns`, output);
    if (references.some(({ policy }) => policy.kind !== 'all_of'))
      throw new InvalidDefinitionError(
        `${this.where}: its builder returns a group`,
        'Give the group to a task, and return its node.',
      );
    return { nodes: this.nodes, output: template };
  }

  private checkSize(): void {
    const { nodes, where } = this;
    const edges = nodes.reduce((sum, { upstreams }) => sum + upstreams.length, 0);
    const widest = nodes.findIndex(({ upstreams }) => upstreams.length > LIMITS.maxEdgesPerCall);
    const { maxFlowMembers, maxFlowEdges, maxEdgesPerCall } = LIMITS;
    const hint = `A flow has at most ${maxFlowMembers} nodes and ${maxFlowEdges} edges: divide it into several flows.`;
    if (nodes.length > maxFlowMembers)
      throw new InvalidDefinitionError(`${where} has ${nodes.length} nodes, more than ${maxFlowMembers}`, hint);
    if (edges > maxFlowEdges)
      throw new InvalidDefinitionError(`${where} has ${edges} edges, more than ${maxFlowEdges}`, hint);
    if (widest !== -1)
      throw new InvalidDefinitionError(
        `${where}, node ${widest + 1} waits for ${nodes[widest]?.upstreams.length} others, more than ${maxEdgesPerCall}`,
        `A node waits for at most ${maxEdgesPerCall}: join some of them in tasks in between.`,
      );
  }

  private group(
    name: string,
    nodes: readonly FlowNode<unknown>[],
    options: GroupOptions,
    policyWith: (onSatisfied: OnSatisfied) => Policy,
  ): never {
    const where = `${this.where}, ${name}`;
    needList(where, 'the nodes', nodes);
    knownOnly<GroupOptions>(where, options, GROUP_OPTIONS);
    const { onSatisfied = 'cancel_remaining' } = options;
    if (onSatisfied !== 'cancel_remaining' && onSatisfied !== 'let_run')
      throw new InvalidDefinitionError(`${where}: onSatisfied must be cancel_remaining or let_run`);
    const numbers = nodes.flatMap((node) => this.own(where, node).nodes);
    if (numbers.length === 0) throw new InvalidDefinitionError(`${where}: it needs at least one node`);
    if (new Set(numbers).size < numbers.length) throw new InvalidDefinitionError(`${where}: it has a node twice`);
    return this.reference(numbers, policyWith(onSatisfied));
  }

  private own(where: string, node: unknown): Reference {
    if (node instanceof Reference && node.graph === this && node.policy.kind === 'all_of') return node;
    throw new InvalidDefinitionError(
      `${where}: ${node instanceof Reference ? 'a group, or a node of another flow,' : shown(node)} is no node of this flow`,
    );
  }

  private reference(nodes: readonly number[], policy: Policy, task?: string): never {
    return new Reference(this, nodes, policy, task) as never;
  }

  /** Replaces the references in a value by holes. */
  private read(where: string, value: unknown): { readonly template: Template; readonly references: Reference[] } {
    const references: Reference[] = [];
    const holes: Hole[] = [];
    const within: unknown[] = [];
    // The copies of parts without nodes: one such part can be in a great many places of the value.
    const copies = new Map<unknown, unknown>();
    const walk = (part: unknown, at: Path): unknown => {
      if (at.length > MAX_LEVELS)
        throw new InvalidDefinitionError(
          `${where}: a value in it is nested deeper than ${MAX_LEVELS} levels`,
          'Flatten it, or pass a reference to it.',
        );
      if (part instanceof Reference) {
        if (part.graph !== this) throw new InvalidDefinitionError(`${where}: it contains a node of another flow`);
        references.push(part);
        holes.push({ at, take: part.policy.kind === 'quorum' ? 'each' : 'one', of: part.nodes.map(String) });
        return null;
      }
      if (copies.has(part)) return copies.get(part);
      if (!isPlain(part) || within.includes(part) || isEndless(part)) return part;
      within.push(part);
      const before = references.length;
      const copy = Array.isArray(part)
        ? part.map((item: unknown, index) => walk(item, [...at, index]))
        : Object.fromEntries(Object.entries(part).map(([name, member]) => [name, walk(member, [...at, name])]));
      within.pop();
      if (references.length === before) copies.set(part, copy);
      return copy;
    };
    return { template: { value: walk(value, []), holes }, references };
  }
}

/** Whether JSON writes the value member by member: a list, or an object without a class, of any realm. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  // `Object.prototype` of every realm has no prototype; the prototype of a class has one.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether a value is a list of more items than an input can have. The check of the input refuses it. */
const isEndless = (part: object): boolean => Array.isArray(part) && part.length > LIMITS.maxPayloadBytes;

function waitingFor(where: string, references: readonly Reference[]): Pick<GraphNode, 'upstreams' | 'policy'> {
  const upstreams = [...new Set(references.flatMap(({ nodes }) => nodes))];
  const group = references.find(({ policy }) => policy.kind !== 'all_of');
  if (group === undefined) return { upstreams, policy: ALL };
  if (references.some((other) => other.policy !== group.policy))
    throw new InvalidDefinitionError(
      `${where}: it waits for a group and for something else`,
      'Give the group to a task of its own, and wait for its node.',
    );
  return { upstreams, policy: group.policy };
}
