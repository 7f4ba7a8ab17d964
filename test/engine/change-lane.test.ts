/** A lane is changed in every partition; a failure names the partitions where it was not. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { changeLane, readLaneEverywhere } from '../../src/engine/change-lane.js';
import { memory } from '../../src/memory/index.js';

const pause = { laneId: 'mail', to: 'paused', requestedBy: 'ann' } as const;
const call = <T>(command: () => Promise<T>): Promise<T> => command();

/** A backend of which one partition cannot pause lanes. */
function failing(backend: Backend, partition: string, error: Error): Backend {
  const pauseLane = (args: Parameters<Backend['pauseLane']>[0]) =>
    args.partition === partition ? Promise.reject(error) : backend.pauseLane(args);
  return new Proxy(backend, {
    get: (target, name, receiver) =>
      (name === 'pauseLane' ? pauseLane : Reflect.get(target, name, receiver)) as unknown,
  });
}

describe('changeLane', () => {
  it('changes the lane in every partition, and counts those where its state changed', async () => {
    const backend = memory({ partitions: { count: 3 } });
    await backend.pauseLane({ partition: '{fp:1}', laneId: 'mail' });
    expect(await changeLane(backend, pause, call)).toBe(2);
    expect((await readLaneEverywhere(backend, 'mail', call)).map(({ laneState }) => laneState)).toEqual(
      Array(3).fill('paused'),
    );
    expect(await changeLane(backend, pause, call)).toBe(0);
  });

  it('makes the other changes when one partition fails, and names the failed one', async () => {
    const backend = memory({ partitions: { count: 3 } });
    const gone = new EngineError('transport_failed', 'gone.', { detail: { node: 'a:1' } });
    await expect(changeLane(failing(backend, '{fp:1}', gone), pause, call)).rejects.toMatchObject({
      code: 'transport_failed',
      message: expect.stringContaining('Lane mail is paused in 2 of 3 partitions; repeat the call for the others.'),
      detail: { node: 'a:1', made: '2', failed: '{fp:1}' },
    });
    const states = (await readLaneEverywhere(backend, 'mail', call)).map(({ laneState }) => laneState);
    expect(states).toEqual(['paused', 'open', 'paused']);
    expect(await changeLane(backend, pause, call)).toBe(1);
  });

  it("rethrows errors that are not the engine's", async () => {
    const mistake = new TypeError('no function');
    const backend = failing(memory({ partitions: { count: 2 } }), '{fp:0}', mistake);
    await expect(changeLane(backend, pause, call)).rejects.toBe(mistake);
  });
});
