/**
 * Ids of children. They are derived from the execution, the name and index of the use, and the index in the list, so
 * that a handler that runs again finds its children.
 */
import { executionIdOf, partitionIndexOf } from '../../../model/ids.js';
import { uuidFrom } from '../../util/uuid-from.js';

/** The n-th use of a name in a handler. */
export interface ChildrenUse {
  readonly name: string;
  /** From 0. */
  readonly index: number;
}

export interface ChildIds {
  readonly executionId: string;
  /** The edge by which the parent waits for it. */
  readonly edgeId: string;
}

/** The ids of the child at this index of the list. */
export function childIds(parentId: string, { name, index }: ChildrenUse, place: number): ChildIds {
  const what = JSON.stringify([parentId, name, index, place]);
  return {
    executionId: executionIdOf(partitionIndexOf(parentId), uuidFrom(`child\t${what}`)),
    edgeId: uuidFrom(`child edge\t${what}`),
  };
}

/** The flow that is created when an execution outside of flows has children. */
export const flowOfChildren = (parentId: string): string =>
  executionIdOf(partitionIndexOf(parentId), uuidFrom(`children\t${parentId}`));
