/**
 * What is left to do after an end in a flow: tasks, and the walks that record those that a call could not do. A walk is
 * continued by `applyDue`.
 */
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { memberOf, uuidOfExecution } from '../ids.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import type { View } from '../view.js';
import { hasOrphaned } from './cancellation.js';
import { WALK_KINDS, type WalkKind } from './facts.js';

export interface CascadeContext {
  readonly view: View;
  readonly now: number;
  readonly retentionMs: number;
  /** Records an event and its effects on streams. */
  record(event: Event): void;
}

export interface CountedContext extends CascadeContext {
  /** Units of the waitpoints that were closed so far. */
  readonly closings: number;
}

/** A task and its progress. */
export interface Task {
  readonly kind: WalkKind;
  /** UUID of the flow. */
  readonly flow: string;
  /** The execution that the task concerns; any execution of the partition if it concerns the flow. */
  readonly about: string;
  cursor: string;
}

export interface Step {
  /** The cursor after this step. */
  readonly cursor: string;
  readonly executionId: string;
  /** Undefined for tasks that go through the members of a flow. */
  readonly edgeId?: string;
}

/** The next steps of a task, read ahead. */
export interface Ahead {
  readonly task: Task;
  readonly steps: readonly Step[];
  at: number;
  /** Whether more steps may follow those that were read. */
  readonly isCut: boolean;
  /** Whether the end of an upstream means no more to the group than its edge, so that many edges are resolved together. */
  readonly isDecided: boolean;
}

/** The task that ends the members of a cancelled flow. `about` is any execution id of the partition. */
export const cancellingOf = (flow: string, about: string): Task => ({ kind: 'cancel', flow, about, cursor: '' });

/** The task that checks whether each member of a flow can continue. */
export const evaluationOf = (flowId: string): Task => ({
  kind: 'evaluate',
  flow: uuidOfExecution(flowId),
  about: flowId,
  cursor: '',
});

/** Tasks after the end of a member: its children end if it ended badly, and its downstream members are informed. */
export function endsOf(execution: ReadonlyExecution): readonly Task[] {
  const { executionId: about, flow } = execution;
  const orphans: Task[] = hasOrphaned(execution) ? [{ kind: 'siblings', flow: present(flow), about, cursor: '' }] : [];
  return [...orphans, endOf(execution)];
}

/** The task that informs the downstream members of an end. */
export function endOf({ executionId, flow }: ReadonlyExecution): Task {
  return { kind: 'resolve', flow: present(flow), about: executionId, cursor: '' };
}

/** The edge id of a cursor, which contains the stored form. */
export const edgeOf = (cursor: string): string => (cursor === '' ? '' : uuidOf(cursor));

/** The id of a walk: at most one of each kind per execution or flow. */
export function walkIdOf({ kind, flow, about }: Task): string {
  const of = isOfFlow(kind) ? shortIdOf(flow) : memberOf(about);
  return WALK_KINDS[kind] + of;
}

export const isOfFlow = (kind: WalkKind): boolean => kind === 'cancel' || kind === 'evaluate';

/** Records the tasks that a call could not do as walks. */
export function writeWalks(context: CascadeContext, tasks: readonly Task[]): void {
  for (const task of tasks) {
    const walkId = walkIdOf(task);
    const isThere = context.view.flows.walk(walkId) !== undefined;
    // Members that were checked before the flow changed again are checked once more, as are children whose parent ended
    // since.
    if (isThere && task.kind !== 'evaluate' && task.kind !== 'siblings') continue;
    const type = isThere ? 'walk_advanced' : 'walk_begun';
    context.record({ type, walkId, at: context.now, ...factsOfTask(task) });
  }
}

export function factsOfTask({ kind, flow, about, cursor }: Task) {
  return { walkKind: kind, flow, walkOf: isOfFlow(kind) ? undefined : uuidOfExecution(about), cursor };
}
