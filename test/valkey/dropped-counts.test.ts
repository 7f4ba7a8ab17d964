/** The drop of a record that nobody can read: what counts it is found by a verification of the partition. */
import { beforeAll, describe, expect, test } from 'vitest';
import { claimAll, coreOf, creation, LANE, PARTITION, worldOfFile, type SmallWorld } from './small-world.js';

const worldNow = worldOfFile();
let world: SmallWorld;
beforeAll(() => void (world = worldNow()));

const nameOf = ({ executionId }: { readonly executionId: string }): string => `execution:${executionId}`;

describe('the drop of a record that nobody can read', () => {
  /** Due work is applied until the partition was verified. */
  async function mended<Value>(read: () => Promise<Value>, expected: Value): Promise<void> {
    const { backend } = world.engine;
    await expect
      .poll(
        async () => {
          await backend.applyDue({ partition: PARTITION, limit: 100 });
          return read();
        },
        { timeout: 30_000 },
      )
      .toEqual(expected);
  }

  test('corrects the counts of its lane by itself', { timeout: 60_000 }, async () => {
    const { backend } = world.engine;
    const counted = async () => (await backend.readCounts({ partition: PARTITION })).lanes;
    const before = await counted();
    const [executionId, executionKind] = [world.engine.executionId(), 'lost'];
    await backend.createExecution(creation(world.engine, { executionId, executionKind }));
    await world.admin.del(coreOf({ executionId }));
    await backend.claimForWorker(claimAll(world.engine, 1, [executionKind]));
    await backend.dropQuarantined({ partition: PARTITION, name: nameOf({ executionId }) });
    expect(await counted()).not.toEqual(before);
    await mended(counted, before);
  });

  test('corrects the counts of a flow with more members than one call looks at', { timeout: 60_000 }, async () => {
    const { backend, executionId: newId } = world.engine;
    const member = (executionKind: string) => ({ executionId: newId(), laneId: LANE, executionKind });
    const [flowId, members, lost] = [newId(), Array.from({ length: 500 }, () => member('one')), member('lost')];
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges: [] } });
    for (const further of [member('one'), lost]) {
      await backend.createExecution(creation(world.engine, further));
      await backend.addExecutionToFlow({ flowId, executionId: further.executionId });
    }
    await world.admin.del(coreOf(lost));
    await backend.claimForWorker(claimAll(world.engine, 1, ['lost']));
    await backend.dropQuarantined({ partition: PARTITION, name: nameOf(lost) });
    const waiting = async () => (await backend.describeFlow({ flowId }))?.members['waiting'];
    expect(await waiting()).toBe(502);
    await mended(waiting, 501);
  });
});
