/** Subscriptions on both backends: from where they begin, what they deliver, and how they end. */
import { Valkey } from 'iovalkey';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { Subscriptions } from '../../src/engine/index.js';
import { app, EngineError, memory, type TaskContext } from '../../src/index.js';
import { decodePositions, encodePositions } from '../../src/subscribing/positions.js';
import { valkey } from '../../src/valkey/index.js';
import { rejectionOf, until } from '../app/support.js';
import { leakCheck } from '../support/leaks.js';
import { sharedValkey } from '../support/valkey/index.js';
import { answered, cancel, feedsOn, passing, take } from './support.js';

const places = (deliveries: readonly { partition: number; sequence: number }[]): string[] =>
  deliveries.map(({ partition, sequence }) => `${partition}:${sequence}`);

describe.each(['memory', 'valkey'] as const)('on %s', (label) => {
  it('delivers new events of all partitions, in the order of each', async () => {
    const { feeds, create, engine } = await feedsOn(label);
    await create(0);
    const subscription = await feeds.events();
    const ids = [await create(0), await create(2), await create(0)];
    await cancel(engine, ids[1] as string);
    const deliveries = await take(subscription, 4);
    expect(places(deliveries.filter(({ partition }) => partition === 0))).toEqual(['0:2', '0:3']);
    expect(places(deliveries.filter(({ partition }) => partition === 2))).toEqual(['2:1', '2:2']);
    expect(deliveries.map(({ event }) => event.type).sort()).toEqual([
      'execution_cancelled',
      ...Array.from({ length: 3 }, () => 'execution_created'),
    ]);
    // One that waits is woken.
    const waiting = take(subscription, 1);
    await create(1);
    expect(places(await waiting)).toEqual(['1:1']);
    await subscription.close();
  });

  it('ends with its backend at once, also while its reader waits', async () => {
    const { feeds, engine, calls } = await feedsOn(label);
    const subscription = await feeds.events();
    const waiting = rejectionOf(subscription.next());
    await until(() => calls.get('watchLog') === 3);
    await engine.backend.ping(); // by its answer, the watches are answered too
    await engine.backend.close();
    expect(await waiting).toMatchObject({ code: 'backend_closed' });
  });

  it('sets no timer any more when its backend is closed and nobody ends it', async () => {
    const { feeds, engine, create, clock } = await feedsOn(label);
    await create(0);
    const subscription = await feeds.events({ from: 'earliest' });
    expect((await subscription.next()).done).toBe(false);
    await engine.backend.close();
    await clock.advance(60_000);
    const { activity } = clock;
    await clock.advance(60_000);
    // The move itself.
    expect(clock.activity).toBe(activity + 1);
  });

  it('delivers signals with their effects, filtered by their executions', async () => {
    const { feeds, engine, create } = await feedsOn(label);
    const { backend } = engine;
    const signals = await feeds.signals({ effects: ['satisfied', 'no_op'] });
    const elsewhere = await feeds.signals({ lane: 'another' });
    const executionId = await create(1);
    const lane = (await backend.describeExecution({ executionId }))?.laneId ?? '';
    const claimed = await backend.claimForWorker({
      ...{ partition: '{fp:1}', laneId: lane, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 5_000 },
      claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
    });
    const [owner] = claimed.kind === 'claimed' ? claimed.executions : [];
    const waitpointId = engine.uuid();
    await backend.suspendExecution({
      ...{ executionId, fence: owner, suspensionId: engine.uuid() },
      waitpoints: [{ waitpointId, waitpointKey: 'k' }],
      resumeCondition: { type: 'single', waitpointKey: 'k', matcher: { type: 'by_name', name: 'go' } },
    });
    for (const signalName of ['no', 'go'])
      await backend.deliverApprovalSignal({
        ...{ executionId, waitpointId, signalId: engine.uuid(), signalName, idempotencySuffix: signalName },
        decidedBy: 'ann',
      });
    const told = await take(signals, 2);
    expect(told.map(({ event }) => event)).toMatchObject([
      { executionId, waitpointId, signalName: 'no', effect: 'no_op', lane, sourceIdentity: 'ann' },
      { executionId, signalName: 'go', effect: 'satisfied', category: 'approval', payloadBytes: 0 },
    ]);
    await expect(feeds.signals({ tag: 'a.b' } as never)).rejects.toThrow('invalid_input');
    await expect(feeds.signals({ effects: ['deduped' as never] })).rejects.toThrow('invalid_input');
    await signals.close();
    await elsewhere.close();
  });

  it('continues after any delivery, and after skipped events', async () => {
    const { feeds, create } = await feedsOn(label);
    for (let i = 0; i < 9; i++) await create(i % 3);
    const all = await take(await feeds.events({ from: 'earliest' }), 9);
    expect(new Set(places(all)).size).toBe(9);
    for (const [index, { cursor }] of all.entries()) {
      const rest = await feeds.events({ from: cursor });
      expect(places(await take(rest, 8 - index)).sort()).toEqual(places(all.slice(index + 1)).sort());
      await rest.close();
    }
    const nothing = await feeds.events({ from: 'earliest', types: ['execution_purged'] });
    const before = nothing.cursor;
    const waiting = nothing.next();
    await expect.poll(() => nothing.cursor === before).toBe(false);
    await expect.poll(() => nothing.cursor).toBe(all.at(-1)?.cursor);
    await nothing.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('fifty subscribers share one read and one mark', async () => {
    const { feeds, create, calls } = await feedsOn(label, { partitions: { count: 1 } });
    const subscriptions = await Promise.all(Array.from({ length: 50 }, () => feeds.events()));
    const waiting = Promise.all(subscriptions.map((subscription) => take(subscription, 1)));
    await expect.poll(() => calls.get('watchLog')).toBe(1);
    calls.clear();
    await create();
    for (const deliveries of await waiting) expect(places(deliveries)).toEqual(['0:1']);
    expect(calls.get('readLog')).toBeLessThanOrEqual(2);
    expect(calls.get('onAnnouncement')).toBeUndefined();
    for (const subscription of subscriptions) await subscription.close();
  });

  it('a consumer that stops delays no other, and holds one page', async () => {
    const { feeds, create, calls, engine } = await feedsOn(label, { partitions: { count: 1 } });
    const [slow, fast] = [await feeds.events(), await feeds.events()];
    await create();
    expect(places(await take(slow, 1))).toEqual(['0:1']);
    calls.clear();
    for (let batch = 0; batch < 10; batch++)
      await engine.backend.execute(
        Array.from({ length: 100 }, () => ({
          name: 'createExecution' as const,
          args: {
            ...{ executionId: engine.executionId(0), namespace: 'n', laneId: 'lane', executionKind: 'kind' },
            creatorIdentity: 'test',
          },
        })),
      );
    expect((await take(fast, 1_001)).at(-1)?.sequence).toBe(1_001);
    // Of its own accord, the slow one read nothing; what it asks for now, it gets whole.
    const rest = await take(slow, 1_000);
    expect(rest.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 2));
    await Promise.all([slow.close(), fast.close()]);
  });

  it('reports lost events, and the position where it can continue', async () => {
    const { feeds, create } = await feedsOn(label, { logMaxEntries: 10, partitions: { count: 2 } });
    const subscription = await feeds.events();
    for (let i = 0; i < 300; i++) await create(1);
    const refused = (await take(subscription, 1).catch((error: unknown) => error)) as EngineError;
    expect(refused).toMatchObject({ code: 'cursor_too_old', detail: { partition: '{fp:1}' } });
    // An error is told once.
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    const again = await feeds.events({ from: refused.detail['earliest'] as string });
    const [first] = await take(again, 1);
    expect(first?.sequence).toBeGreaterThan(100);
    const fromEarliest = await feeds.events({ from: 'earliest' });
    expect(places(await take(fromEarliest, 1))).toEqual([`1:${first?.sequence}`]);
    await again.close();
    await fromEarliest.close();
  });

  it('finds events whose announcements were lost by a read every 5 s', async () => {
    const { feeds, create, clock, calls, engine } = await feedsOn(label, {}, () => ({
      onAnnouncement: () => Promise.reject(new EngineError('transport_failed', 'no channel')),
    }));
    const subscription = await feeds.events();
    let heard = 0;
    const waiting = take(subscription, 1).then(() => (heard += 1));
    await expect.poll(() => calls.get('watchLog')).toBe(3);
    await answered(engine);
    await create();
    await answered(engine);
    expect(heard).toBe(0);
    await clock.advance(5_000);
    await waiting;
    expect(heard).toBe(1);
    await subscription.close();
  });

  it('waits while the store is unreachable, reports that, and misses no event', async () => {
    const state = { away: false };
    const it = await feedsOn(label, {}, (inner) => ({
      readLog: (async (args) => {
        if (state.away) throw new EngineError('call_timeout', 'no answer');
        return inner.readLog(args);
      }) as Backend['readLog'],
    }));
    const { feeds, create, clock, engine } = it;
    const said: string[] = [];
    const subscription = await feeds.events({ onStateChange: (now) => said.push(now) });
    const waiting = take(subscription, 3);
    await answered(engine);
    state.away = true;
    for (let partition = 0; partition < 3; partition++) await create(partition);
    await expect.poll(() => said).toEqual(['interrupted']);
    await clock.advance(20_000);
    state.away = false;
    expect(places(await passing(it, waiting)).sort()).toEqual(['0:1', '1:1', '2:1']);
    expect(said).toEqual(['interrupted', 'live']);
    await subscription.close();
  });

  it('ends by return, by close, by its signal and by leaving the loop, and leaves nothing behind', async () => {
    const admin = label === 'valkey' ? new Valkey((await sharedValkey()).url) : undefined;
    const { feeds, create, clock, engine } = await feedsOn(label, { prefix: 'leaks:' });
    await create();
    await engine.backend.readLog({ partition: '{fp:0}' });
    // The connection for announcements is made once, and stays as long as the backend.
    await (await feeds.events()).close();
    const leaks = await leakCheck({ ...(admin && { admin }), prefix: 'leaks:' });
    const controller = new AbortController();
    const aborted = await feeds.events({ signal: controller.signal });
    const waiting = aborted.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(await aborted.next()).toEqual({ done: true, value: undefined });
    await expect(feeds.events({ signal: controller.signal })).rejects.toThrow('enough');
    for await (const { sequence } of await feeds.events({ from: 'earliest' })) {
      expect(sequence).toBe(1);
      break;
    }
    const closed = await feeds.events();
    const last = closed.next();
    await closed.close();
    expect(await last).toEqual({ done: true, value: undefined });
    expect(await leaks.left()).toEqual([]);
    const before = clock.now();
    await clock.advance(60_000);
    expect(clock.now() - before).toBe(60_000);
    admin?.disconnect();
  });

  it('reads only every 5 s while there are no new events', async () => {
    const { feeds, calls, clock, engine } = await feedsOn(label, { partitions: { count: 4 } });
    const subscriptions = await Promise.all(Array.from({ length: 5 }, () => feeds.events()));
    const waiting = subscriptions.map((subscription) => subscription.next());
    await expect.poll(() => calls.get('watchLog')).toBe(4);
    calls.clear();
    await answered(engine);
    for (let looks = 1; looks <= 12; looks++) {
      await clock.advance(5_000);
      await expect.poll(() => calls.get('watchLog')).toBe(4 * looks);
      await answered(engine);
    }
    expect(Object.fromEntries(calls)).toEqual({ watchLog: 48 });
    for (const subscription of subscriptions) await subscription.close();
    await Promise.all(waiting);
  });
});

describe('an emptied server', () => {
  it('is reported to subscribers that had read its logs', async () => {
    const it = await feedsOn('valkey');
    const { feeds, create, engine } = it;
    const subscription = await feeds.events();
    await create(1);
    await take(subscription, 1);
    const lost = expect(subscription.next()).rejects.toMatchObject({
      code: 'cursor_lost',
      detail: { partition: '{fp:1}' },
    });
    await engine.clear();
    // It announces nothing: the look every 5 s finds it.
    await passing(it, lost);
    const again = await feeds.events({ from: 'earliest' });
    await create(1);
    expect(places(await take(again, 1))).toEqual(['1:1']);
    await again.close();
  });
});

describe('connections', () => {
  it('are the two of the backend for any number of subscriptions and groups, and one without', async () => {
    const url = new URL((await sharedValkey()).url);
    const admin = new Valkey(url.href);
    // A user of its own tells its connections from those of other tests.
    const user = `feeds-${process.pid}`;
    await admin.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all');
    Object.assign(url, { username: user, password: 'secret' });
    const backend = await valkey({ url: url.href, prefix: `${user}:`, partitions: { count: 3 } });
    const connections = async (): Promise<number> =>
      String(await admin.call('CLIENT', 'LIST')).split(`user=${user} `).length - 1;
    try {
      const feeds = new Subscriptions(backend);
      await backend.readLog({ partition: '{fp:0}' });
      expect(await connections()).toBe(1);
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, n) => [feeds.events(), feeds.completions({ group: `g${n}` })]).flat(),
      );
      expect(await connections()).toBe(2);
      await Promise.all(all.map((subscription) => subscription.close()));
    } finally {
      await backend.close();
      await admin.call('ACL', 'DELUSER', user);
      admin.disconnect();
    }
  });
});

