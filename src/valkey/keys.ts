/** Names of keys. Every key of a partition shares its tag, so that a call touches one slot. */
import { KEYS, SUFFIXES } from '../../lua/layout.js';
import type { ByteSlot } from '../../model/core/operation.js';
import { memberOf, partitionOfExecution } from '../../model/ids.js';
import { shortIdOf } from '../../model/short-id.js';

/** What the names of all keys of a partition begin with. */
export const partitionStart = (prefix: string, partition: string): string => `${prefix}${partition}:`;

/**
 * The keys that every call declares: the log, which names the partition, and where slots can migrate one that never exists.
 * All others have the same tag, and the library knows their names: each that is declared besides costs as much as a look at
 * it.
 */
export function callKeys(prefix: string, partition: string, isCluster: boolean): string[] {
  const start = partitionStart(prefix, partition);
  return isCluster ? [start + KEYS.log, start + KEYS.absent] : [start + KEYS.log];
}

/** Where the deployment's record is kept. */
export function deploymentKey(prefix: string): string {
  return `${prefix}deployment`;
}

/** Where the newest build of each library is kept that the deployment ever had. */
export function buildsKey(prefix: string): string {
  return `${prefix}builds`;
}

/** Core hash of an execution. Its other keys are this one and a suffix. */
export function coreKey(prefix: string, executionId: string): string {
  return `${prefix}${partitionOfExecution(executionId)}:${memberOf(executionId)}`;
}

/** Where an input that is not short is kept. */
export function inputKey(prefix: string, executionId: string): string {
  return coreKey(prefix, executionId) + SUFFIXES.input;
}

/** Where the bytes of a command are kept when they are not short; nothing when the caller cannot name that key. */
export function bytesKey(
  prefix: string,
  slot: ByteSlot,
  args: { readonly executionId: string; readonly fence?: { readonly attemptId?: string | undefined } | undefined },
): string | undefined {
  if (slot === 'secret') return undefined;
  if (slot === 'input') return inputKey(prefix, args.executionId);
  // The key of a result carries the attempt id, so that only the owner of the attempt can write it (ruling 37).
  const attemptId = args.fence?.attemptId;
  return attemptId === undefined
    ? undefined
    : coreKey(prefix, args.executionId) + SUFFIXES.result + shortIdOf(attemptId);
}
