/** Tails of one process: what they share, and what they do when notices do not come. */
import { Valkey } from 'iovalkey';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError, memory, type Backend } from '../../src/index.js';
import { tailStream } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { ExecutionTails } from '../../src/streaming/execution-tails.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { until } from '../app/support.js';

let server: ValkeyServer;
beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server?.stop());

const uuid = (n: number): string => `00000000-0000-4000-a000-${n.toString(16).padStart(12, '0')}`;
const EXECUTION = `{fp:0}:${uuid(1)}`;

/** The owner of the attempt of a new execution. */
async function owned(backend: Backend) {
  const names = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
  await backend.createExecution({ executionId: EXECUTION, ...names });
  const fence = { leaseId: uuid(2), leaseEpoch: 1, attemptId: uuid(3) };
  const claims = [{ leaseId: fence.leaseId, attemptId: fence.attemptId }];
  const worker = { workerId: 'w', workerInstanceId: 'w1', leaseTtlMs: 60_000 };
  await backend.claimForWorker({ partition: '{fp:0}', laneId: 'lane', ...worker, claims });
  return { executionId: EXECUTION, attemptIndex: 0, fence };
}

const frame = (n: number) => ({ payload: new TextEncoder().encode(String(n)) });

/** Follows the stream to its end, and answers the texts. */
async function followed(backend: Backend): Promise<string[]> {
  const texts: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await tailStream(backend, { executionId: EXECUTION, attemptIndex: 0, after, blockMs: 30_000 });
    for (const { payload } of page.frames) texts.push(new TextDecoder().decode(payload));
    after = page.nextCursor;
    if (page.isClosed && !page.hasMore) return texts;
  }
}

/** A backend that counts who listens for frames. */
function countingSubscriptions(backend: Backend) {
  const subscriptions = { joined: 0, standing: 0 };
  const counted: Backend = Object.assign(Object.create(backend) as Backend, {
    onFrames: async (...args: Parameters<Backend['onFrames']>) => {
      subscriptions.joined++;
      subscriptions.standing++;
      const leave = await backend.onFrames(...args);
      return () => {
        subscriptions.standing--;
        leave();
      };
    },
  });
  return { counted, subscriptions };
}

