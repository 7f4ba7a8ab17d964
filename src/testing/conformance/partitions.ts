/** Scenarios of partitions: batches, listings, the log, snapshots, due work, wakes, the clock and the end of a backend. */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import type { Wake } from '../../backend/backend.js';
import { create, fenceOf, LANE, PARTITION, refused, soon, stateOf, take, type ConformanceScenario } from './steps.js';

/** Whether the wake announces existing work, not work that this process is about to create. */
const isStored = (wake: Wake): boolean => wake.kind !== 'work' || wake.arriving === undefined;

export const partitionScenarios: readonly ConformanceScenario[] = [
  {
    name: 'a batch runs in order, each command with its own answer',
    async run(engine) {
      const executionId = engine.executionId();
      const ids = { leaseId: engine.uuid(), attemptId: engine.uuid() };
      const results = await engine.backend.execute([
        {
          name: 'createExecution',
          args: {
            executionId,
            namespace: 'conformance',
            laneId: LANE,
            executionKind: 'kind',
            creatorIdentity: 'suite',
          },
        },
        {
          name: 'claimForWorker',
          args: { partition: PARTITION, laneId: LANE, workerId: 'worker', workerInstanceId: 'worker-1', claims: [ids] },
        },
        { name: 'renewLease', args: { executionId, fence: { ...ids, leaseEpoch: 9 } } },
        { name: 'completeExecution', args: { executionId, fence: { ...ids, leaseEpoch: 1 } } },
      ]);
      assert.deepEqual(
        results.map((result) => (result.ok ? result.outcome.kind : result.error.code)),
        ['created', 'claimed', 'stale_lease', 'completed'],
      );
      assert.equal(await stateOf(engine, executionId), 'completed');
    },
  },
  {
    name: 'a batch with a malformed command is refused whole',
    async run(engine) {
      const executionId = await create(engine);
      const error = await refused(
        engine.backend.execute([
          { name: 'cancelExecution', args: { executionId, reason: 'r', source: 'operator_override' } },
          { name: 'promoteDelayed', args: { executionId: 'no id' } },
        ]),
        'invalid_input',
      );
      assert.equal(error.detail['field'], 'executionId');
      assert.equal(await stateOf(engine, executionId), 'waiting');
    },
  },
  {
    name: 'executions and lanes are listed in order, page by page',
    async run(engine) {
      const ids = [];
      for (const laneId of ['b', 'a', 'b', 'c']) ids.push(await create(engine, { laneId }));
      ids.sort();
      const first = await engine.backend.listExecutions({ partition: PARTITION, limit: 3 });
      assert.deepEqual([first.executions, first.nextCursor], [ids.slice(0, 3), ids[2]]);
      const second = await engine.backend.listExecutions({ partition: PARTITION, limit: 3, cursor: first.nextCursor });
      assert.deepEqual([second.executions, second.nextCursor], [ids.slice(3), undefined]);
      assert.deepEqual((await engine.backend.listLanes({ limit: 2 })).lanes, ['a', 'b']);
      assert.deepEqual((await engine.backend.listLanes({ limit: 2, cursor: 'b' })).lanes, ['c']);
      const ofPartition = async (page: { cursor?: string; limit?: number }) => {
        const { lanes, nextCursor } = await engine.backend.listPartitionLanes({ partition: PARTITION, ...page });
        return [lanes, nextCursor];
      };
      assert.deepEqual(await ofPartition({}), [['a', 'b', 'c'], undefined]);
      assert.deepEqual(await ofPartition({ limit: 2 }), [['a', 'b'], 'b']);
      assert.deepEqual(await ofPartition({ cursor: 'b', limit: 1 }), [['c'], undefined]);
      assert.deepEqual(await ofPartition({ limit: 0 }), [[], undefined]);
    },
  },
  {
    name: 'the log has all events, in order and without gaps',
    async run(engine) {
      const executionId = await create(engine, { policy: { retryPolicy: { maxRetries: 2 } }, tags: { 'a.b': 'c' } });
      await engine.backend.failExecution({ executionId, fence: fenceOf(await take(engine)), failureReason: 'broken' });
      const { events, next, end, atEnd } = await engine.backend.readLog({ partition: PARTITION });
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        [1, 2, 3],
      );
      assert.deepEqual([next, atEnd], [end, true]);
      assert.deepEqual(
        events.map(({ event }) => event.type),
        ['execution_created', 'execution_claimed', 'retry_scheduled'],
      );
      const first = await engine.backend.readLog({ partition: PARTITION, limit: 1 });
      const second = await engine.backend.readLog({ partition: PARTITION, after: first.next, limit: 1 });
      assert.deepEqual([first.atEnd, second.events[0]?.sequence], [false, 2]);
      assert.deepEqual((await engine.backend.readLog({ partition: PARTITION, after: end })).events, []);
    },
  },
  {
    name: 'a reader behind the trimmed log learns where it can continue',
    options: { logMaxEntries: 10 },
    async run(engine) {
      const executionId = await create(engine);
      const owner = fenceOf(await take(engine));
      // Far more than are kept, because a backend may trim its log in large pieces.
      for (let i = 0; i < 20; i++)
        await engine.backend.execute(
          Array.from({ length: 100 }, () => ({ name: 'renewLease' as const, args: { executionId, fence: owner } })),
        );
      const error = await refused(engine.backend.readLog({ partition: PARTITION }), 'cursor_too_old');
      const after = present(error.detail['earliest']);
      const { events, atEnd } = await engine.backend.readLog({ partition: PARTITION, after, limit: 1_000 });
      assert.deepEqual([events.at(-1)?.sequence, atEnd], [2_002, true]);
    },
  },
  {
    name: 'a reader commits positions of entries, and of nothing else',
    async run(engine) {
      const { backend } = engine;
      await create(engine);
      await create(engine);
      const { next } = await backend.readLog({ partition: PARTITION, limit: 1 });
      const [generation, sequence, time] = next.split('.');
      const commit = (position: string) => backend.commitReader({ partition: PARTITION, readerId: 'reader', position });
      await refused(commit(`${generation}.${sequence}.9007199254740992`), 'invalid_input');
      await refused(commit(`${generation}.9007199254740992.${time}`), 'invalid_input');
      await refused(commit(`${generation}.${sequence}.${Number(time) + 1}`), 'cursor_lost');
      assert.deepEqual(await commit(next), { kind: 'committed' });
      assert.deepEqual(
        (await backend.listReaders({ partition: PARTITION })).map(({ position }) => position),
        [next],
      );
      assert.equal((await backend.readLog({ partition: PARTITION })).atEnd, true);
    },
  },
  {
    name: 'a page without rows ends a list, and a cursor beyond all cursors is refused',
    async run({ backend, uuid }) {
      await backend.createBudget({ budgetId: uuid() });
      for (let index = 0; index < backend.partitions.budgets; index++) {
        const page = await backend.listBudgets({ partition: `{b:${index}}`, limit: 0 });
        assert.deepEqual(page, { budgets: [], damaged: [], nextCursor: undefined });
      }
      const ofNothing = { entries: [], nextCursor: undefined };
      assert.deepEqual(await backend.listQuarantined({ partition: PARTITION, limit: 0 }), ofNothing);
      const cursor = '1.18446744073709551615';
      assert.deepEqual(await backend.listQuarantined({ partition: PARTITION, cursor }), ofNothing);
      const beyond = backend.listQuarantined({ partition: PARTITION, cursor: '1.18446744073709551616' });
      await refused(beyond, 'invalid_input');
    },
  },
  {
    name: 'a snapshot has every execution and flow with all facts, page by page, and a position per page',
    async run(engine) {
      const { backend } = engine;
      const flowId = engine.executionId();
      await backend.createFlow({ flowId, flowKind: 'etl', namespace: 'conformance' });
      const ids = [
        await create(engine, { tags: { 'a.b': 'c' }, inputPayload: new Uint8Array(70) }),
        await create(engine),
      ];
      const read = (args: object = {}) => backend.readSnapshot({ partition: PARTITION, ...args });
      const first = await read({ limit: 1 });
      assert.deepEqual(
        [first.flows.map(({ flow, flowKind }) => [flow, flowKind]), first.executions, first.nextCursor],
        [[[flowId.slice(-36), 'etl']], [], 'execution:'],
      );
      const second = await read({ cursor: 'execution:', limit: 1 });
      const [created] = second.executions;
      assert.equal(created?.executionId, [...ids].sort()[0]);
      assert.equal(second.nextCursor, `execution:${created?.executionId}`);
      const taken = await take(engine);
      await backend.failExecution({
        ...{ executionId: taken.executionId, fence: fenceOf(taken) },
        failureReason: 'why',
      });
      const last = await read({ cursor: 'execution:' });
      assert.deepEqual(
        last.executions.map(({ executionId }) => executionId),
        [...ids].sort(),
      );
      const failed = last.executions.find(({ executionId }) => executionId === taken.executionId);
      assert.deepEqual(
        [failed?.situation, failed?.failureReason, failed?.totalAttemptCount, failed?.laneId, last.nextCursor],
        ['failed', 'why', 1, LANE, undefined],
      );
      const whole = last.executions.find(({ executionId }) => executionId === ids[0]);
      assert.deepEqual([whole?.payloadBytes, { ...whole?.tags }], [70, { 'a.b': 'c' }]);
      // Each page has a log position: events after that of the second page explain the difference in the third.
      const { events, end } = await backend.readLog({ partition: PARTITION, after: second.position });
      assert.deepEqual(
        events.map(({ event }) => event.type),
        ['execution_claimed', 'execution_failed'],
      );
      assert.equal(last.position, end);
      await refused(read({ cursor: 'execution:nobody' }), 'invalid_input');
    },
  },
  {
    name: 'due work is listed and applied, and the answer has the next due time',
    async run(engine) {
      const executionId = await create(engine, { delayUntil: engine.now() + 1_000 });
      const apply = () => engine.backend.applyDue({ partition: PARTITION });
      const early = await apply();
      assert.deepEqual(early.kind === 'applied' && [early.promoted, early.nextDueAt], [0, engine.now() + 1_000]);
      engine.setTime(engine.now() + 1_000);
      const due = await apply();
      assert.deepEqual(due.kind === 'applied' && [due.promoted, due.nextDueAt], [1, undefined]);
      assert.equal(await engine.backend.readExecutionState({ executionId }), 'waiting');
    },
  },
  {
    name: 'a loop with a filter skips other timers, and continues from its position',
    async run(engine) {
      const { backend } = engine;
      const at = engine.now() + 1_000;
      const facts = { delayUntil: at, namespace: 'theirs', tags: { 'team.name': 'theirs' } };
      const theirs: string[] = [];
      for (let n = 0; n < 5; n++) theirs.push(await create(engine, facts));
      const ours = await create(engine, { delayUntil: at + 1, namespace: 'ours', tags: { 'team.name': 'ours' } });
      engine.setTime(at + 2);
      const apply = async (filter: Parameters<typeof backend.applyDue>[0]['filter']): Promise<number> => {
        let [promoted, isMore]: [number, boolean] = [0, true];
        for (let after: string | undefined; isMore; ) {
          const due = await backend.applyDue({ partition: PARTITION, limit: 2, filter, after });
          assert.equal(due.kind, 'applied');
          if (due.kind !== 'applied') return promoted;
          promoted += due.promoted;
          after = due.after;
          isMore = after !== undefined || due.promoted > 0;
        }
        return promoted;
      };
      const states = (): Promise<unknown[]> =>
        Promise.all([ours, ...theirs].map((executionId) => backend.readExecutionState({ executionId })));
      const delayed = theirs.map(() => 'delayed');
      assert.equal(await apply({ namespace: 'nobody' }), 0);
      assert.deepEqual(await states(), ['delayed', ...delayed]);
      assert.equal(await apply({ tags: { 'team.name': 'ours' } }), 1);
      assert.deepEqual(await states(), ['waiting', ...delayed]);
      // Without the position, the timers in front would be passed over for ever.
      const first = await backend.applyDue({ partition: PARTITION, limit: 2, filter: { namespace: 'ours' } });
      assert.ok(first.kind === 'applied' && first.after !== undefined);
      assert.equal(await apply({ namespace: 'theirs' }), theirs.length);
      await refused(backend.applyDue({ partition: PARTITION, filter: {} }), 'invalid_input');
    },
  },
  {
    name: 'a listener of a lane is woken by work of the lane and by timers',
    async run(engine) {
      const wakes: Wake[] = [];
      const stop = await engine.backend.onWake([LANE], (wake) => {
        if (isStored(wake)) wakes.push(wake);
      });
      const until = (kind: Wake['kind']): Promise<void> =>
        soon(() => wakes.some((wake) => wake.kind === kind), `no wake of kind ${kind}`);
      await create(engine, { laneId: 'other' });
      await create(engine);
      await until('work');
      assert.deepEqual(
        wakes.find(({ kind }) => kind === 'work'),
        {
          kind: 'work',
          laneId: LANE,
          partition: PARTITION,
          executionKind: 'kind',
          priority: 0,
          requiredCapabilities: [],
        },
      );
      await create(engine, { delayUntil: engine.now() + 1_000 });
      await until('timer');
      stop();
    },
  },
  {
    name: 'a wake names the needs of its work, and is sent only for work that still waits at the end of the step',
    async run(engine) {
      const wakes: Wake[] = [];
      const stop = await engine.backend.onWake([LANE, 'taken'], (wake) => {
        if (isStored(wake)) wakes.push(wake);
      });
      const creationOf = (laneId: string) => ({
        name: 'createExecution' as const,
        args: {
          executionId: engine.executionId(),
          namespace: 'conformance',
          laneId,
          executionKind: 'kind',
          creatorIdentity: 'suite',
        },
      });
      await engine.backend.execute([
        creationOf('taken'),
        {
          name: 'claimForWorker',
          args: {
            partition: PARTITION,
            laneId: 'taken',
            workerId: 'worker',
            workerInstanceId: 'worker-1',
            claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
          },
        },
      ]);
      await create(engine, { policy: { routingRequirements: { requiredCapabilities: ['gpu', 'eu'] } } });
      await soon(() => wakes.some(({ kind }) => kind === 'work'), 'no wake');
      assert.deepEqual(
        wakes.filter(({ kind }) => kind === 'work'),
        [
          {
            kind: 'work',
            laneId: LANE,
            partition: PARTITION,
            executionKind: 'kind',
            priority: 0,
            requiredCapabilities: ['eu', 'gpu'],
          },
        ],
      );
      stop();
    },
  },
  {
    name: 'the clock of the store is the clock of the engine',
    async run(engine) {
      assert.equal(await engine.backend.serverTime(), engine.now());
      await engine.backend.ping();
    },
  },
  {
    name: 'shutdownPrepare answers calls in flight, ends listeners and refuses further calls',
    async run(engine) {
      const { backend } = engine;
      await refused(backend.shutdownPrepare({ graceMs: -1 }), 'invalid_input');
      const woken: string[] = [];
      const note = ({ kind }: { readonly kind: string }): void => void woken.push(kind);
      const stop = [
        await backend.onWake([LANE], note),
        await backend.onAnnouncement('ended', note),
        await backend.onFrames(engine.executionId(), note),
      ];
      const creations = Array.from({ length: 50 }, () => create(engine, { laneId: 'other' }));
      const page = backend.listExecutions({ partition: PARTITION });
      assert.deepEqual(await backend.shutdownPrepare({ graceMs: 10_000 }), { unanswered: 0 });
      assert.equal(new Set(await Promise.all(creations)).size, 50);
      await page;
      await soon(() => woken.filter((kind) => kind === 'resync').length === 3, 'listeners were not called');
      for (const leave of stop) leave();
      const calls: Record<string, () => Promise<unknown>> = {
        operation: () => backend.promoteDelayed({ executionId: engine.executionId() }),
        read: () => backend.listExecutions({ partition: PARTITION }),
        batch: () => backend.execute([{ name: 'promoteDelayed', args: { executionId: engine.executionId() } }]),
        lanes: () => backend.listLanes(),
        settings: () => backend.configureDeployment({ retentionMs: 3_600_000 }),
        verification: () => backend.verifyPartition({ partition: PARTITION }),
        ping: () => backend.ping(),
        time: () => backend.serverTime(),
        wakes: () => backend.onWake([LANE], note),
        announcements: () => backend.onAnnouncement('ended', note),
        frames: () => backend.onFrames(engine.executionId(), note),
      };
      for (const call of Object.values(calls)) await refused(call(), 'backend_closed');
      assert.deepEqual(await backend.shutdownPrepare(), { unanswered: 0 });
      await backend.close();
      assert.deepEqual(await backend.shutdownPrepare(), { unanswered: 0 });
    },
  },
  {
    name: 'a closed backend refuses calls as closed',
    async run(engine) {
      await engine.backend.close();
      await engine.backend.close();
      await refused(engine.backend.listPartitionLanes({ partition: PARTITION }), 'backend_closed');
      await refused(engine.backend.promoteDelayed({ executionId: engine.executionId() }), 'backend_closed');
      await refused(engine.backend.ping(), 'backend_closed');
    },
  },
];
