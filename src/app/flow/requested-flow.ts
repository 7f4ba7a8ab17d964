/** A requested flow, before a backend is needed: its graph, and the checked and serialised inputs of its members. */
import { types } from 'node:util';
import { DEFAULTS, LIMITS } from '../../../model/limits.js';
import { shown } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Template } from '../../shared/template.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { keptOptions, startOf } from '../tasks/policy.js';
import { checkKeyLength, checkOwnId, checkStart, checkTags, checkWindow } from '../tasks/task-checks.js';
import type { RequestedMember } from '../tasks/member-row.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { FlowDeclaration, FlowRunOptions } from './flow.js';
import { graphOf, type Graph, type GraphNode } from './graph.js';
import { inputJson, requestedMembers } from './members.js';
import { inputDigest, tagsOf } from './stored.js';

export interface FlowDefinition {
  readonly name: string;
  readonly declare: FlowDeclaration<unknown, unknown>;
}

export interface RequestedFlow {
  readonly flow: string;
  readonly ownId: string | undefined;
  readonly graph: Graph;
  readonly members: readonly RequestedMember[];
  /** All tags that are stored with it. */
  readonly tags: Readonly<Record<string, string>>;
  /** How long it is kept at least, from its creation, ms; undefined without an id. */
  readonly dedupWindowMs: number | undefined;
  /** A digest of its input. */
  readonly digest: string;
  /** When its members end as `expired`. */
  readonly deadline: FlowRunOptions['deadline'];
}

const FLOW_RUN_OPTIONS = {
  id: true,
  idempotencyWindow: true,
  tags: true,
  delay: true,
  priority: true,
  deadline: true,
} as const;

/** @throws InvalidInputError, InvalidDefinitionError, and every error of the declaration */
export async function requestedFlow(
  { name, declare }: FlowDefinition,
  input: unknown,
  given: FlowRunOptions,
  taskNamed: (name: unknown) => TaskDefinition,
): Promise<RequestedFlow> {
  const where = `Run of flow ${shown(name)}`;
  knownOnly<FlowRunOptions>(where, given, FLOW_RUN_OPTIONS);
  // As they are now: the caller may use the object for its next call.
  const options = keptOptions(given);
  if (options.id !== undefined) {
    checkOwnId(where, options.id);
    checkKeyLength(where, 'id', LIMITS.maxTagValueBytes, options.id);
  }
  checkWindow(where, options.idempotencyWindow, options.id);
  checkTags(where, options.tags, options.id === undefined ? 2 : 3);
  checkStart(where, options);
  const { id: ownId, idempotencyWindow, tags, deadline } = options;
  // Later calls with this id are compared with the input that the declaration gets.
  const digest = inputDigest(inputJson(name, input));
  const { output, nodes } = graphOf(name, declare, input, taskNamed);
  const graph = { output, nodes: nodes.map((node) => startingBy(node, options)) };
  const members = await requestedMembers(graph);
  const stored = { output: output as Template | undefined, input: digest, ownId };
  return {
    flow: name,
    ownId,
    graph,
    members,
    tags: { ...tags, ...tagsOf(where, stored) },
    dedupWindowMs: ownId === undefined ? undefined : windowMsOf(idempotencyWindow),
    digest,
    deadline,
  };
}

const windowMsOf = (window: Duration | undefined): number =>
  window === undefined ? DEFAULTS.dedupWindowMs : durationMs(window);

/** The delay of a node in a flow that has one too. A node that names a time starts at that time. */
function sumOf(flow: Duration | Date, node: Duration | Date): Duration | Date {
  if (types.isDate(node)) return node;
  return types.isDate(flow) ? new Date(startOf(flow, 0) + durationMs(node)) : durationMs(flow) + durationMs(node);
}

/** A node with what its flow says of all. */
function startingBy(node: GraphNode, { delay, priority }: FlowRunOptions): GraphNode {
  if (delay === undefined && priority === undefined) return node;
  const { options, upstreams } = node;
  const isFirst = upstreams.length === 0;
  const isLater = delay !== undefined && (isFirst || options.delay !== undefined);
  return {
    ...node,
    options: {
      ...options,
      delay: isLater ? sumOf(delay, options.delay ?? 0) : options.delay,
      priority: options.priority === undefined ? priority : options.priority,
    },
  };
}
