/** Workers: who lives, and how that is known. */
import { describe, expect, test } from 'vitest';
import type { Event, EventNamed } from '../../model/events.js';
import { fold } from '../../model/evolve.js';
import { partitionIn } from '../../model/families.js';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import { emptyPartition } from '../../model/state.js';
import { viewByDefinition } from '../../model/view.js';
import type { WorkersPage } from '../../model/worker/reads.js';
import { registerWorker } from '../../model/worker/register.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { givenIn, NOW, START } from './dsl.js';

const NAMESPACE = 'n';
const PARTITION = partitionIn('worker', NAMESPACE);
const given = (...events: readonly Event[]): ReturnType<typeof givenIn> => givenIn(PARTITION, ...events);

const registered = (facts: Partial<EventNamed<'worker_registered'>> = {}): Event => ({
  type: 'worker_registered',
  workerInstanceId: 'w-1',
  at: START,
  workerId: 'pool',
  registeredAt: START,
  livenessTtlMs: 30_000,
  lanes: ['mail'],
  capabilities: ['gpu'],
  kinds: undefined,
  slots: undefined,
  ...facts,
});
const register = (more: object = {}) => ({
  namespace: NAMESPACE,
  workerInstanceId: 'w-1',
  workerId: 'pool',
  livenessTtlMs: 30_000,
  lanes: ['mail'],
  ...more,
});
const heartbeat = { namespace: NAMESPACE, workerInstanceId: 'w-1' };
/** The first millisecond in which it counts as dead. */
const DEAD_AT = START + 30_000;

describe('registerWorker', () => {
  test('adds a worker, with its lanes, capabilities and kinds', () => {
    given()
      .when(
        'registerWorker',
        register({ lanes: ['b', 'a', 'b'], capabilities: ['gpu', 'eu'], kinds: ['x,1'], slots: 3 }),
      )
      .answers({ kind: 'registered', expiresAt: NOW + 30_000 })
      .then({
        type: 'worker_registered',
        at: NOW,
        registeredAt: NOW,
        workerId: 'pool',
        livenessTtlMs: 30_000,
        lanes: ['a', 'b'],
        capabilities: ['eu', 'gpu'],
        kinds: ['x,1'],
        slots: 3,
      });
    given()
      .when('registerWorker', register({ livenessTtlMs: undefined }))
      .answers({ kind: 'registered', expiresAt: NOW + DEFAULTS.livenessTtlMs });
  });

  test('again replaces these facts of a live worker, and keeps its age', () => {
    given(registered())
      .when('registerWorker', register({ lanes: ['other'] }))
      .answers({ kind: 'refreshed', expiresAt: NOW + 30_000 })
      .then({ type: 'worker_registered', registeredAt: START, lanes: ['other'], capabilities: [] });
  });

  test('in the millisecond in which it counts as dead adds a new worker', () => {
    given(registered())
      .when('registerWorker', register(), DEAD_AT - 1)
      .answers({ kind: 'refreshed' });
    given(registered())
      .when('registerWorker', register(), DEAD_AT)
      .answers({ kind: 'registered', expiresAt: DEAD_AT + 30_000 })
      .then({ type: 'worker_registered', registeredAt: DEAD_AT });
  });

  test('refuses the name of a live instance to another pool', () => {
    given(registered())
      .when('registerWorker', register({ workerId: 'other' }))
      .refuses('invalid_input', { field: 'workerId', reason: 'instance_id_reassigned' });
    given(registered())
      .when('registerWorker', register({ workerId: 'other' }), DEAD_AT)
      .answers({ kind: 'registered' });
  });

  test('accepts a maximum number of workers per namespace; known ones can register again', () => {
    const partition = emptyPartition();
    const add = (workerInstanceId: string): void => fold(partition.state, registered({ workerInstanceId }));
    for (let i = 1; i < LIMITS.maxWorkers; i++) add(`w-${i}`);
    const decided = (workerInstanceId: string): unknown =>
      registerWorker.decide(
        viewByDefinition(partition),
        parseCommand('registerWorker', register({ workerInstanceId }), 'memory').args as never,
        { now: NOW, settings: { retentionMs: 0 } },
      );
    expect(decided('one-more')).toMatchObject({ ok: true, outcome: { kind: 'registered' } });
    add('one-more');
    expect(decided('two-more')).toMatchObject({
      ok: false,
      code: 'too_many_workers',
      detail: { maxWorkers: String(LIMITS.maxWorkers) },
    });
    expect(decided('w-1')).toMatchObject({ ok: true, outcome: { kind: 'refreshed' } });
  });

  test.each([
    ['no lane', { lanes: [] }],
    ['a lane with a comma', { lanes: ['a,b'] }],
    ['a capability with a comma', { capabilities: ['a,b'] }],
    ['a time to live of nothing', { livenessTtlMs: 0 }],
    ['no kind', { kinds: [] }],
  ])('%s is refused', (_, more) => {
    expect(() => given().when('registerWorker', register(more))).toThrow(/invalid_input|registerWorker/);
  });
});

