/** A requested flow, before a backend is needed: its graph, and the checked and serialised inputs of its members. */
import { LIMITS } from '../../../model/limits.js';
import { shown } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Template } from '../../shared/template.js';
import { checkKeyLength, checkOwnId, checkTags } from '../tasks/task-checks.js';
import type { RequestedMember } from '../tasks/member-row.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { FlowDeclaration, FlowRunOptions } from './flow.js';
import { graphOf, type Graph } from './graph.js';
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
  /** A digest of its input. */
  readonly digest: string;
}

const FLOW_RUN_OPTIONS = { id: true, tags: true } as const;

/** @throws InvalidInputError, InvalidDefinitionError, and every error of the declaration */
export async function requestedFlow(
  { name, declare }: FlowDefinition,
  input: unknown,
  options: FlowRunOptions,
  taskNamed: (name: unknown) => TaskDefinition,
): Promise<RequestedFlow> {
  const where = `Run of flow ${shown(name)}`;
  knownOnly<FlowRunOptions>(where, options, FLOW_RUN_OPTIONS);
  if (options.id !== undefined) {
    checkOwnId(where, options.id);
    checkKeyLength(where, 'id', LIMITS.maxTagValueBytes, options.id);
  }
  checkTags(where, options.tags, options.id === undefined ? 2 : 3);
  // As they are now: the caller may use the object for its next call.
  const [ownId, tags] = [options.id, { ...options.tags }];
  // Later calls with this id are compared with the input that the declaration gets.
  const digest = inputDigest(inputJson(name, input));
  const graph = graphOf(name, declare, input, taskNamed);
  const members = await requestedMembers(graph);
  const stored = { output: graph.output as Template | undefined, input: digest, ownId };
  return { flow: name, ownId, graph, members, tags: { ...tags, ...tagsOf(where, stored) }, digest };
}
