/** Conformance of streams: frames, the rolling summary, effects of the end of an attempt. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { present } from '../../../model/core/present.js';
import { LIMITS } from '../../../model/limits.js';
import { tailStream, type TailPage } from '../../streaming/tails.js';
import type { TestEngine } from '../engine.js';
import { create, fenceOf, refused, take, type ConformanceScenario } from './steps.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Gives tails time to start waiting. */
const settled = (): Promise<void> => sleep(30);
const textOf = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** A started attempt, and its owner's fence. */
async function begun(engine: TestEngine, facts: Parameters<typeof create>[1] = {}) {
  await create(engine, facts);
  const taken = await take(engine);
  const { executionId, attemptIndex } = taken;
  return { executionId, attemptIndex, owner: { executionId, attemptIndex, fence: fenceOf(taken) } };
}

export const streamScenarios: readonly ConformanceScenario[] = [
  {
    name: 'frames of an attempt are read as they were written, until it ends and afterwards',
    async run(engine) {
      const { backend } = engine;
      const { executionId, attemptIndex, owner } = await begun(engine);
      const binary = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
      const first = await backend.appendFrame({ ...owner, payload: bytes('größe'), frameType: 'stdout', ts: 5 });
      await backend.appendFrame({ ...owner, payload: binary, encoding: 'binary', correlationId: 'c-1' });
      await backend.appendFrame({ ...owner, payload: bytes('soon gone'), bestEffort: { ttlMs: 60_000 } });
      assert.equal(first.frameCount, 1);
      const open = await backend.readStream({ executionId, attemptIndex });
      assert.equal(open.isClosed, false);
      assert.deepEqual(
        open.frames.map(({ mode, frameType, encoding }) => [mode, frameType, encoding]),
        [
          ['durable', 'stdout', 'utf8'],
          ['durable', 'event', 'binary'],
          ['best_effort', 'event', 'utf8'],
        ],
      );
      assert.equal(textOf(present(open.frames[0]).payload), 'größe');
      assert.deepEqual(Uint8Array.from(present(open.frames[1]).payload), binary);
      const page = await backend.readStream({ executionId, attemptIndex, limit: 1, visibility: 'exclude_best_effort' });
      assert.equal(page.nextCursor, first.frameId);
      await backend.completeExecution({ executionId, fence: owner.fence });
      const closed = await backend.readStream({ executionId, attemptIndex });
      assert.deepEqual([closed.isClosed, closed.closedReason], [true, 'attempt_success']);
      await assert.rejects(backend.appendFrame({ ...owner, payload: bytes('late') }), { code: 'stream_closed' });
    },
  },
  {
    name: 'a page of frames has at most a quarter of a MiB in any mode, and the next page begins after it',
    async run(engine) {
      const { backend } = engine;
      const { executionId, attemptIndex, owner } = await begun(engine);
      const payload = new Uint8Array(LIMITS.maxFrameBytes);
      for (let frame = 0; frame < 10; frame++)
        await backend.appendFrame({ ...owner, payload, ...(frame % 2 === 0 ? {} : { bestEffort: { ttlMs: 60_000 } }) });
      const sizes: number[] = [];
      let after: string | undefined;
      do {
        const page = await backend.readStream({ executionId, attemptIndex, ...(after === undefined ? {} : { after }) });
        sizes.push(page.frames.length);
        after = page.nextCursor;
      } while (after !== undefined);
      assert.deepEqual(sizes, [4, 4, 2]);
    },
  },
  {
    name: 'a stream keeps the newest frames of each mode, and refuses bytes above its limit',
    async run(engine) {
      const { backend } = engine;
      const policy = { streamPolicy: { retentionMaxlen: 3, maxBytes: 520 } };
      const { executionId, attemptIndex, owner } = await begun(engine, { policy });
      const stored = () => backend.readStream({ executionId, attemptIndex, limit: 100 });
      for (const letter of 'abcde') await backend.appendFrame({ ...owner, payload: bytes(letter) });
      for (let n = 0; n < 65; n++) await backend.appendFrame({ ...owner, patch: `{"n":${n}}` });
      // Ten patches of seven bytes and 55 of eight: 515 bytes with the letters.
      await refused(backend.appendFrame({ ...owner, patch: '{"n":0' }), 'invalid_input');
      await refused(backend.appendFrame({ ...owner, patch: '{"a":0}' }), 'retention_limit_exceeded');
      await backend.appendFrame({ ...owner, payload: bytes('12345') });
      for (const bestEffort of [undefined, { ttlMs: 60_000 }])
        await refused(
          backend.appendFrame({ ...owner, payload: bytes('6'), ...(bestEffort && { bestEffort }) }),
          'retention_limit_exceeded',
        );
      const { frames, droppedFrames } = await stored();
      const of = (mode: string) => frames.filter((frame) => frame.mode === mode).map(({ payload }) => textOf(payload));
      assert.deepEqual(of('durable'), ['d', 'e', '12345']);
      assert.deepEqual(
        of('summary'),
        Array.from({ length: 64 }, (_, n) => `{"n":${n + 1}}`),
      );
      assert.deepEqual([frames.length, droppedFrames], [67, 4]);
      // Frames without bytes fit.
      assert.equal((await backend.appendFrame({ ...owner, payload: bytes('') })).frameCount, 72);
    },
  },
  {
    name: 'ids of frames increase when the clock steps back: a reader gets every frame, in the order of the appends',
    async run(engine) {
      const { backend } = engine;
      const { executionId, attemptIndex, owner } = await begun(engine);
      const start = engine.now();
      const ids: string[] = [];
      // Frames are no log entries, which would fix the time, so the clock can go back between them.
      for (const [at, bestEffort] of [[0], [500], [300], [300, { ttlMs: 60_000 }], [501]] as const) {
        engine.setTime(start + at);
        const payload = bytes(String(ids.length));
        ids.push((await backend.appendFrame({ ...owner, payload, ...(bestEffort && { bestEffort }) })).frameId);
      }
      assert.deepEqual(ids, [
        `${start}-0`,
        `${start + 500}-0`,
        `${start + 500}-1`,
        `${start + 500}-2`,
        `${start + 501}-0`,
      ]);
      const { frames } = await backend.readStream({ executionId, attemptIndex });
      assert.deepEqual(
        frames.map(({ id, payload }) => [id, textOf(payload)]),
        ids.map((id, n) => [id, String(n)]),
      );
    },
  },
  {
    name: 'a tail waits for frames of its modes, and for the end of the attempt',
    async run(engine) {
      const { backend } = engine;
      const { executionId, attemptIndex, owner } = await begun(engine);
      const place = { executionId, attemptIndex, blockMs: 20_000 };
      const textsOf = ({ frames }: TailPage): string[] => frames.map(({ payload }) => textOf(payload));
      assert.deepEqual(textsOf(await tailStream(backend, { ...place, blockMs: 0 })), []);
      const [first, durable] = [
        tailStream(backend, place),
        tailStream(backend, { ...place, visibility: 'exclude_best_effort' }),
      ];
      await settled();
      await backend.appendFrame({ ...owner, payload: bytes('soon gone'), bestEffort: { ttlMs: 60_000 } });
      const seen = await first;
      assert.deepEqual(textsOf(seen), ['soon gone']);
      const second = tailStream(backend, { ...place, after: seen.nextCursor });
      await backend.appendFrame({ ...owner, payload: bytes('kept') });
      assert.deepEqual(textsOf(await durable), ['kept']);
      const last = await second;
      assert.deepEqual(textsOf(last), ['kept']);
      const end = tailStream(backend, { ...place, after: last.nextCursor });
      await settled();
      await backend.completeExecution({ executionId, fence: owner.fence });
      const { isClosed, closedReason, nextCursor, isEnded } = await end;
      assert.deepEqual([isClosed, closedReason, nextCursor, isEnded], [true, 'attempt_success', last.nextCursor, true]);
      // Closed streams are answered at once; so is a page that another reader left unread.
      assert.deepEqual(textsOf(await tailStream(backend, { ...place, limit: 1 })), ['soon gone']);
    },
  },
  {
    name: 'a frame with the number of the last one is the same append; patches merge into one summary',
    async run(engine) {
      const { backend } = engine;
      const { executionId, attemptIndex, owner } = await begun(engine);
      assert.equal(await backend.readSummary({ executionId, attemptIndex }), undefined);
      const once = await backend.appendFrame({ ...owner, patch: '{"done":1,"left":{"a":1}}', seq: 1 });
      assert.deepEqual(await backend.appendFrame({ ...owner, patch: '{"done":1,"left":{"a":1}}', seq: 1 }), once);
      await backend.appendFrame({ ...owner, patch: bytes('{"left":{"a":null,"é":[1.50,1e20]}}'), seq: 2 });
      const summary = await backend.readSummary({ executionId, attemptIndex });
      assert.equal(summary?.documentJson, '{"done":1,"left":{"é":[1.5,100000000000000000000]}}');
      assert.equal(summary?.version, 2);
      await assert.rejects(backend.appendFrame({ ...owner, patch: '{', seq: 3 }), { code: 'invalid_input' });
    },
  },
];
