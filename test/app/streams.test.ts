/** What runs say while they run: written by handlers, followed by readers, on memory and on a server. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import {
  app,
  backoff,
  memory,
  SET_NULL,
  valkey,
  type App,
  type RunFrame,
  type SummaryPatch,
  type TaskContext,
  type TextFrame,
} from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { harness } from '../worker/harness.js';
import { deferred, rejectionOf } from './support.js';

let server: ValkeyServer;
beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server?.stop());

/** A frame in a word. */
function wordOf(frame: RunFrame): unknown {
  switch (frame.kind) {
    case 'text':
      return frame.text;
    case 'json':
      return frame.value;
    case 'bytes':
      return [...frame.bytes];
    case 'summary':
      return { [`v${frame.version}`]: frame.patch };
    case 'attempt':
      return `attempt ${frame.attempt} after ${frame.previousEnded}`;
  }
}

async function collected(frames: AsyncIterable<RunFrame>): Promise<RunFrame[]> {
  const all: RunFrame[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

describe.each(['memory', 'valkey'] as const)('on %s', (label) => {
  const open = (): App =>
    app({ backend: label === 'memory' ? memory() : valkey({ url: server.url, prefix: `s${performance.now()}:` }) });

  it('readers get text, JSON, bytes and patches in order, while the handler runs and after its end', async () => {
    await using a = open();
    const go = deferred();
    const task = a.task('say', async ({ stream }: TaskContext<null>) => {
      void stream.text('Once upon ');
      void stream.text('a time', { type: 'token', correlationId: 'c-1' });
      await go.promise;
      await stream.json({ n: 1 });
      await stream.write(Uint8Array.of(0, 255));
      await stream.summary({ words: 4, gone: 1, nothing: SET_NULL });
      await stream.summary({ gone: null });
      return 'done';
    });
    await a.worker();
    const run = task.run(null);
    const frames = run.stream()[Symbol.asyncIterator]();
    const first = (await frames.next()).value as RunFrame;
    expect(first).toMatchObject({ kind: 'text', text: 'Once upon ', type: 'text', attempt: 1, bestEffort: false });
    if (first.kind === 'text') expectTypeOf(first).toEqualTypeOf<TextFrame>();
    expect((await frames.next()).value).toMatchObject({ text: 'a time', type: 'token', correlationId: 'c-1' });
    go.resolve();
    const rest = await collected({ [Symbol.asyncIterator]: () => frames });
    const patches = [{ v1: { gone: 1, nothing: '__ff_null__', words: 4 } }, { v2: { gone: null } }];
    expect(rest.map(wordOf)).toEqual([{ n: 1 }, [0, 255], ...patches]);
    expect(await run.summary()).toMatchObject({ document: { words: 4, nothing: null }, version: 2, attempt: 1 });
    // Another reader, later; and one that goes on behind a frame.
    expect((await collected(run.stream())).map(wordOf)).toEqual(['Once upon ', 'a time', ...rest.map(wordOf)]);
    expect((await collected(run.stream({ from: first.cursor }))).map(wordOf)).toEqual(['a time', ...rest.map(wordOf)]);
    expect(await new Response(run.stream().toTextStream()).text()).toBe('Once upon a time');
    const events = await new Response(run.stream().toEventStream()).text();
    expect(events).toContain(`id: ${first.cursor}\nevent: text\ndata: {"attempt":1,`);
  });

  it('a text arrives with the byte order mark that it begins with, also where it was split into frames', async () => {
    await using a = open();
    const text = `\uFEFFid;name\n${'x'.repeat(64 * 1024 - 11)}\uFEFFend`;
    const task = a.task('export', ({ stream }: TaskContext<null>) => stream.text(text));
    await a.worker();
    const run = await task.run(null);
    await run.result();
    const frames = (await collected(run.stream())) as TextFrame[];
    expect(frames.map((frame) => frame.text.length)).toEqual([text.length - 4, 4]);
    expect(frames.map((frame) => frame.text).join('')).toBe(text);
  });

  it.each([
    ['completed', undefined],
    ['failed', 'no'],
  ])(
    'server-sent events of a run that %s end with that state, also for a reader that comes back behind it',
    async (state, reason) => {
      await using a = open();
      const task = a.task('say', async ({ stream }: TaskContext<null>) => {
        await stream.text('all');
        if (reason !== undefined) throw new Error(reason);
      });
      await a.worker();
      const run = task.run(null);
      const eventsFrom = async (from?: string) =>
        (await new Response(run.stream({ from }).toEventStream()).text()).split('\n\n').slice(0, -1);
      const [first = '', ...rest] = await eventsFrom();
      const end = `event: end\ndata: {"state":"${state}"}`;
      expect(rest).toEqual([end]);
      expect(await eventsFrom(/^id: (.*)$/m.exec(first)?.[1])).toEqual([end]);
      // What looks the run up gives the same.
      const found = a.get(await run.then(({ id }) => id));
      expect(await new Response(found.stream({ from: 'now' }).toEventStream()).text()).toBe(`${end}\n\n`);
    },
  );

  it('server-sent events that the app ends have no end event: the browser comes back', async () => {
    const a = open();
    const run = await a.task('idle', () => undefined).run();
    const reading = new Response(run.stream().toEventStream()).text();
    await a.close();
    expect(await rejectionOf(reading)).toMatchObject({ code: 'app_closed' });
  });

  it('a retried run continues with the stream of its next attempt, which is marked', async () => {
    await using a = open();
    const retry = { failures: 1, backoff: backoff.fixed('1ms') };
    const task = a.task('twice', { retry }, async ({ stream, attempt }: TaskContext<null>) => {
      await stream.text(`try ${attempt}`);
      if (attempt === 1) throw new Error('once more');
    });
    await a.worker();
    const run = task.run(null);
    const all = await collected(run.stream());
    expect(all.map(wordOf)).toEqual(['try 1', 'attempt 2 after attempt_failure', 'try 2']);
    expect((await collected(run.stream({ attempt: 1 }))).map(wordOf)).toEqual(['try 1']);
    expect((await collected(run.stream({ attempt: 'latest' }))).map(wordOf)).toEqual(['try 2']);
    expect((await collected(run.stream({ from: (all[1] as RunFrame).cursor }))).map(wordOf)).toEqual(['try 2']);
  });

  it('many small writes of one turn travel together, and a fast writer waits for a slow store', async () => {
    await using a = open();
    const backend = await a.backend();
    let calls = 0;
    const execute = backend.execute.bind(backend);
    backend.execute = ((commands: Parameters<typeof execute>[0]) => {
      if (commands.some(({ name }) => name === 'appendFrame')) calls++;
      return execute(commands);
    }) as typeof execute;
    let room = false;
    const task = a.task('many', async ({ stream }: TaskContext<null>) => {
      for (let i = 0; i < 60; i++) void stream.text(`${i} `);
      await stream.flush();
      expect(calls).toBe(1);
      const waits = stream.write(new Uint8Array(60_000)).then(() => (room = true));
      for (let i = 0; i < 5; i++) void stream.write(new Uint8Array(60_000));
      const last = stream.write(new Uint8Array(60_000));
      await waits;
      expect(room).toBe(true);
      await last;
      return 'x'.repeat(3);
    });
    await a.worker();
    const run = task.run(null);
    expect(await run.result()).toBe('xxx');
    let text = '';
    for await (const piece of run.stream().text()) text += piece;
    expect(text).toBe(Array.from({ length: 60 }, (_, i) => `${i} `).join(''));
  });

  it('the subscription of a leaving reader is removed at once, and a reader of an unknown run gets an error', async () => {
    await using a = open();
    const go = deferred();
    const task = a.task('quiet', async () => go.promise);
    await a.worker();
    const run = await task.run(null);
    const reader = run.stream().toReadableStream().getReader();
    const waiting = reader.read();
    await reader.cancel();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const text = run.stream().text();
    const piece = text.next();
    expect(await text.return?.()).toEqual({ done: true, value: undefined });
    expect(await piece).toEqual({ done: true, value: undefined });
    const controller = new AbortController();
    const aborted = collected(run.stream({ signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect(await rejectionOf(aborted)).toMatchObject({ message: 'enough' });
    const unknown = a.get('{fp:0}:00000000-0000-4000-a000-000000000009');
    expect(await rejectionOf(collected(unknown.stream()))).toMatchObject({ name: 'RunNotFoundError' });
    for (const attempt of [undefined, 1])
      expect(await rejectionOf(unknown.summary({ attempt }))).toMatchObject({ name: 'RunNotFoundError' });
    expect(() => unknown.stream({ durableOnly: 'yes' as never })).toThrow('durableOnly must be true or false');
    go.resolve();
    expect(await collected(run.stream())).toEqual([]);
  });
});

describe('under a virtual clock', () => {
  it('an attempt that continues after a delay continues its stream; best-effort frames expire', async () => {
    await using t = testApp();
    const { delay } = await import('../../src/index.js');
    const task = t.app.task('parked', async ({ stream, resumes }: TaskContext<null>) => {
      await stream.text(`part ${resumes}`);
      await stream.text('passing', { bestEffort: { ttl: '1m' } });
      return resumes === 0 ? delay('1d') : 'done';
    });
    await t.app.worker();
    const run = task.run(null);
    const live: unknown[] = [];
    const reading = (async () => {
      for await (const frame of run.stream()) live.push(wordOf(frame));
    })();
    await t.advance('2d');
    await reading;
    expect(live).toEqual(['part 0', 'passing', 'part 1', 'passing']);
    expect((await collected(run.stream())).map(wordOf)).toEqual(['part 0', 'part 1']);
    expect((await collected(run.stream({ durableOnly: true }))).map(wordOf)).toEqual(['part 0', 'part 1']);
  });

  it('a reader from now gets no earlier frame, also of the same millisecond', async () => {
    await using t = testApp();
    const [written, go] = [deferred(), deferred()];
    const task = t.app.task('two parts', async ({ stream }: TaskContext<null>) => {
      for (let n = 0; n < 300; n++) void stream.text('early');
      await stream.flush();
      written.resolve();
      await go.promise;
      await stream.text('late');
    });
    await t.app.worker();
    const run = await task.run(null);
    await written.promise;
    const frames = run.stream({ from: 'now' })[Symbol.asyncIterator]();
    const first = frames.next();
    await t.advance('1s');
    go.resolve();
    const { value } = await first;
    expect(value && wordOf(value)).toBe('late');
    expect(await frames.next()).toMatchObject({ done: true });
  });

  it('a patch that no summary can hold is refused in words', async () => {
    await using t = testApp();
    const nested = (levels: number): SummaryPatch => (levels === 0 ? {} : { a: nested(levels - 1) });
    const told: string[] = [];
    const task = t.app.task('t', async ({ stream }: TaskContext<null>) => {
      await stream.summary(nested(16));
      for (const patch of [{ a: 'x\ud83d' }, { a: 2 ** 60 }, nested(17)])
        told.push(((await rejectionOf(stream.summary(patch))) as Error).message);
    });
    await t.app.worker();
    await task.run(null);
    await t.advance('1s');
    expect(told).toEqual([
      expect.stringContaining('.summary: a text in it ends or begins within a character'),
      expect.stringContaining('.summary: a number in it is too large'),
      expect.stringContaining('.summary: it has more than 16 objects'),
    ]);
  });

  it.each([true, false])(
    'a refused frame ends the run alike, whether its handler saw the refusal: %s',
    async (sees) => {
      await using t = testApp();
      const retry = { failures: 3, backoff: backoff.fixed('1s') };
      const task = t.app.task('large', { retry }, async ({ stream }: TaskContext<null>) => {
        for (let i = 0; i < 6; i++) void stream.summary({ [`k${i}`]: 'x'.repeat(60_000) });
        if (sees) await stream.flush();
      });
      await t.app.worker();
      const run = await task.run(null);
      await t.advance('1m');
      expect(await run.info()).toMatchObject({ attempts: 1, failure: { category: 'stream_refused' } });
    },
  );

  it('a reader that waits for another attempt ends when there will be none', async () => {
    await using t = testApp();
    const retry = { failures: 3, backoff: backoff.fixed('1d') };
    const task = t.app.task('given up', { retry }, async ({ stream }: TaskContext<null>) => {
      await stream.text('try');
      throw new Error('no');
    });
    await t.app.worker();
    const run = await task.run(null);
    const reading = collected(run.stream());
    await t.advance('1h');
    await run.cancel();
    await t.advance('1s');
    expect((await reading).map(wordOf)).toEqual(['try']);
  });

  it('refused frames fail a run whose handler returns, and reject for a handler that awaits them', async () => {
    await using t = testApp();
    const told: unknown[] = [];
    const task = t.app.task('large', async ({ stream, input }: TaskContext<boolean>) => {
      for (const write of [
        () => stream.write(new Uint8Array(65_537)),
        () => stream.json('x'.repeat(65_535)),
        () => stream.summary({ x: 'x'.repeat(65_529) }),
        () => stream.text(5 as never),
        () => stream.json(1n as never),
        () => stream.json(undefined),
        () => stream.write('x' as never),
        () => stream.summary([] as never),
        () => stream.text('x', { type: '' }),
        () => stream.text('x', { kind: 'y' } as never),
      ])
        told.push(await rejectionOf(write()));
      await stream.write(new Uint8Array(65_536));
      await stream.json('x'.repeat(65_534));
      await stream.summary({ x: 'x'.repeat(65_528) });
      if (input) for (let i = 0; i < 6; i++) void stream.summary({ [`k${i}`]: 'x'.repeat(60_000) });
      return 'fine';
    });
    await t.app.worker();
    const [good, bad] = [task.run(false), task.run(true)];
    await t.advance('1s');
    expect(await good.result()).toBe('fine');
    expect(await rejectionOf(bad.result())).toMatchObject({ name: 'RunFailedError', category: 'stream_refused' });
    const tooLarge = (what: string): unknown =>
      expect.stringContaining(`stream.${what}: 65537 bytes are more than the 65536 of a frame.`);
    const detail = { limit: '65536' };
    const refusal = (says: string): object => ({
      code: 'invalid_definition',
      message: expect.stringContaining(`Task "large": stream${says}`) as unknown,
    });
    expect(told.slice(0, 10)).toMatchObject([
      { code: 'retention_limit_exceeded', message: tooLarge('write'), detail },
      { code: 'retention_limit_exceeded', message: tooLarge('json'), detail },
      { code: 'retention_limit_exceeded', message: tooLarge('summary'), detail },
      refusal(': text must be a string'),
      refusal('.json: a bigint cannot be written as'),
      refusal(': json must be a JSON value'),
      refusal(': write must be a Uint8Array'),
      { code: 'invalid_definition', message: expect.stringContaining('patch must be a JSON object') },
      refusal(': type must be '),
      { code: 'invalid_definition', message: expect.stringContaining('"kind"') },
    ]);
  });

  it('closing the app ends its readers', async () => {
    const t = testApp();
    const task = t.app.task('long', () => new Promise<void>(() => undefined));
    const run = await task.run(null);
    const reading = rejectionOf(collected(run.stream()));
    await t.advance('1s');
    await t.close();
    expect(await reading).toMatchObject({ name: 'AppClosedError' });
  });

  it('closing the app ends a reader that is between two frames, and its reads of the store', async () => {
    let watches = 0;
    const h = harness((inner) => ({
      watchStream: (args) => {
        watches++;
        return inner.watchStream(args);
      },
    }));
    const gate = deferred();
    const task = h.a.task('two', async ({ stream, waitFor }: TaskContext) => {
      await stream.text('one');
      await gate.promise;
      await stream.text('two');
      await waitFor('never');
    });
    await h.worker();
    const run = await task.run();
    const frames = run.stream()[Symbol.asyncIterator]();
    expect(wordOf((await h.flow(frames.next())).value as RunFrame)).toBe('one');
    const second = frames.next();
    await h.pass(0);
    gate.resolve();
    expect(wordOf((await h.flow(second)).value as RunFrame)).toBe('two');
    await h.close();
    const before = watches;
    await h.pass(60_000);
    expect([before > 0, watches - before]).toEqual([true, 0]);
    expect(await rejectionOf(frames.next())).toMatchObject({ name: 'AppClosedError' });
    expect(await frames.next()).toEqual({ done: true, value: undefined });
  });

  it('a reader from now on gets a frame that is the first of the same millisecond, and none of the frames before', async () => {
    const h = harness();
    const gates = [deferred(), deferred()] as const;
    const task = h.a.task('t', async ({ stream }: TaskContext) => {
      await gates[0].promise;
      await stream.text('first');
      await gates[1].promise;
      await stream.text('second');
    });
    await h.worker();
    const run = await task.run();
    await h.pass(0);
    const reading = collected(run.stream({ from: 'now' }));
    await h.pass(0);
    gates[0].resolve();
    await h.pass(0);
    const later = collected(run.stream({ from: 'now' }));
    await h.pass(0);
    gates[1].resolve();
    expect((await h.flow(reading)).map(wordOf)).toEqual(['first', 'second']);
    expect((await h.flow(later)).map(wordOf)).toEqual(['second']);
    await h.close();
  });
});
