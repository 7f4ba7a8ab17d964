/** Moves of owners that write to streams, and of readers that watch them. */
import type { Command } from '../../model/machine.js';

type StreamMove = readonly [doing: string, command: Command];
type Fence = { leaseId?: string; leaseEpoch?: number; attemptId?: string };

/** Calls with a fence, for an attempt. */
export function* streamMoves(executionId: string, fence: Fence, attemptIndex = 0): Generator<StreamMove> {
  const owner = { executionId, fence, attemptIndex };
  const payload = Uint8Array.of(1);
  yield ['says something', { name: 'appendFrame', args: { ...owner, payload } }];
  yield ['says the second thing', { name: 'appendFrame', args: { ...owner, payload, seq: 2 } }];
  yield ['says the first thing', { name: 'appendFrame', args: { ...owner, payload, seq: 1 } }];
  yield ['sums up', { name: 'appendFrame', args: { ...owner, patch: '{}' } }];
  yield ['says something in passing', { name: 'appendFrame', args: { ...owner, payload, bestEffort: { ttlMs: 100 } } }];
  yield ['listens', { name: 'watchStream', args: { executionId, ttlMs: 1_000 } }];
}
