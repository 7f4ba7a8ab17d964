/** A long result does not hold up the endings beside it. */
import { expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../../src/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import type { Attempt } from '../../src/worker/attempt/attempt.js';
import { Reporter, type ReporterOptions } from '../../src/worker/report/reporter.js';
import { deferred } from '../app/support.js';

const named = (name: string): Attempt =>
  ({ partition: '{fp:0}', finalCommand: () => name, name }) as unknown as Attempt;
const nameOf = (attempt: Attempt): string => (attempt as unknown as { name: string }).name;

it('a long result is sent alone, and the work behind it is offered after its answer', async () => {
  const events: string[] = [];
  const calls: string[][] = [];
  const long = deferred();
  const execute = async (commands: readonly string[]) => {
    calls.push([...commands]);
    if (commands.includes('long')) await long.promise;
    return commands.map(() => ({ ok: true, outcome: { kind: 'completed' } }));
  };
  const reporter = new Reporter({
    backend: { execute } as unknown as Backend,
    clock: new VirtualClock(0),
    leaseTtlMs: 30_000,
    collect: false,
    slotIsIdle: () => true,
    onLeaving: () => undefined,
    onCompleting: (attempt) => events.push(`${nameOf(attempt)} completing`),
    onAnswered: () => undefined,
    onSettled: (attempt) => events.push(`${nameOf(attempt)} settled`),
    onError: (error) => {
      throw error;
    },
  } satisfies ReporterOptions);
  const report = (name: string, bytes: number): void =>
    reporter.report(named(name), { kind: 'complete', bytes: new Uint8Array(bytes) } as never);
  report('a', 1);
  report('long', LIMITS.maxClaimedInputBytes + 1);
  report('b', LIMITS.maxClaimedInputBytes);
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls).toEqual([['long'], ['a', 'b']]);
  expect(events).toEqual(['a completing', 'b completing', 'a settled', 'b settled']);
  long.resolve();
  await reporter.idle();
  expect(events.slice(4)).toEqual(['long settled', 'long completing']);
});
