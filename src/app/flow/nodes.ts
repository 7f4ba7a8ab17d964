/** What a flow is written with: nodes, groups of nodes, and inputs in which their results stand. */
import type { Duration } from '../../shared/duration.js';
import type { Task } from '../tasks/task.js';

declare const RESULT: unique symbol;

/** A result that will be there when the node begins in whose input it stands. */
export interface Later<Output> {
  /** Only a type: there is nothing to read yet. */
  readonly [RESULT]: () => Output;
}

/** One run of a task in a flow. In the input of another node it stands for its result. */
export interface FlowNode<Output> extends Later<Output> {
  readonly task: string;
}

/** An input in which results of other nodes may stand, in any place. */
export type WithResults<T> =
  | T
  | Later<T>
  | (T extends Uint8Array ? never : T extends object ? { readonly [Key in keyof T]: WithResults<T[Key]> } : never);

/** A value with the results in it, in the place of nodes and groups. */
type ResultsIn<T> =
  T extends Later<infer Output>
    ? Output
    : T extends Uint8Array
      ? T
      : T extends object
        ? { -readonly [Key in keyof T]: ResultsIn<T[Key]> }
        : T;

/** What a flow gives whose declaration returns this: the results in its places, or nothing. */
export type FlowOutput<Declared> = [Declared] extends [void] ? undefined : ResultsIn<Declared>;

/** What becomes of the nodes of a group that still run when it has what it waits for, or can have it no more. */
export type OnSatisfied = 'cancel_remaining' | 'let_run';

export interface GroupOptions {
  /** Default `cancel_remaining`. */
  readonly onSatisfied?: OnSatisfied | undefined;
}

export interface NodeOptions {
  /** Nodes that must have completed before this one begins, whose results it does not need. */
  readonly after?: readonly FlowNode<unknown>[] | undefined;
  /** Wait before it may begin, from the creation of the flow. */
  readonly delay?: Duration | undefined;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

type NodeArguments<Input> = undefined extends Input
  ? [input?: WithResults<Input>, options?: NodeOptions]
  : [input: WithResults<Input>, options?: NodeOptions];

/** Declares the nodes of a flow and what each waits for. */
export interface FlowBuilder {
  /**
   * A run of the task. Where nodes or groups stand in its input, it waits for them and gets their results in these places.
   * When one of them fails, is cancelled or expires, this node is skipped, and what depends on it too.
   * A node waits for single nodes, or for one group.
   * @throws InvalidDefinitionError for an input that cannot travel, nodes of another flow, and a group beside other nodes
   */
  run<Input, Output>(task: Task<Input, Output>, ...args: NodeArguments<Input>): FlowNode<Output>;
  /** The result of the first of these nodes that completes. */
  any<Output>(nodes: readonly FlowNode<Output>[], options?: GroupOptions): Later<Output>;
  /** The results of the first `k` of these nodes that complete, in the order in which the nodes stand here. */
  quorum<Output>(k: number, nodes: readonly FlowNode<Output>[], options?: GroupOptions): Later<Output[]>;
}
