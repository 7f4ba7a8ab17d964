/** Names of keys. All keys of a partition have the same hash tag, so that a call touches one slot. */
import { KEYS, SUFFIXES } from '../../lua/layout.js';
import type { ByteSlot } from '../../model/core/entity.js';
import { memberOf, partitionOfExecution } from '../../model/ids.js';
import { shortIdOf } from '../../model/short-id.js';

/** The common prefix of all keys of a partition. */
export const partitionStart = (prefix: string, partition: string): string => `${prefix}${partition}:`;

/**
 * The keys that every call declares: the log, which names the partition, and in a cluster, where slots can migrate, a
 * key that never exists. All other keys have the same tag, and the library knows their names; declaring one costs as
 * much as reading it.
 */
export function callKeys(prefix: string, partition: string, isCluster: boolean): string[] {
  const start = partitionStart(prefix, partition);
  return isCluster ? [start + KEYS.log, start + KEYS.absent] : [start + KEYS.log];
}

/** Key of the deployment record. */
export function deploymentKey(prefix: string): string {
  return `${prefix}deployment`;
}

/** Key with the newest build of each library that the deployment has had. */
export function buildsKey(prefix: string): string {
  return `${prefix}builds`;
}

/** Key of the core hash of an execution. Its other keys add a suffix. */
export function coreKey(prefix: string, executionId: string): string {
  return `${prefix}${partitionOfExecution(executionId)}:${memberOf(executionId)}`;
}

/** Key of an input that is not short. */
export function inputKey(prefix: string, executionId: string): string {
  return coreKey(prefix, executionId) + SUFFIXES.input;
}

/** Key of the bytes of a command that are not short; undefined if the caller cannot know that key. */
export function bytesKey(
  prefix: string,
  slot: ByteSlot | 'step',
  args: { readonly executionId: string; readonly fence?: { readonly attemptId?: string | undefined } | undefined },
): string | undefined {
  if (slot === 'secret') return undefined;
  if (slot === 'input') return inputKey(prefix, args.executionId);
  if (slot === 'step') return coreKey(prefix, args.executionId) + SUFFIXES.value;
  // The key of a result carries the attempt id, so that only the owner of the attempt can write it (ruling 37).
  const attemptId = args.fence?.attemptId;
  return attemptId === undefined
    ? undefined
    : coreKey(prefix, args.executionId) + SUFFIXES.result + shortIdOf(attemptId);
}
