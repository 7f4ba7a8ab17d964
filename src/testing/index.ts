/**
 * `flowfabric/testing`: either backend under virtual time with seeded ids, and the canonical state of a partition, so
 * that your own scenarios and properties run against both.
 */
export { canonicalByDefinition, type CanonicalState } from './canonical/index.js';
export { seededUuids, testEngine, type TestEngine, type TestEngineOptions } from './engine.js';
export { testApp, type TestApp, type TestAppOptions } from './test-app.js';
export { conformance, type ConformanceScenario } from './conformance/index.js';
