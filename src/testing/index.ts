/**
 * `flowfabric/testing`: apps and backends under virtual time with seeded ids, simulated crashes of their workers, and the
 * canonical state of a partition, for your own scenarios and properties.
 */
export { canonicalByDefinition, type CanonicalState } from './canonical/index.js';
export type { EntityKind } from '../../model/state.js';
export { testEngine, type TestEngine, type TestEngineOptions } from './engine.js';
export { seededUuids } from './seeded-ids.js';
export { testApp, type TestApp, type TestAppOptions } from './test-app.js';
export { conformance, type ConformanceScenario } from './conformance/index.js';
export {
  SimulationError,
  type SimulatedCode,
  type SimulatedSource,
  type SimulateOptions,
  type SimulateReport,
  type Simulation,
  type SimulationScenario,
} from './simulate/api.js';
export type { FaultKind, PlacedFault, SimulatedFault } from './simulate/schedule.js';
export { simulate } from './simulate/simulate.js';
