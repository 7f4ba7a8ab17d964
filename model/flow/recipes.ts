/** The effects of flow events on executions. The Lua twins are in `lua/flow/events.lua`. */
import { changes } from '../core/entity.js';
import type { EventNamed } from '../events.js';
import type { Execution } from '../execution/facts.js';
import { become, end, endDelay, endOwnership } from '../execution/lifecycle.js';
import { isRunnable } from '../execution/situation.js';
import { closeAll } from '../suspension/recipes.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { flowEvents } from './events.js';

type OfExecution =
  | 'flow_member_added'
  | 'dependencies_staged'
  | 'edge_group_policy_set'
  | 'dependency_resolved'
  | 'dependencies_resolved'
  | 'dependency_reopened'
  | 'edge_group_fired'
  | 'dependencies_met'
  | 'children_awaited'
  | 'execution_skipped';
type Recipes = { [Type in OfExecution & keyof typeof flowEvents]: ExecutionRecipe<Type> };

/** Blocks it on its dependencies. Its own delay keeps running, and applies when they are satisfied. */
function block(execution: Execution, at: number): void {
  if (!isRunnable(execution.situation) || execution.situation === 'blocked_dependencies') return;
  become(execution, 'blocked_dependencies', at, undefined);
  execution.blockingDetail = '';
}

/** Unblocks it; only its own delay still applies. */
function unblock(execution: Execution, at: number): void {
  const { delayUntil, nextAttempt } = execution;
  if (delayUntil !== undefined && delayUntil > at) {
    become(execution, nextAttempt === 'retry' ? 'retry_backoff' : 'delayed', at, delayUntil);
    return;
  }
  become(execution, 'ready', at, undefined);
  endDelay(execution);
}

const COUNTS = { succeeded: 'succeededCount', failed: 'failedCount', skipped: 'skippedCount' } as const;

/** Resolves an edge by the end of its upstream. */
function resolve(
  execution: Execution,
  {
    edgeId,
    edgeOutcome,
    bucket,
    at,
  }: Pick<EventNamed<'dependency_resolved'>, 'edgeId' | 'edgeOutcome' | 'bucket' | 'at'>,
): void {
  const dependency = execution.dependencies?.[edgeId];
  if (dependency === undefined) return;
  dependency.edgeState = edgeOutcome;
  dependency.resolvedAt = at;
  dependency.bucket = bucket;
  if (dependency.edgeRound > 0) {
    execution.endedChildren += 1;
    execution.openChildren -= 1;
    dependency.endOrder = execution.endedChildren;
  }
  const isCounted = dependency.edgeRound === execution.groupRound;
  // An older group of children is decided by the handler, so none of its edges is late. A success in an impossible group
  // is not either: a replay can still decide the group with it.
  const isDecided =
    execution.groupState === 'satisfied' || (execution.groupState === 'impossible' && bucket !== 'succeeded');
  dependency.isLate = isCounted ? isDecided : dependency.edgeRound === 0;
  if (isCounted) execution[COUNTS[bucket]] += 1;
}

export const flowRecipes: Recipes = {
  flow_member_added: changes((execution, event) => {
    execution.flow = event.flow;
    execution.rank = event.rank;
    if (event.awaitsSeal) block(execution, event.at);
  }),
  dependencies_staged: changes((execution, event) => {
    if (event.edgeRound > execution.groupRound) {
      execution.groupRound = event.edgeRound;
      execution.dependencyCount = 0;
      execution.succeededCount = 0;
      execution.failedCount = 0;
      execution.skippedCount = 0;
      execution.groupState = 'pending';
      execution.satisfiedAt = undefined;
    }
    execution.dependencies ??= {};
    for (const { edgeId, upstream, dataPassingRef } of event.edges)
      execution.dependencies[edgeId] = {
        upstream,
        edgeState: 'unsatisfied',
        edgeRound: event.edgeRound,
        stagedAt: event.at,
        resolvedAt: undefined,
        bucket: 'none',
        isLate: false,
        endOrder: 0,
        dataPassingRef,
      };
    execution.dependencyCount += event.edges.length;
    if (event.edgeRound > 0) execution.openChildren += event.edges.length;
    execution.groupState = 'pending';
    if (event.isChild) execution.isParent = true;
    block(execution, event.at);
  }),
  edge_group_policy_set: changes((execution, event) => {
    execution.groupPolicy = event.groupPolicy;
    execution.onSatisfied = event.onSatisfied;
    execution.quorumK = event.quorumK;
    execution.groupState = 'pending';
  }),
  dependency_resolved: changes(resolve),
  dependencies_resolved: changes((execution, { edges, at }) => {
    for (const { edgeId } of edges) resolve(execution, { edgeId, edgeOutcome: 'impossible', bucket: 'failed', at });
  }),
  dependency_reopened: changes((execution, event) => {
    const dependency = execution.dependencies?.[event.edgeId];
    if (dependency === undefined || dependency.bucket === 'none') return;
    if (dependency.edgeRound === execution.groupRound) {
      execution[COUNTS[dependency.bucket]] -= 1;
      execution.groupState = 'pending';
    }
    if (dependency.edgeRound > 0) execution.openChildren += 1;
    dependency.edgeState = 'unsatisfied';
    dependency.resolvedAt = undefined;
    dependency.bucket = 'none';
    dependency.isLate = false;
  }),
  edge_group_fired: changes((execution, event) => {
    execution.groupState = event.groupOutcome;
    if (event.groupOutcome === 'satisfied') execution.satisfiedAt = event.at;
  }),
  dependencies_met: changes((execution, event) => unblock(execution, event.at)),
  children_awaited: changes((execution, event) => {
    endOwnership(execution);
    become(execution, 'blocked_dependencies', event.at, undefined);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
  }),
  execution_skipped: changes((execution, event) => {
    closeAll(execution, event.at, 'dependency_impossible');
    end(execution, 'skipped', event.at, event.purgeAt);
  }),
};
