import type { LocalOffer } from '../../engine/local-offers.js';
import type { TaskDefinition } from './task.js';

/** The place where a run of a task waits for a worker; undefined for metered tasks, which are claimed otherwise. */
export function localOfferOf(partition: string, task: TaskDefinition): LocalOffer | undefined {
  if (task.quotas.length > 0 || task.budget !== undefined) return undefined;
  const { laneId, name: executionKind, policy } = task;
  const { requiredCapabilities = [] } = policy?.routingRequirements ?? {};
  return { laneId, partition, executionKind, requiredCapabilities };
}