describe('views', () => {
  it('completions carry the facts that identify their executions, and are filtered by them', async () => {
    const { feeds, create, engine } = await feedsOn('memory');
    const all = await feeds.completions();
    const some = await feeds.completions({ namespace: 'n', lane: 'other', kind: 'kind', outcomes: ['cancelled'] });
    const [first, second] = [await create(0), await create(1, { laneId: 'other' })];
    const claim = await engine.backend.claimForWorker({
      partition: '{fp:0}',
      ...{ laneId: 'lane', workerId: 'w', workerInstanceId: 'i' },
      claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
    });
    const { leaseId, leaseEpoch, attemptId } = (claim.kind === 'claimed' && claim.executions[0]) as never;
    const resultPayload = Buffer.from('12');
    await engine.backend.completeExecution({
      ...{ executionId: first, fence: { leaseId, leaseEpoch, attemptId } },
      ...{ resultPayload, resultEncoding: 'json' },
    });
    await cancel(engine, second);
    const ends = (await take(all, 2)).map(({ event }) => event);
    expect(ends).toEqual([
      {
        ...{ executionId: first, outcome: 'success', at: engine.now(), namespace: 'n', lane: 'lane', kind: 'kind' },
        ...{ reason: undefined, category: undefined, cancelledBy: undefined, resultBytes: 2, resultEncoding: 'json' },
      },
      {
        ...{ executionId: second, outcome: 'cancelled', at: engine.now(), namespace: 'n', lane: 'other', kind: 'kind' },
        ...{
          reason: 'r',
          category: undefined,
          cancelledBy: 'operator_override',
          resultBytes: undefined,
          resultEncoding: undefined,
        },
      },
    ]);
    expect((await take(some, 1)).map(({ event }) => event.executionId)).toEqual([second]);
    await Promise.all([all.close(), some.close()]);
  });

  it('lanes have the names of tasks, also those with escaped ids', async () => {
    const a = app({ backend: memory() });
    const mail = a.task('mail:send', ({ waitFor }: TaskContext<void>) => waitFor('go'));
    const odd = a.task('mail%3Asend', () => undefined);
    await a.worker({ slots: 2 });
    const feeds = new Subscriptions(await a.backend());
    const ends = await feeds.completions({ lane: 'mail:send' });
    // The name of one lane is the id of the other.
    const oddEnds = await feeds.completions({ lane: odd.lane });
    const [signals, tags] = [await feeds.signals({ lane: 'mail:send' }), await feeds.tags({ lane: mail.lane })];
    const listened: string[] = [];
    await a.on('completed', ({ lane }) => void listened.push(lane));
    const run = mail.run(undefined, { tags: { 'a.b': 'c' } });
    await run.signal('go');
    await run.result();
    await odd.run(undefined, { tags: { 'a.b': 'odd' } }).result();
    expect((await take(ends, 1)).map(({ event }) => [event.kind, event.lane])).toEqual([['mail:send', 'mail:send']]);
    expect((await take(oddEnds, 1)).map(({ event }) => event.lane)).toEqual(['mail%3Asend']);
    expect((await take(signals, 1)).map(({ event }) => event.lane)).toEqual(['mail:send']);
    expect((await take(tags, 1)).map(({ event }) => event.tags)).toEqual([{ 'a.b': 'c' }]);
    await until(() => listened.length === 2);
    expect(listened.sort()).toEqual(['mail%3Asend', 'mail:send']);
    await Promise.all([ends.close(), oddEnds.close(), signals.close(), tags.close()]);
    await a.close();
  });

  it.each(['memory', 'valkey'] as const)('ends are filtered by tags that are indexed, on %s', async (label) => {
    const { feeds, create, engine } = await feedsOn(label, { indexedTags: ['a.team', 'a.size'] });
    const long = 'x'.repeat(900);
    const core = await feeds.completions({ tag: { 'a.team': 'core' } });
    const both = await feeds.completions({ tag: { 'a.team': 'edge', 'a.size': long } });
    const ids = [
      await create(0, { tags: { 'a.team': 'core', 'a.name': 'ann' } }),
      await create(0, { tags: { 'a.team': 'edge' } }),
      await create(1, { tags: { 'a.size': long } }),
      await create(0),
    ];
    await engine.backend.setExecutionTags({ executionId: ids[2] as string, tags: { 'a.team': 'edge' } });
    for (const id of ids) await cancel(engine, id);
    expect((await take(core, 1)).map(({ event }) => event.executionId)).toEqual([ids[0]]);
    expect((await take(both, 1)).map(({ event }) => event.executionId)).toEqual([ids[2]]);
    const { events } = await engine.backend.readLog({ partition: '{fp:0}' });
    const ends = events.flatMap(({ event }) => (event.type === 'execution_cancelled' ? [event.filterTags] : []));
    expect(ends).toEqual([{ 'a.team': 'core' }, { 'a.team': 'edge' }, {}]);
    const refused = { code: 'invalid_input', detail: { field: 'tag' } };
    await expect(feeds.completions({ tag: { 'a.name': 'ann' } })).rejects.toMatchObject(refused);
    await expect(feeds.signals({ tag: 'a.team' as never })).rejects.toMatchObject(refused);
    await Promise.all([core.close(), both.close()]);
  });

  it('events of a flow are those of its members too, whenever they joined', async () => {
    const { feeds, create, engine } = await feedsOn('memory');
    const flowId = engine.executionId(1);
    const [first, second] = [await create(1), await create(1)];
    await engine.backend.createFlow({ flowId, flowKind: 'k', namespace: 'n', building: true });
    await engine.backend.addExecutionToFlow({ flowId, executionId: first });
    const feed = await feeds.events({ flowId });
    const ends = await feeds.events({ flowId, types: ['execution_cancelled'] });
    const other = await create(1);
    expect((await engine.backend.describeExecution({ executionId: first }))?.flowId).toBe(flowId);
    expect((await engine.backend.readExecutionInfo({ executionId: other }))?.flowId).toBeUndefined();
    await engine.backend.addExecutionToFlow({ flowId, executionId: second });
    for (const id of [other, first, second]) await cancel(engine, id);
    expect((await take(ends, 2)).map(({ event }) => event.type === 'execution_cancelled' && event.executionId)).toEqual(
      [first, second],
    );
    const heard = (await take(feed, 3)).map(({ event }) => event);
    expect(heard.some((event) => 'executionId' in event && event.executionId === other)).toBe(false);
    await expect(feeds.events({ flowId, executionId: other })).rejects.toThrow('invalid_input');
    await Promise.all([feed.close(), ends.close()]);
  });

  it('the lease history covers all partitions, or one execution', async () => {
    const { feeds, create, engine } = await feedsOn('memory');
    const all = await feeds.leaseHistory();
    const released = await feeds.leaseHistory({ types: ['released'] });
    const ids = [await create(0), await create(1)];
    for (const [index, executionId] of ids.entries()) {
      await engine.backend.claimForWorker({
        partition: `{fp:${index}}`,
        ...{ laneId: 'lane', workerId: 'w', workerInstanceId: 'i' },
        claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
      });
      await cancel(engine, executionId);
    }
    const types = (await take(all, 4)).map(({ event }) => `${event.executionId} ${event.type}`);
    expect(types.sort()).toEqual(ids.flatMap((id) => [`${id} acquired`, `${id} released`]));
    expect((await take(released, 2)).map(({ event }) => event.type)).toEqual(['released', 'released']);
    const one = await feeds.leaseHistory({ executionId: ids[1], from: 'earliest' });
    expect((await take(one, 2)).map(({ event }) => event.executionId)).toEqual([ids[1], ids[1]]);
    await Promise.all([all.close(), released.close(), one.close()]);
  });

  it('changes of tags name the execution and its new tags', async () => {
    const { feeds, create, engine } = await feedsOn('memory');
    const [all, teams] = [
      await feeds.tags(),
      await feeds.tags({ tag: 'a.team', namespace: 'n', lane: 'lane', kind: 'kind' }),
    ];
    const none = await feeds.tags({ lane: 'other', from: 'earliest' });
    await create(0);
    const first = await create(0, { tags: { 'a.size': 'xl' } });
    const second = await create(0, { tags: { 'a.team': 'core' } });
    await engine.backend.setExecutionTags({ executionId: first, tags: { 'a.team': 'edge' } });
    expect((await take(all, 3)).map(({ event }) => [event.executionId, event.tags])).toEqual([
      [first, { 'a.size': 'xl' }],
      [second, { 'a.team': 'core' }],
      [first, { 'a.team': 'edge' }],
    ]);
    expect((await take(teams, 2)).map(({ event }) => event.executionId)).toEqual([second, first]);
    const inOther = await create(0, { laneId: 'other', tags: { 'a.size': 's' } });
    expect((await take(none, 1)).map(({ event }) => event.executionId)).toEqual([inOther]);
    await Promise.all([all.close(), teams.close(), none.close()]);
  });
});