describe('heartbeatWorker', () => {
  test('keeps a worker alive for its liveness time', () => {
    given(registered())
      .when('heartbeatWorker', { ...heartbeat, running: 2, draining: true })
      .answers({ kind: 'refreshed', expiresAt: NOW + 30_000 })
      .then({ type: 'worker_heard', at: NOW, running: 2, draining: true })
      .when('heartbeatWorker', heartbeat, NOW + 29_999)
      .answers({ kind: 'refreshed', expiresAt: NOW + 59_999 });
  });

  test('does not revive a worker', () => {
    given().when('heartbeatWorker', heartbeat).answers({ kind: 'not_registered' }).nothingHappens();
    given(registered())
      .when('heartbeatWorker', heartbeat, DEAD_AT)
      .answers({ kind: 'not_registered' })
      .nothingHappens();
    given(registered(), { type: 'worker_lapsed', workerInstanceId: 'w-1', at: DEAD_AT })
      .when('heartbeatWorker', heartbeat, DEAD_AT)
      .answers({ kind: 'not_registered' })
      .nothingHappens();
  });
});

describe('markWorkerDead', () => {
  const mark = { ...heartbeat, reason: 'the machine burned', requestedBy: 'ann' };

  test('removes a worker, with reason and caller in the log', () => {
    given(registered())
      .when('markWorkerDead', mark)
      .answers({ kind: 'marked' })
      .then({ type: 'worker_marked_dead', at: NOW, reason: 'the machine burned', requestedBy: 'ann' })
      .when('heartbeatWorker', heartbeat, NOW)
      .answers({ kind: 'not_registered' })
      .when('registerWorker', register(), NOW)
      .answers({ kind: 'registered' });
  });

  test.each([
    ['longer than 256 bytes', 'ä'.repeat(129)],
    ['with a control character', 'burned\ndown'],
  ])('refuses a reason %s (spec 05 section 12)', (_, reason) => {
    expect(() => parseCommand('markWorkerDead', { ...mark, reason }, 'memory')).toThrow('reason');
    expect(parseCommand('markWorkerDead', { ...mark, reason: 'ä'.repeat(128) }, 'memory')).toBeDefined();
  });

  test('accepts a lapsed worker that was not noticed yet, and not an unknown one', () => {
    given(registered()).when('markWorkerDead', mark, DEAD_AT).answers({ kind: 'marked' });
    given().when('markWorkerDead', mark).answers({ kind: 'not_registered' }).nothingHappens();
  });
});

describe('a silent worker', () => {
  test('lapses as due work, at its time and not earlier', () => {
    given(registered())
      .when('applyDue', { partition: PARTITION }, DEAD_AT - 1)
      .answers({ kind: 'applied', others: {}, nextDueAt: DEAD_AT })
      .when('applyDue', { partition: PARTITION }, DEAD_AT)
      .answers({ kind: 'applied', others: { worker: 1 }, nextDueAt: undefined })
      .then({ type: 'worker_lapsed', workerInstanceId: 'w-1', at: DEAD_AT });
  });

  test('lapses later after a heartbeat', () => {
    given(registered(), { type: 'worker_heard', workerInstanceId: 'w-1', at: START + 10, running: 0, draining: false })
      .when('applyDue', { partition: PARTITION }, DEAD_AT)
      .answers({ kind: 'applied', others: {}, nextDueAt: DEAD_AT + 10 });
  });
});

describe('listWorkers', () => {
  const list = (events: readonly Event[], args: object = {}): unknown =>
    (
      given(...events)
        .when('watchLog', { partition: PARTITION, after: '.0.0' })
        .reads('listWorkers', { namespace: NAMESPACE, ...args }, NOW) as { outcome: unknown }
    ).outcome;
  const many = ['b', 'a', 'a-1', 'c'].map((workerInstanceId) => registered({ workerInstanceId }));
  const idsOf = (page: unknown): string[] =>
    (page as WorkersPage).workers.map(({ workerInstanceId }) => workerInstanceId);

  test('shows the facts of live workers', () => {
    expect(list([registered({ kinds: ['k'], slots: 4 })])).toEqual({
      workers: [
        {
          namespace: NAMESPACE,
          workerInstanceId: 'w-1',
          workerId: 'pool',
          lanes: ['mail'],
          capabilities: ['gpu'],
          kinds: ['k'],
          slots: 4,
          running: 0,
          draining: false,
          registeredAt: START,
          lastHeartbeatAt: START,
          livenessTtlMs: DEAD_AT - START,
          expiresAt: DEAD_AT,
        },
      ],
      nextCursor: undefined,
    });
  });

  test('by id, in pages', () => {
    const first = list(many, { limit: 3 });
    expect(idsOf(first)).toEqual(['a', 'a-1', 'b']);
    expect(first).toMatchObject({ nextCursor: 'b' });
    const last = list(many, { limit: 3, cursor: 'b' });
    expect(idsOf(last)).toEqual(['c']);
    expect(last).toMatchObject({ nextCursor: undefined });
    expect(list(many, { limit: 4 })).toMatchObject({ nextCursor: undefined });
  });

  test('leaves out dead workers, noticed or not, and the page continues after them', () => {
    const page = list([registered({ livenessTtlMs: 5_000 }), registered({ workerInstanceId: 'w-2' })], { limit: 1 });
    expect(page).toEqual({ workers: [], nextCursor: 'w-1' });
  });
});