describe('tails', () => {
  it('of one stream share one subscription, however long they wait, and leave none behind', async () => {
    const clock = new VirtualClock(0);
    const backend = memory();
    await owned(backend);
    const { counted, subscriptions } = countingSubscriptions(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    // Who does not wait needs no notice.
    expect((await tailStream(counted, { ...place, blockMs: 0 }, clock)).frames).toEqual([]);
    expect(subscriptions).toEqual({ joined: 0, standing: 0 });
    const waiting = tailStream(counted, { ...place, blockMs: 30_000 }, clock);
    await clock.advance(25_000);
    expect(subscriptions).toEqual({ joined: 1, standing: 1 });
    await clock.advance(10_000);
    expect((await waiting).frames).toEqual([]);
    expect(subscriptions).toEqual({ joined: 1, standing: 0 });
    // Nor what the process knows of its readers.
    expect(queryObjects(ExecutionTails, { format: 'count' })).toBe(0);
  });

  it('two hundred of one stream use the two connections of the backend, and share their reads', async () => {
    const writer = await valkey({ url: server.url, partitions: { count: 1 } });
    const reader = await valkey({ url: server.url });
    const admin = new Valkey(server.url);
    try {
      const owner = await owned(writer);
      const clients = async () =>
        String(await admin.call('CLIENT', 'LIST'))
          .trim()
          .split('\n').length;
      let reads = 0;
      const { readStream } = reader;
      reader.readStream = (args) => {
        reads++;
        return readStream(args);
      };
      const before = await clients();
      const all = Array.from({ length: 200 }, () => followed(reader));
      const channels = async () => (await admin.call('PUBSUB', 'CHANNELS', 'ff:frames:*')) as string[];
      await until(async () => (await channels()).length === 1);
      await sleep(50);
      // The connection for notices is made with the first tail; the one for calls was there.
      expect((await clients()) - before).toBe(1);
      reads = 0;
      for (let n = 0; n < 10; n++) {
        await writer.appendFrame({ ...owner, ...frame(n) });
        await sleep(5);
      }
      await writer.completeExecution(owner);
      for (const texts of await Promise.all(all))
        expect(texts).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
      // One for a frame, or two where the readers did not come back together.
      expect(reads).toBeLessThan(60);
    } finally {
      admin.disconnect();
      await writer.close();
      await reader.close();
    }
  });

  it('return all frames when notices are lost or refused, and when calls fail for a while', async () => {
    const backend = memory();
    const owner = await owned(backend);
    const failing = { reads: 2 };
    const deaf: Backend = Object.assign(Object.create(backend) as Backend, {
      onFrames: () => Promise.reject(new EngineError('server_refused', 'no rights')),
      watchStream: () => Promise.reject(new EngineError('server_refused', 'no rights')),
      readStream: (args: Parameters<Backend['readStream']>[0]) =>
        failing.reads-- > 0 ? Promise.reject(new EngineError('transport_failed', 'gone')) : backend.readStream(args),
    });
    const texts = followed(deaf);
    for (let n = 0; n < 3; n++) {
      await backend.appendFrame({ ...owner, ...frame(n) });
      await sleep(20);
    }
    await backend.completeExecution(owner);
    expect(await texts).toEqual(['0', '1', '2']);
  });

  it('retry at least once a second while the store is unreachable', async () => {
    const clock = new VirtualClock(0);
    const backend = memory();
    await owned(backend);
    let reads = 0;
    const gone: Backend = Object.assign(Object.create(backend) as Backend, {
      readStream: () => {
        reads++;
        return Promise.reject(new EngineError('transport_failed', 'gone'));
      },
    });
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    const waiting = tailStream(gone, { ...place, blockMs: 30_000 }, clock).catch((error: EngineError) => error.code);
    await clock.advance(30_001);
    expect(await waiting).toBe('transport_failed');
    expect(reads).toBeGreaterThan(30);
    expect(reads).toBeLessThan(300);
  });

  it('read again only for a notice and at long intervals while notices arrive, at short ones while they cannot', async () => {
    const backend = memory();
    await owned(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    const refuse = () => Promise.reject(new EngineError('server_refused', 'no rights'));
    const readsOf = async (changes: (clock: VirtualClock) => Partial<Backend>): Promise<number> => {
      const clock = new VirtualClock(0);
      let reads = 0;
      const counting: Backend = Object.assign(Object.create(backend) as Backend, changes(clock), {
        readStream: (args: Parameters<Backend['readStream']>[0]) => {
          reads++;
          return backend.readStream(args);
        },
      });
      const waiting = tailStream(counting, { ...place, blockMs: 25_000 }, clock);
      await clock.advance(25_001);
      expect((await waiting).frames).toEqual([]);
      return reads;
    };
    // The first, the one when notices have begun, and two that renew the watch, which is answered a moment later.
    const later = (clock: VirtualClock): Partial<Backend> => ({
      watchStream: (args) =>
        new Promise<void>((resolve) => clock.after(5, resolve)).then(() => backend.watchStream(args)),
    });
    expect(await readsOf(later)).toBe(4);
    // Every second, after shorter times in the beginning.
    for (const missing of [{ watchStream: refuse }, { onFrames: refuse }])
      expect(await readsOf(() => missing)).toSatisfy((reads: number) => reads >= 25 && reads <= 35);
  });

  it('that have ended leave nothing behind when the answers about notices come later', async () => {
    const backend = memory();
    await owned(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    for (const late of ['onFrames', 'watchStream'] as const) {
      const clock = new VirtualClock(0);
      const answers: (() => void)[] = [];
      let watches = 0;
      let standing = 0;
      const answered = (name: typeof late): Promise<void> =>
        name === late ? new Promise((resolve) => answers.push(resolve)) : Promise.resolve();
      const slow: Backend = Object.assign(Object.create(backend) as Backend, {
        onFrames: async () => {
          await answered('onFrames');
          standing++;
          return () => void standing--;
        },
        watchStream: async () => {
          watches++;
          await answered('watchStream');
        },
      });
      const waiting = tailStream(slow, { ...place, blockMs: 40 }, clock);
      await clock.advance(5_000);
      await waiting;
      const before = watches;
      for (const answer of answers) answer();
      await clock.advance(60_000);
      expect({ late, watches, standing }).toEqual({ late, watches: before, standing: 0 });
    }
  });

  it('at the place of one that ended are served, and those that still wait keep their notices', async () => {
    const clock = new VirtualClock(0);
    const backend = memory();
    const owner = await owned(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    const longest = tailStream(backend, { ...place, blockMs: 9_000 }, clock);
    const other = tailStream(backend, { ...place, limit: 7, blockMs: 1_000 }, clock);
    await clock.advance(4_000);
    expect((await other).frames).toEqual([]);
    const next = tailStream(backend, { ...place, limit: 7, blockMs: 2_000 }, clock);
    await clock.advance(10);
    await backend.appendFrame({ ...owner, ...frame(1) });
    // Long before the next read without a notice.
    await clock.advance(10);
    const now = clock.now();
    for (const tail of [next, longest]) expect((await tail).frames).toHaveLength(1);
    expect(clock.now()).toBe(now);
  });

  it('get what came at once page by page, without waiting for a notice', async () => {
    const clock = new VirtualClock(0);
    const backend = memory();
    const owner = await owned(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0, limit: 1, blockMs: 2_000 };
    const first = tailStream(backend, place, clock);
    await clock.advance(10);
    await Promise.all([1, 2, 3].map((n) => backend.appendFrame({ ...owner, ...frame(n) })));
    let page = await first;
    for (const hasMore of [true, true, false]) {
      expect(page).toMatchObject({ frames: { length: 1 }, hasMore });
      if (hasMore) page = await tailStream(backend, { ...place, after: page.nextCursor }, clock);
    }
  });

  it('have fifty frames unless told otherwise', async () => {
    const backend = memory();
    const owner = await owned(backend);
    await Promise.all(Array.from({ length: 60 }, (_, n) => backend.appendFrame({ ...owner, ...frame(n) })));
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    expect(await tailStream(backend, place)).toMatchObject({ frames: { length: 50 }, hasMore: true });
    expect(await tailStream(backend, { ...place, limit: 60 })).toMatchObject({
      frames: { length: 60 },
      hasMore: false,
    });
  });

  it('end at once when the store refuses what they ask, however long they may wait', async () => {
    const backend = memory();
    await owned(backend);
    const wanted = { executionId: EXECUTION, attemptIndex: 0, limit: 10_001, blockMs: 30_000 };
    await expect(tailStream(backend, wanted, new VirtualClock(0))).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('end at their timeout: without frames, or with the fault of the store', async () => {
    const backend = memory();
    await owned(backend);
    const place = { executionId: EXECUTION, attemptIndex: 0 };
    expect(await tailStream(backend, { ...place, blockMs: 20 })).toMatchObject({ frames: [], nextCursor: '0-0' });
    expect(await tailStream(backend, { ...place, attemptIndex: 3, blockMs: 20 })).toMatchObject({ isClosed: false });
    const gone: Backend = Object.assign(Object.create(backend) as Backend, {
      readStream: () => Promise.reject(new EngineError('transport_failed', 'gone')),
    });
    await expect(tailStream(gone, { ...place, blockMs: 20 })).rejects.toMatchObject({ code: 'transport_failed' });
    await expect(tailStream(backend, { ...place, blockMs: 30_001 })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(tailStream(backend, { ...place, after: 'start' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(tailStream(backend, { ...place, blockMs: 5, limit: 10_001 })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    const signal = AbortSignal.timeout(20);
    await expect(tailStream(backend, { ...place, blockMs: 30_000, signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});