describe('a subscription from the beginning', () => {
  it('has one page in flight, however many partitions have long logs', async () => {
    let [inFlight, most, pages] = [0, 0, 0];
    const { feeds, engine, create } = await feedsOn('memory', { partitions: { count: 16 } }, (inner) => ({
      async readLog(args) {
        // A look at the oldest entry is no page.
        if (args.limit === 1) return inner.readLog(args);
        pages += 1;
        most = Math.max(most, ++inFlight);
        await new Promise((resolve) => setImmediate(resolve));
        inFlight -= 1;
        return inner.readLog(args);
      },
    }));
    for (let partition = 0; partition < 16; partition++)
      for (let n = 0; n < 20; n++) await cancel(engine, await create(partition));
    const subscription = await feeds.events({ from: 'earliest' });
    expect(await take(subscription, 16 * 40)).toHaveLength(16 * 40);
    expect([pages, most]).toEqual([16, 1]);
    await subscription.close();
  });
});

describe('the options of a subscription', () => {
  it.each<[string, object]>([
    ['types', { types: ['execution_exploded'] }],
    ['types', { types: [] }],
    ['types', { types: [undefined] }],
    ['executionId', { executionId: 'x' }],
    ['executionId', { executionId: '{fp:9}:00000000-0000-4000-8000-000000000001' }],
    ['lane', { lane: 'a' }],
    ['group', { group: 'a:b' }],
    ['group', { group: '' }],
    ['group', { group: 7 }],
    ['from', { from: 'yesterday' }],
    ['from', { from: 'AQAC' }],
    ['from', { from: 7 }],
    ['from', { from: encodePositions(0, ['g.1.1']) }],
    ['from', { from: encodePositions(1, ['g.1.1', 'g.1.1', 'g.1.1']) }],
  ])('are refused if invalid: %s %j', async (field, options) => {
    const { feeds } = await feedsOn('memory');
    await expect(feeds.events(options as Parameters<typeof feeds.events>[0])).rejects.toMatchObject({
      code: 'invalid_input',
      detail: { field },
    });
  });

  it('an invalid group is refused wherever it is named', async () => {
    const { feeds } = await feedsOn('memory');
    const refusal = {
      code: 'invalid_input',
      message: expect.stringMatching(/^invalid_input: group: the name must be .*, not "a:b"\.$/),
    };
    await expect(feeds.snapshot({ group: 'a:b' })).rejects.toMatchObject(refusal);
    await expect(feeds.forget('a:b')).rejects.toMatchObject(refusal);
  });

  it('a cursor over 256 partitions has at most 4 KiB, however long their logs are', () => {
    const cursors = Array.from(
      { length: 256 },
      (_, i) => `${(1.8e12 + i * 1e9).toString(36)}.${2 ** 42 - 1 - i}.${1.9e12 + i}`,
    );
    expect(Buffer.byteLength(encodePositions(0, cursors))).toBeLessThanOrEqual(4_096);
  });

  it('reads back every position that it wrote', () => {
    const cursors = [
      ...['.0.0', '~.1.0', '~.7.5', '~1.127.1', '~2.128.255'],
      ...['~zz.16383.256', '~1ekf.16384.16777215', `~1.${Number.MAX_SAFE_INTEGER}.3`],
    ];
    expect(decodePositions(encodePositions(3, cursors), 3, cursors.length)).toEqual(cursors);
  });
});
