import type { Scenario } from '../scenario.js';
import { asideScenario } from './aside.js';
import { bytesScenario } from './bytes.js';
import { coldImportScenario } from './cold-import.js';
import { aofScenario, drainScenario, tiny16Scenario, tinyScenario } from './drain.js';
import { embeddedScenario } from './embedded.js';
import { flowsScenario } from './flows.js';
import { idleLanesScenario, idleSlotsScenario } from './idle.js';
import { instructionsScenario } from './instructions.js';
import { latencyElsewhereScenario, latencyScenario, resultScenario } from './latency.js';
import { listBytesScenario } from './list-bytes.js';
import { listCostScenario } from './list-cost.js';
import { listsScenario, subscribersScenario } from './lists.js';
import { memoryBackendScenario } from './memory-backend.js';
import { meteredScenario } from './metered.js';
import { overdueScenario } from './overdue.js';
import { routingScenario } from './routing.js';
import { stepsScenario } from './steps.js';
import { storedScenario } from './stored.js';
import { streamsScenario } from './streams.js';
import { usageScenario } from './usage.js';
import { waitsScenario } from './waits.js';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  instructionsScenario,
  drainScenario,
  tinyScenario,
  tiny16Scenario,
  aofScenario,
  latencyScenario,
  latencyElsewhereScenario,
  resultScenario,
  bytesScenario,
  memoryBackendScenario,
  embeddedScenario,
  storedScenario,
  idleLanesScenario,
  coldImportScenario,
  idleSlotsScenario,
  routingScenario,
  asideScenario,
  listsScenario,
  listBytesScenario,
  listCostScenario,
  subscribersScenario,
  stepsScenario,
  streamsScenario,
  waitsScenario,
  flowsScenario,
  usageScenario,
  meteredScenario,
  overdueScenario,
];
