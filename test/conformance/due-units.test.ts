/** What a pass over due work takes on: its limit counts the records that it writes, in memory and on a server alike. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TimeoutBehavior } from '../../model/suspension/facts.js';
import { create, fenceOf, PARTITION, take, TTL_MS } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const WAIT_MS = 60_000;
const SECRET = new Uint8Array(32).fill(7);

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  /** Suspends so many executions at so many waitpoints each. */
  async function suspended(
    count: number,
    size: number,
    timeoutBehavior: TimeoutBehavior,
    namespace = 'ours',
    creation: () => Promise<string> = () => create(engine, { namespace }),
  ): Promise<string[]> {
    const timeoutAt = engine.now() + WAIT_MS;
    const ids: string[] = [];
    for (let n = 0; n < count; n++) {
      const executionId = await creation();
      const waitpoints = Array.from({ length: size }, (_, at) => ({
        ...{ waitpointId: engine.uuid(), waitpointKey: `key-${at}` },
      }));
      await engine.backend.suspendExecution({
        ...{ executionId, fence: fenceOf(await take(engine)), suspensionId: engine.uuid(), timeoutAt, timeoutBehavior },
        waitpoints,
        resumeCondition: {
          ...{ type: 'count', n: size, countKind: 'distinct_waitpoints' },
          waitpoints: waitpoints.map(({ waitpointKey }) => waitpointKey),
        },
      });
      ids.push(executionId);
    }
    return ids;
  }

  const pass = async (more: object = {}) => {
    const outcome = await engine.backend.applyDue({ partition: PARTITION, limit: 100, ...more });
    return outcome.kind === 'applied' ? outcome : expect.fail(outcome.kind);
  };

  /** How many suspensions each pass ends, until nothing is due. */
  async function ended(more: object = {}): Promise<number[]> {
    const counts: number[] = [];
    do counts.push((await pass(more)).suspensionsTimedOut.length);
    while (counts.at(-1) !== 0);
    return counts;
  }

  test.each(['fail', 'cancel', 'expire', 'auto_resume', 'auto_resume_with_timeout_signal'] as const)(
    'two suspensions of 40 waitpoints that time out (%s) fill a pass of 100 units',
    async (behavior) => {
      await suspended(5, 40, behavior);
      engine.setTime(engine.now() + WAIT_MS);
      expect(await ended()).toEqual([2, 2, 1, 0]);
    },
  );

  test('an escalation closes no waitpoint', async () => {
    await suspended(5, 40, 'escalate');
    engine.setTime(engine.now() + WAIT_MS);
    expect(await ended()).toEqual([5, 0]);
  });

  test('a pass does one thing at least, whatever that costs', async () => {
    await suspended(2, 64, 'fail');
    engine.setTime(engine.now() + WAIT_MS);
    expect(await ended({ limit: 1 })).toEqual([1, 1, 0]);
  });

  test('a sweep with a filter misses nothing that a pass left in front of what it passed over', async () => {
    const ids: string[] = [];
    for (const namespace of ['ours', 'ours', 'theirs', 'ours']) {
      ids.push(...(await suspended(1, 64, 'fail', namespace)));
      engine.setTime(engine.now() + 1);
    }
    engine.setTime(engine.now() + WAIT_MS);
    let it: Awaited<ReturnType<typeof pass>> | undefined;
    do it = await pass({ filter: { namespace: 'ours' }, after: it?.after });
    while (it.after !== undefined || it.suspensionsTimedOut.length > 0);
    const states = await Promise.all(ids.map((executionId) => engine.backend.describeExecution({ executionId })));
    expect(states.map((it) => it?.publicState)).toEqual(['failed', 'failed', 'suspended', 'failed']);
  });

  test('a walk that cancels the members of a flow takes on two that wait at 40 waitpoints', async () => {
    const { backend } = engine;
    const flowId = engine.executionId();
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'ours' });
    const ids = await suspended(5, 40, 'fail', 'ours', async () => {
      const executionId = await create(engine, { namespace: 'ours' });
      await backend.addExecutionToFlow({ flowId, executionId });
      return executionId;
    });
    const cancelled = async (): Promise<number> => {
      const states = await Promise.all(ids.map((executionId) => backend.describeExecution({ executionId })));
      return states.filter((it) => it?.publicState === 'cancelled').length;
    };
    await backend.cancelFlowHeader({ flowId, cancellationPolicy: 'cancel_all' });
    const counts = [await cancelled()];
    for (let n = 0; n < 4; n++) {
      await pass();
      counts.push(await cancelled());
    }
    expect(counts).toEqual([2, 4, 5, 5, 5]);
  });

  test('a deadline costs what the waitpoints of the execution do, used or not', async () => {
    await engine.backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: 'k', newSecret: SECRET });
    const executionDeadlineAt = engine.now() + TTL_MS / 2;
    for (let n = 0; n < 5; n++) {
      const executionId = await create(engine, { executionDeadlineAt });
      const fence = fenceOf(await take(engine));
      for (let at = 0; at < 40; at++) {
        const facts = { waitpointId: engine.uuid(), waitpointKey: `unused-${at}`, expiresInMs: WAIT_MS };
        await engine.backend.createPendingWaitpoint({ executionId, fence, ...facts });
      }
    }
    engine.setTime(executionDeadlineAt);
    for (const count of [2, 2, 1]) expect((await pass()).expired).toHaveLength(count);
  });
});
