/** Names of keys. Every key of a partition shares its tag, so that a call touches one slot. */
import type { ParsedCommand } from '../../model/machine.js';
import { EXECUTION_KEYS, PARTITION_KEYS } from './layout.js';

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

/** Core hash of an execution. Its other keys are this one and a suffix. */
export function coreKey(prefix: string, executionId: string): string {
  return prefix + executionId;
}

/**
 * The keys that commands are known to touch before they run, the log first. What only an index can name is derived
 * in the library, in the same slot.
 */
export function declaredKeys(prefix: string, partition: string, commands: readonly ParsedCommand[]): string[] {
  const start = base(prefix, partition);
  const keys = new Set([start + PARTITION_KEYS.log, start + PARTITION_KEYS.absent, start + PARTITION_KEYS.timers]);
  for (const command of commands) addKeys(keys, start, prefix, command);
  return [...keys];
}

function addKeys(keys: Set<string>, start: string, prefix: string, { name, args }: ParsedCommand): void {
  if (name === 'claimForWorker') {
    keys.add(`${start}${PARTITION_KEYS.queue}${args.laneId}:`);
    if (args.workerCapabilities.length > 0) keys.add(start + PARTITION_KEYS.requirementSets + args.laneId);
    return;
  }
  const core = coreKey(prefix, args.executionId);
  keys.add(core);
  switch (name) {
    case 'createExecution': {
      const requirements = args.policy?.routingRequirements?.requiredCapabilities ?? [];
      keys.add(start + PARTITION_KEYS.ids);
      keys.add(start + PARTITION_KEYS.lanes);
      keys.add(`${start}${PARTITION_KEYS.queue}${args.laneId}:${requirements.join(',')}`);
      if (requirements.length > 0) keys.add(start + PARTITION_KEYS.requirementSets + args.laneId);
      if (args.inputPayload.byteLength > 0) keys.add(core + EXECUTION_KEYS.payload);
      if (args.policy !== undefined || Object.keys(args.tags).length > 0) keys.add(core + EXECUTION_KEYS.details);
      if (args.idempotencyKey !== undefined) keys.add(`${start}${PARTITION_KEYS.idempotency}${args.namespace}:${args.idempotencyKey}`);
      return;
    }
    case 'completeExecution':
      if (args.resultPayload !== undefined) keys.add(core + EXECUTION_KEYS.result);
      return;
    case 'purgeExecution':
      keys.add(start + PARTITION_KEYS.ids);
      for (const suffix of Object.values(EXECUTION_KEYS)) keys.add(core + suffix);
      return;
    default:
      keys.add(core + EXECUTION_KEYS.details);
  }
}

