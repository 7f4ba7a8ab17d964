/** The parts of a flow declaration: nodes, groups of nodes, and inputs that contain them. */
import type { Duration } from '../../shared/duration.js';
import type { Task } from '../tasks/task.js';
import type { Tags } from '../runs/tags.js';

declare const RESULT: unique symbol;
declare const GROUP: unique symbol;

/** A placeholder for a result. It is replaced when the node whose input contains it starts. */
export interface Later<Output> {
  /** Exists only as a type; it cannot be read. */
  readonly [RESULT]: () => Output;
}

/** A run of a task in a flow. In the input of another node it is a placeholder for its result. */
export interface FlowNode<Output> extends Later<Output> {
  readonly task: string;
}

/** A group of nodes: part of the input of one node. The result of a flow cannot contain it. */
export interface NodeGroup<Output> extends Later<Output> {
  /** Only a type: there is nothing to read. */
  readonly [GROUP]: true;
}

/** Stands where a declaration returns a group; the compiler shows the reason. */
export interface CannotReturn<Reason extends string> {
  readonly __cannotReturn: Reason;
}

/** Whether a value, one of its members or one of its items is a group. */
type HasGroup<T> = T extends NodeGroup<unknown> ? true : T extends Later<unknown> ? false : GroupIn<T[keyof T]>;
type GroupIn<T> = T extends NodeGroup<unknown> ? true : false;

/** `unknown`, which adds nothing to a type, where the result of a flow can be what its declaration returns. */
export type IfReturnable<Declared> = 0 extends 1 & Declared
  ? unknown
  : true extends HasGroup<Declared>
    ? CannotReturn<'a group (any, quorum) is part of the input of a node: give it to a task, and return its node'>
    : unknown;

/** An input that can contain nodes in place of any of its values. */
export type WithResults<T> =
  | T
  | Later<T>
  | (T extends Uint8Array ? never : T extends object ? { readonly [Key in keyof T]: WithResults<T[Key]> } : never);

/** The type of a value with results in place of nodes and groups. */
type ResultsIn<T> =
  T extends Later<infer Output>
    ? Output
    : T extends Uint8Array
      ? T
      : T extends object
        ? { -readonly [Key in keyof T]: ResultsIn<T[Key]> }
        : T;

/** The result of a flow whose declaration returns this type. */
export type FlowOutput<Declared> = [Declared] extends [void] ? undefined : ResultsIn<Declared>;

/** What happens to the remaining nodes of a group that is satisfied, or can no longer be. */
export type OnSatisfied = 'cancel_remaining' | 'let_run';

export interface GroupOptions {
  /** Default `cancel_remaining`. */
  readonly onSatisfied?: OnSatisfied | undefined;
}

export interface NodeOptions {
  /** Nodes that must complete before this one starts, but whose results it does not need. */
  readonly after?: readonly FlowNode<unknown>[] | undefined;
  /** When the node may start: a duration from the creation of the flow, or a time (a `Date`). */
  readonly delay?: Duration | Date | undefined;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Tags | undefined;
}

type NodeArguments<Input> = undefined extends Input
  ? [input?: WithResults<Input>, options?: NodeOptions]
  : [input: WithResults<Input>, options?: NodeOptions];

/** Declares the nodes of a flow and their dependencies. */
export interface FlowBuilder {
  /**
   * Declares a run of the task. It depends on the nodes and groups in its input, and gets their results in their place.
   * If one of them fails, is cancelled or expires, this node is skipped, and so is everything that depends on it. A
   * node depends either on single nodes or on one group.
   * @throws InvalidDefinitionError for an input that cannot be serialised, nodes of another flow, and a group beside
   *   other nodes
   */
  run<Input, Output>(task: Task<Input, Output>, ...args: NodeArguments<Input>): FlowNode<Output>;
  /** The result of the first of these nodes to complete. */
  any<Output>(nodes: readonly FlowNode<Output>[], options?: GroupOptions): NodeGroup<Output>;
  /** The results of the first `k` of these nodes to complete, in the order of the list. */
  quorum<Output>(k: number, nodes: readonly FlowNode<Output>[], options?: GroupOptions): NodeGroup<Output[]>;
}
