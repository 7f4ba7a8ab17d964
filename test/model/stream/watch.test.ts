/** watchStream: what is noted, and for how long. Spec 07 section 5. */
import { describe, expect, it } from 'vitest';
import { NO_NOTICES, noticesAfter } from '../../../model/partition/notices.js';
import { SpecMachine } from '../../../model/specification/machine.js';
import { parseCommand } from '../../../src/backend/boundary.js';
import { created, given, idOf, NOW, X } from '../dsl.js';

describe('watchStream', () => {
  it('records until when the streams of an execution are watched, and that the partition has such streams', () => {
    given(created())
      .when('watchStream', { executionId: X, ttlMs: 1_000 })
      .answers({ kind: 'watching' })
      .nothingHappens();
    const machine = new SpecMachine({ retentionMs: 60_000 });
    machine.record(created());
    const watch = (ttlMs: number, at: number) =>
      machine.run(parseCommand('watchStream', { executionId: X, ttlMs }, 'memory'), at);
    watch(1_000, NOW);
    expect(machine.view.streams.watchedUntil(X)).toBe(NOW + 1_000);
    // It is never shortened.
    watch(10, NOW);
    expect(machine.view.streams.watchedUntil(X)).toBe(NOW + 1_000);
    const { notices } = machine.partition.header;
    expect(notices.streamsUntil).toBe(NOW + 1_000);
    expect(noticesAfter(notices, NOW + 999).streamsUntil).toBe(NOW + 1_000);
    expect(noticesAfter(notices, NOW + 1_000)).toBe(NO_NOTICES);
  });

  it('is refused for an unknown execution', () => {
    given(created())
      .when('watchStream', { executionId: idOf(9), ttlMs: 1_000 })
      .refuses('execution_not_found');
  });
});
