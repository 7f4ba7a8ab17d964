/** Names of keys. Every key of a partition shares its tag, so that a call touches one slot. */
import type { ParsedArgsOf, ParsedCommand } from '../../model/machine.js';
import { EXECUTION_KEYS, INLINE_BYTES, PARTITION_KEYS } from '../../lua/layout.js';

const base = (prefix: string, partition: string): string => `${prefix}${partition}:`;

/** The keys that every read declares. */
export function readKeys(prefix: string, partition: string): string[] {
  const start = base(prefix, partition);
  return [start + PARTITION_KEYS.log, start + PARTITION_KEYS.absent];
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
function coreKey(prefix: string, executionId: string): string {
  return prefix + executionId;
}

/** Where a payload that is not short is kept. */
export function payloadKey(prefix: string, executionId: string): string {
  return coreKey(prefix, executionId) + EXECUTION_KEYS.payload;
}

/** Where the bytes of a command's argument are kept when they are not short. */
export function bytesKey(prefix: string, executionId: string, argument: string): string {
  return coreKey(prefix, executionId) + (argument === 'inputPayload' ? EXECUTION_KEYS.payload : EXECUTION_KEYS.result);
}

/**
 * The keys that commands are known to touch before they run, the log first. What only an index or the state can name
 * is derived in the library, in the same slot.
 */
export function declaredKeys(prefix: string, partition: string, commands: readonly ParsedCommand[]): string[] {
  const start = base(prefix, partition);
  const keys = [start + PARTITION_KEYS.log, start + PARTITION_KEYS.absent];
  for (const command of commands) addKeys(keys, start, prefix, command);
  // A single command names no key twice.
  return commands.length === 1 ? keys : [...new Set(keys)];
}

function addKeys(keys: string[], start: string, prefix: string, { name, args }: ParsedCommand): void {
  if (name === 'createExecution') {
    addKeysOfCreation(keys, start, prefix, args);
    return;
  }
  keys.push(start + PARTITION_KEYS.timers);
  if (name === 'claimForWorker') {
    keys.push(`${start}${PARTITION_KEYS.queue}${args.laneId}:`);
    if (args.workerCapabilities.length > 0) keys.push(start + PARTITION_KEYS.requirementSets + args.laneId);
    return;
  }
  const core = coreKey(prefix, args.executionId);
  keys.push(core);
  switch (name) {
    case 'completeExecution':
      if (args.resultPayload !== undefined && args.resultPayload.byteLength > INLINE_BYTES)
        keys.push(core + EXECUTION_KEYS.result);
      return;
    case 'purgeExecution':
      keys.push(start + PARTITION_KEYS.ids);
      for (const suffix of Object.values(EXECUTION_KEYS)) keys.push(core + suffix);
      return;
    default:
      keys.push(core + EXECUTION_KEYS.details);
  }
}

function addKeysOfCreation(keys: string[], start: string, prefix: string, args: ParsedArgsOf<'createExecution'>): void {
  const core = coreKey(prefix, args.executionId);
  const requirements = args.policy?.routingRequirements?.requiredCapabilities ?? [];
  keys.push(
    core,
    start + PARTITION_KEYS.ids,
    `${start}${PARTITION_KEYS.queue}${args.laneId}:${requirements.join(',')}`,
  );
  if (requirements.length > 0) keys.push(start + PARTITION_KEYS.requirementSets + args.laneId);
  if (args.inputPayload.byteLength > INLINE_BYTES) keys.push(core + EXECUTION_KEYS.payload);
  if (args.policy !== undefined || Object.keys(args.tags).length > 0) keys.push(core + EXECUTION_KEYS.details);
  if (args.delayUntil !== undefined || args.executionDeadlineAt !== undefined || args.policy !== undefined)
    keys.push(start + PARTITION_KEYS.timers);
  if (args.idempotencyKey) keys.push(`${start}${PARTITION_KEYS.idempotency}${args.namespace}:${args.idempotencyKey}`);
}
