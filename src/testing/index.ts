/**
 * `flowfabric/testing`: apps and backends under virtual time with seeded ids, and the canonical state of a partition,
 * for your own scenarios and properties.
 */
export { canonicalByDefinition, type CanonicalState } from './canonical/index.js';
export type { EntityKind } from '../../model/state.js';
export { testEngine, type TestEngine, type TestEngineOptions } from './engine.js';
export { seededUuids } from './seeded-ids.js';
export { testApp, type TestApp, type TestAppOptions } from './test-app.js';
export { conformance, type ConformanceScenario } from './conformance/index.js';
