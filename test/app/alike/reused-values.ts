/** Callers go on with the objects and buffers that they gave: a call has what they held when it was made. */
import { expect } from 'vitest';
import { partitionOfExecution } from '../../../model/ids.js';
import { newId, Placer } from '../../../src/engine/index.js';
import type { App, TaskContext } from '../../../src/index.js';
import type { Scenario } from './world.js';

/** Short bytes, ones that a server gets beside the call, and ones that it gets before it, in one part and in several. */
const LENGTHS = [1, 5_000, 100_000, 1_500_000];

const bytesOf = (length: number, of: number): Uint8Array => new Uint8Array(length).fill(of);

/** Makes a call, and changes what it was given when it returns. */
function reusing<Given, T>(
  given: Given,
  call: (given: Given) => Promise<T>,
  change: (given: Given) => void,
): Promise<T> {
  const made = call(given);
  change(given);
  return made;
}

const refill = (bytes: Uint8Array): void => void bytes.fill(9);

async function engineCalls(a: App, length: number): Promise<Record<string, unknown>> {
  const backend = await a.backend();
  const placer = new Placer(backend.partitions);
  const [namespace, laneId, executionKind, creatorIdentity] = ['ns', newId(), 'k', 'me'];
  const executionId = placer.executionId({ uuid: newId(), namespace, laneId });
  const tags = { 'a.b': 'as given' };
  await reusing(
    bytesOf(length, 1),
    (inputPayload) =>
      reusing(
        tags,
        (given) =>
          backend.createExecution({
            ...{ executionId, namespace, laneId, executionKind, creatorIdentity },
            ...{ inputPayload, payloadEncoding: 'bytes', tags: given },
          }),
        (given) => (given['a.b'] = 'changed'),
      ),
    refill,
  );
  const flowId = placer.executionId({ uuid: newId(), namespace, laneId });
  const member = `${partitionOfExecution(flowId)}:${newId()}`;
  await reusing(
    bytesOf(length, 2),
    (inputPayload) =>
      backend.createFlow({
        ...{ flowId, flowKind: 'f', namespace, creatorIdentity },
        graph: { members: [{ executionId: member, laneId, executionKind, inputPayload, payloadEncoding: 'bytes' }] },
      }),
    refill,
  );
  const claimed = await backend.claimForWorker({
    ...{ workerId: 'w', workerInstanceId: newId(), laneId, leaseTtlMs: 60_000 },
    ...{ partition: partitionOfExecution(executionId), claims: [{ leaseId: newId(), attemptId: newId() }] },
  });
  if (claimed.kind !== 'claimed') throw new Error('nothing was claimed');
  const { leaseId, leaseEpoch, attemptId } = claimed.executions[0];
  const fence = { leaseId, leaseEpoch, attemptId };
  const signals = {
    signalId: newId(),
    signalName: 's',
    sourceIdentity: '',
    signalCategory: 'external',
    sourceType: 'external',
  };
  if (length <= 65_536)
    await reusing(
      bytesOf(length, 3),
      (payload) => backend.signalExecution({ executionId, ...signals, payload, payloadEncoding: 'bytes' }),
      refill,
    );
  await reusing(
    bytesOf(length, 4),
    (value) =>
      backend.recordStep({
        ...{ executionId, fence, stepName: 'x', stepIndex: 0, stepKind: 'step', failed: false, encoding: 'bytes' },
        value,
      }),
    refill,
  );
  await reusing(
    bytesOf(length, 5),
    (resultPayload) => backend.completeExecution({ executionId, fence, resultPayload, resultEncoding: 'bytes' }),
    refill,
  );
  const firsts = (bytes: Uint8Array | undefined): unknown => bytes && [...new Set(bytes)];
  const { steps } = await backend.readSteps({ executionId });
  const listed = length <= 65_536 ? (await backend.listSignals({ executionId })).signals : [];
  return {
    input: firsts((await backend.readExecutionContext({ executionId })).inputPayload),
    tags: await backend.getExecutionTags({ executionId }),
    member: firsts((await backend.readExecutionContext({ executionId: member })).inputPayload),
    signal: listed.map(({ payload }) => firsts(payload)),
    step: steps.map(({ value }) => firsts(value)),
    result: firsts(await backend.getExecutionResult({ executionId })),
  };
}

export const REUSED_VALUES: readonly Scenario[] = [
  ...LENGTHS.map(
    (length): Scenario => ({
      name: `calls of the engine have the bytes that they were made with: ${length}`,
      partitions: 1,
      run: async ({ open }) => {
        const told = await engineCalls(await open(), length);
        expect(told).toEqual({
          input: [1],
          tags: { 'a.b': 'as given' },
          member: [2],
          signal: length <= 65_536 ? [[3]] : [],
          step: [[4]],
          result: [5],
        });
        return told;
      },
    }),
  ),
  {
    name: 'signals, decisions and tags of a run that is created or looked up are those of their calls',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task('t', async ({ waitFor, approval }: TaskContext<{ n: number }>) => [
        await waitFor('paid'),
        await waitFor('sent'),
        (await approval('go')).decisions.map(({ by, note }) => [by, note]),
      ]);
      await a.worker();
      const input = { n: 1 };
      const created = reusing(
        input,
        (given) => Object.assign(Promise.resolve(), { run: task.run(given) }),
        (given) => (given.n = 9),
      );
      const { run } = created as unknown as { run: ReturnType<typeof task.run> };
      const id = await run.id;
      const lookedUp = task.get(id);
      await Promise.all([
        reusing(
          { cents: 5 },
          (given) => run.signal('paid', given),
          (given) => (given.cents = 9),
        ),
        reusing(
          { cents: 6 },
          (given) => lookedUp.signal('sent', given),
          (given) => (given.cents = 9),
        ),
        reusing(
          { by: 'ann', note: 'fine' },
          (given) => a.get(id).approve('go', given),
          (given) => Object.assign(given, { by: 'bea', note: 'no' }),
        ),
        reusing(
          { 'a.b': 'as given' },
          (given) => task.get(id).setTags(given),
          (given) => (given['a.b'] = 'changed'),
        ),
      ]);
      const result = await run.result();
      expect(result).toEqual([{ cents: 5 }, { cents: 6 }, [['ann', 'fine']]]);
      const { tags, input: stored } = await run.info();
      expect([tags, stored]).toEqual([{ 'a.b': 'as given' }, { n: 1 }]);
      return [result, tags, stored];
    },
  },
];
