import type { Scenario } from '../scenario.js';
import { coldImportScenario } from './cold-import.js';
import { decayScenario } from './decay.js';
import { idleScenario } from './idle.js';
import { instructionsScenario } from './instructions.js';
import { latencyScenario } from './latency.js';
import { oneWorkerScenario, s1AofScenario, s1Scenario, tinyScenario } from './lifecycles.js';
import { memoryBackendScenario } from './memory-backend.js';
import { memoryScenario } from './memory.js';
import { routingScenario } from './routing.js';
import { serverWorkScenario } from './server-work.js';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  instructionsScenario,
  s1Scenario,
  tinyScenario,
  oneWorkerScenario,
  s1AofScenario,
  serverWorkScenario,
  latencyScenario,
  routingScenario,
  idleScenario,
  memoryScenario,
  memoryBackendScenario,
  coldImportScenario,
  decayScenario,
];
