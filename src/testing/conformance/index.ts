/**
 * What every backend must do, as a list of scenarios that need no test framework: run each with a fresh engine. They
 * use nothing but the engine's interface, so they hold for a backend of your own just as for ours.
 */
import { budgetScenarios } from './budgets.js';
import { stepScenarios } from './checkpoints.js';
import { executionScenarios } from './executions.js';
import { grantScenarios } from './grants.js';
import { listScenarios } from './lists.js';
import { operatingScenarios } from './operating.js';
import { partitionScenarios } from './partitions.js';
import { signalScenarios } from './signals.js';
import type { ConformanceScenario } from './steps.js';
import { streamScenarios } from './streams.js';
import { waitingScenarios } from './waiting.js';

export type { ConformanceScenario } from './steps.js';

/** The scenarios. */
export const conformance: readonly ConformanceScenario[] = [
  ...operatingScenarios,
  ...listScenarios,
  ...streamScenarios,
  ...budgetScenarios,
  ...stepScenarios,
  ...grantScenarios,
  ...waitingScenarios,
  ...signalScenarios,
  ...executionScenarios,
  ...partitionScenarios,
];
