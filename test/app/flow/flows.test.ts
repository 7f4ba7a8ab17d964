import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { testApp, type TestApp } from '../../../src/testing/index.js';
import { z } from 'zod';
import { app, backoff, EngineError, memory, NonRetryableError, type TaskContext } from '../../../src/index.js';
import { FlowFailedError, RunIdConflictError, RunNotFoundError, RunSkippedError } from '../../../src/shared/errors.js';

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

test('a flow that one call can carry is created by this call alone, and starting it again only reads it', async () => {
  const backend = memory();
  const calls: string[] = [];
  for (const name of ['createFlow', 'growFlow', 'sealFlow', 'closeFlow', 'describeFlow'] as const) {
    const call = backend[name] as (args: unknown) => Promise<never>;
    const counted = (args: unknown): Promise<never> => {
      calls.push(name);
      return call.call(backend, args);
    };
    Object.assign(backend, { [name]: counted });
  }
  await using a = app({ backend });
  const one = a.task('one', () => 1);
  const two = a.flow('two', (f) => [f.run(one), f.run(one)]);
  await two.run(undefined);
  expect(calls.splice(0)).toEqual(['createFlow']);
  await two.run(undefined, { id: 'own' });
  expect(calls.splice(0)).toEqual(['createFlow']);
  await two.run(undefined, { id: 'own' });
  expect(calls.splice(0)).toEqual(['createFlow', 'describeFlow']);
});

describe('flows in memory, under a virtual clock', () => {
  let t: TestApp;
  beforeAll(() => {
    t = testApp();
  });
  afterAll(() => t[Symbol.asyncDispose]());

  test('members receive the results of their upstreams in their inputs', async () => {
    const split = t.app.task('split', ({ input }: TaskContext<{ text: string }>) => input.text.split(' '));
    const count = t.app.task('count', ({ input }: TaskContext<{ words: string[]; label: string }>) => ({
      [input.label]: input.words.length,
    }));
    const join = t.app.task('join', ({ input }: TaskContext<{ all: Record<string, number>[]; by: string }>) => input);
    const words = t.app.flow('words', (f, input: { texts: string[] }) => {
      const counts = input.texts.map((text, index) =>
        f.run(count, { words: f.run(split, { text }), label: `text ${index}` }),
      );
      return f.run(join, { all: counts, by: 'me' });
    });
    await t.app.worker();
    const run = words.run({ texts: ['a b c', 'd'] });
    await t.advance('1s');
    expect(await run.result()).toEqual({ all: [{ 'text 0': 3 }, { 'text 1': 1 }], by: 'me' });
    expect(await run.state()).toBe('completed');
    expect(await run.info()).toMatchObject({ flow: 'words', members: { completed: 5 } });
    const tasks: string[] = [];
    for await (const { task, state } of run.children) tasks.push(`${task} ${state}`);
    expect(tasks).toEqual([
      'split completed',
      'count completed',
      'split completed',
      'count completed',
      'join completed',
    ]);
  });

  test('the input of a member is shown once all its results exist', async () => {
    const slow = t.app.task('slow', async ({ input, sleep }: TaskContext<{ n: number }>) => {
      await sleep(`${input.n}s`);
      if (input.n > 2) throw new NonRetryableError('too slow');
      return input.n;
    });
    const gather = t.app.task('gather', ({ input }: TaskContext<{ of: number[]; note: string }>) => input.of.length);
    const gathering = t.app.flow('gathering', (f, input: { upTo: number }) =>
      f.run(gather, { of: Array.from({ length: input.upTo }, (_, n) => f.run(slow, { n: n + 1 })), note: 'all' }),
    );
    await t.app.worker();
    const inputs = async (run: { children: AsyncIterable<{ id: string; task: string }> }) => {
      const told: unknown[] = [];
      for await (const { id, task } of run.children) {
        const { input, unavailable } = await t.app.get(id).info();
        expect(unavailable).toEqual([]);
        if (task === 'gather') told.push(input);
      }
      return told;
    };
    const run = gathering.run({ upTo: 2 });
    await t.advance('1500ms');
    expect(await inputs(run)).toEqual([undefined]);
    await t.advance('5s');
    expect(await inputs(run)).toEqual([{ of: [1, 2], note: 'all' }]);

    const hopeless = gathering.run({ upTo: 3 });
    const result = hopeless.result().catch((error: unknown) => error);
    await t.advance('9s');
    expect(await inputs(hopeless)).toEqual([undefined]);
    const error = await result;
    expect(error).toMatchObject({ name: 'RunSkippedError', task: 'gather' });
    expect(String(error)).toMatch(/\(task "gather"\) was skipped/);
  });

  test('the first three answers decide, and the other members are cancelled', async () => {
    const asked: number[] = [];
    const ask = t.app.task('ask', async ({ input, signal }: TaskContext<{ model: number }>) => {
      asked.push(input.model);
      if (input.model >= 3)
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
      return `answer ${input.model}`;
    });
    const judge = t.app.task('judge', ({ input }: TaskContext<{ answers: string[] }>) => input.answers);
    const race = t.app.flow('race', (f, input: { models: number }) => {
      const answers = Array.from({ length: input.models }, (_, model) => f.run(ask, { model }));
      return f.run(judge, { answers: f.quorum(3, answers) });
    });
    await t.app.worker({ slots: 30 });
    const run = race.run({ models: 20 });
    await t.advance('5s');
    expect(await run.result()).toEqual(['answer 0', 'answer 1', 'answer 2']);
    expect(await run.state()).toBe('completed');
    expect(await run.info()).toMatchObject({ state: 'completed', members: { completed: 4, cancelled: 17 } });
    expect(asked).toHaveLength(20);

    const silent = t.app.flow('silent race', (f) => {
      f.run(judge, { answers: f.any([0, 9].map((model) => f.run(ask, { model }))) as never });
    });
    const second = silent.run(undefined);
    await t.advance('5s');
    expect(await second.result()).toBeUndefined();
    expect(await second.state()).toBe('completed');
  });

  test('members behind a failure are skipped, and independent members continue', async () => {
    const bad = t.app.task('bad', (): number => {
      throw new NonRetryableError(`no${' funds'.repeat(1_000)}`, { category: 'declined' });
    });
    const good = t.app.task('good', ({ input }: TaskContext<number>) => input + 1);
    const nightly = t.app.flow('nightly', (f) => {
      const broken = f.run(bad, undefined);
      f.run(good, f.run(good, broken));
      f.run(good, 1);
    });
    const value = t.app.flow('with a value', (f) => f.run(good, f.run(bad, undefined)));
    await t.app.worker();
    const [whole, single] = [nightly.run(), value.run()];
    await t.advance('5s');
    const failure = await whole.result().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(FlowFailedError);
    const { members, message } = failure as FlowFailedError;
    expect(members).toMatchObject([{ task: 'bad', state: 'failed', category: 'declined' }]);
    expect(Buffer.byteLength(members[0]?.message as string)).toBeLessThanOrEqual(500);
    expect(message).toMatch(/ failed: bad failed: no funds.*… \(declined\)$/);
    const rows = await all(whole.children);
    expect(rows.map(({ task, state, message: why, category }) => [task, state, why.slice(0, 8), category])).toEqual([
      ['bad', 'failed', 'no funds', 'declined'],
      ['good', 'skipped', 'bad fail', undefined],
      ['good', 'skipped', 'bad fail', undefined],
      ['good', 'completed', '', undefined],
    ]);
    const [, , last] = rows;
    expect(last?.message).toMatch(/^bad failed: no funds.*… \(declined\)$/);
    // The member alone names it too, although another skipped one is between the two.
    const alone = await t.app
      .get(last?.id as string)
      .result()
      .catch((error: unknown) => error);
    expect(alone).toMatchObject({ name: 'RunSkippedError', members: [{ task: 'bad', category: 'declined' }] });
    const why = await whole.explain();
    expect(why).toMatchObject({ members: [], failed: [{ task: 'bad', state: 'failed', category: 'declined' }] });
    expect(why.sentence).toMatch(/^It ended failed: bad failed: no funds.*… \(declined\)\.$/);
    expect((await whole.info()).members).toEqual({ failed: 1, skipped: 2, completed: 1 });
    expect(await whole.state()).toBe('failed');
    const skipped = await single.result().catch((error: unknown) => error);
    expect(skipped).toBeInstanceOf(RunSkippedError);
    expect((skipped as RunSkippedError).message).toMatch(
      /\(task "good"\) was skipped: what it depends on did not complete: bad failed: no funds.*\(declined\)$/,
    );
    expect((skipped as RunSkippedError).members).toMatchObject([{ task: 'bad', category: 'declined' }]);
  });

  test('a member that expired or was cancelled reports the reason', async () => {
    const nap = t.app.task('nap', async ({ sleep }: TaskContext<number>) => sleep('30d'));
    const short = t.app.task('short', { timeout: { total: '1h' } }, async ({ sleep }) => sleep('30d'));
    const naps = t.app.flow('naps', (f) => {
      f.run(short, undefined);
      f.run(nap, 2);
    });
    await t.app.worker({ slots: 2 });
    const run = await naps.run();
    await t.advance('1m');
    const [, second] = await all(run.children);
    await t.app.get(second?.id as string).cancel({ reason: 'not needed' });
    await t.advance('2h');
    const error = await run.result().catch((failure: unknown) => failure);
    expect(String(error)).toMatch(/short expired: execution_deadline; nap cancelled: not needed$/);
    expect(await run.explain()).toMatchObject({
      sentence: 'It ended failed: short expired: execution_deadline; nap cancelled: not needed.',
      members: [],
      more: 0,
      waiting: 0,
    });
    const another = await naps.run();
    await another.cancel('changed my mind');
    expect((await another.info()).cancelReason).toBe('changed my mind');
    await t.advance('1m');
    await expect(another.result()).rejects.toMatchObject({ code: 'flow_cancelled', reason: 'changed my mind' });
    expect(await another.explain()).toMatchObject({ sentence: 'It ended cancelled: changed my mind.', failed: [] });
    const unexplained = await naps.run();
    await unexplained.cancel({ wait: true });
    expect((await all(unexplained.children)).map(({ message }) => message)).toEqual([
      'its flow was cancelled',
      'its flow was cancelled',
    ]);
  });

  test('a result that has failed leaves no wait for the other members of its value', async () => {
    const nap = t.app.task('long nap', ({ sleep }) => sleep('1h'));
    const fails = t.app.task('fails at once', () => {
      throw new NonRetryableError('at once');
    });
    const pair = t.app.flow('failing pair', (f) => [f.run(nap, undefined), f.run(fails, undefined)]);
    await t.app.worker({ slots: 2 });
    const run = await pair.run();
    await expect(run.result()).rejects.toMatchObject({ reason: 'at once' });
    const reads = vi.spyOn(t.backend, 'readExecutionState');
    await t.advance('1m');
    expect(reads).not.toHaveBeenCalled();
    reads.mockRestore();
    await run.cancel();
  });

  test('the explanation of a flow names its members', async () => {
    const first = t.app.task('first', { needs: ['gpu'] }, ({ input }: TaskContext<number>) => input);
    const last = t.app.task('last', ({ input }: TaskContext<number[]>) => input.length);
    const wide = t.app.flow('wide', (f, n: number) =>
      f.run(
        last,
        Array.from({ length: n }, (_, i) => f.run(first, i)),
      ),
    );
    const run = await wide.run(12);
    expect(await run.state()).toBe('waiting');
    const why = await run.explain();
    expect(why).toMatchObject({ more: 2, waiting: 1 });
    expect(why.members).toHaveLength(10);
    expect(why.members[0]).toMatchObject({ task: 'first', because: 'worker', remedy: 'Start such a worker.' });
    expect(why.sentence).toMatch(
      /^first: It waits for a worker .*9 more members have not ended. 1 member waits for these.$/,
    );
    await t.app.worker({ capabilities: ['gpu'], slots: 20 });
    await t.advance('1s');
    expect(await run.result()).toBe(12);
    expect((await wide.get(run.id).explain()).sentence).toBe('It ended completed.');
  });

  test('a flow with an id is the same flow in every process', async () => {
    const add = t.app.task('add', ({ input }: TaskContext<{ to: number }>) => input.to + 1);
    const twice = t.app.flow('twice', (f, input: { to: number }) => ({
      once: f.run(add, input),
      same: f.run(add, input),
    }));
    const first = await twice.run({ to: 1 }, { id: 'one', tags: { 'team.name': 'docs' } });
    expect(await twice.run({ to: 1 }, { id: 'one' })).toMatchObject({ id: first.id, deduplicated: true });
    await expect(twice.run({ to: 2 }, { id: 'one' })).rejects.toThrow(RunIdConflictError);
    await t.app.worker();
    await t.advance('1s');
    const found = twice.get({ id: 'one' });
    expect(await found.result()).toEqual({ once: 2, same: 2 });
    expect(await found.info()).toMatchObject({ ownId: 'one', tags: { 'team.name': 'docs' }, state: 'completed' });
    expect(await twice.get(first.id).id).toBe(first.id);
    await expect(twice.get({ id: 'two' })).rejects.toThrow(RunNotFoundError);
  });

  test('a flow whose creation takes several calls is one flow, also when the creation is interrupted', async () => {
    await using t = testApp();
    const { backend } = t;
    const idle = t.app.task('idle', () => undefined);
    await t.app.worker({ tasks: [idle] });
    const step = t.app.task('one step', ({ input }: TaskContext<{ n: number; before?: number }>) => input.n);
    const chains = t.app.flow('chains', (f, input: { nodes: number }) => {
      let last = f.run(step, { n: 0 });
      for (let n = 1; n < input.nodes; n++)
        last = n % 10 === 0 ? f.run(step, { n }, { after: [last] }) : f.run(step, { n, before: last });
      return last;
    });
    const { growFlow } = backend;
    let calls = 0;
    backend.growFlow = (args) => {
      if (++calls === 2) return Promise.reject(new EngineError('invalid_input', 'the process ends here'));
      return growFlow(args);
    };
    await expect(chains.run({ nodes: 1_300 }, { id: 'long' })).rejects.toThrow('ends here');
    backend.growFlow = growFlow;
    await t.advance('1s');
    expect(await chains.get({ id: 'long' }).info()).toMatchObject({ members: { waiting_children: 96 } });
    await expect(chains.run({ nodes: 1_299 }, { id: 'long' })).rejects.toThrow(RunIdConflictError);
    const run = await chains.run({ nodes: 1_300 }, { id: 'long' });
    expect((await run.info()).members).toEqual({ waiting: 1, waiting_children: 1_299 });
    expect(await chains.run({ nodes: 1_300 }, { id: 'long' })).toMatchObject({ id: run.id, deduplicated: true });
    await run.cancel();
    await t.advance('10s');
    expect((await run.info()).members).toEqual({ cancelled: 1_300 });
  });

  test('cancelling a flow ends its waiting and its running members, and can be awaited', async () => {
    const wait = t.app.task(
      'wait',
      ({ signal }: TaskContext<number>) =>
        new Promise<number>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        ),
    );
    const long = t.app.flow('long', (f) => f.run(wait, f.run(wait, 1)));
    await t.app.worker();
    const run = await long.run();
    await t.advance('1s');
    expect(await run.state()).toBe('running');
    const cancelled = run.cancel({ reason: 'not wanted', wait: true });
    await t.advance('1s');
    expect(await cancelled).toBe(true);
    expect(await run.info()).toMatchObject({
      state: 'cancelled',
      cancelReason: 'not wanted',
      members: { cancelled: 2 },
    });
    expect(await run.cancel()).toBe(false);
    const { id: executionId } = run;
    await expect(run.result()).rejects.toMatchObject({ code: 'flow_cancelled', executionId, reason: 'not wanted' });
  });

  test('a late cancellation does not change a completed flow', async () => {
    const quick = t.app.task('quick', () => 7);
    const short = t.app.flow('short', (f) => f.run(quick, null));
    await t.app.worker();
    const run = await short.run();
    await t.advance('1s');
    expect(await run.cancel({ reason: 'too late', wait: true })).toBe(false);
    expect([await run.state(), await run.result()]).toEqual(['completed', 7]);
  });

  test('a node that begins while its upstream is replayed waits for the new result', async () => {
    let runs = 0;
    const source = t.app.task('source', async ({ sleep }: TaskContext<null>) => {
      if (runs > 0) await sleep('5s');
      return ++runs;
    });
    const user = t.app.task(
      'user',
      { retry: { failures: 1, backoff: backoff.fixed('1s') } },
      ({ input, attempt }: TaskContext<{ of: number }>) => {
        if (attempt === 1) throw new Error('not yet');
        return `got ${input.of}`;
      },
    );
    const pair = t.app.flow('pair', (f) => f.run(user, { of: f.run(source, null) }));
    await t.app.worker();
    const run = await pair.run();
    await t.advance('500ms');
    const members = [];
    for await (const child of run.children) members.push(child);
    expect(members.map(({ state }) => state)).toEqual(['completed', 'delayed']);
    await t.app.get(members[0]?.id as string).replay();
    await t.advance('3s');
    expect(await t.app.get(members[1]?.id as string).state()).toBe('delayed');
    await t.advance('10s');
    expect(await run.result()).toBe('got 2');
  });

  test('a node that begins after the failed replay of its upstream fails', async () => {
    let runs = 0;
    const source = t.app.task('source that breaks', () => {
      if (++runs > 1) throw new NonRetryableError('it is broken');
      return 1;
    });
    const user = t.app.task('late user', ({ input }: TaskContext<{ of: number }>) => input.of);
    const pair = t.app.flow('pair that breaks', (f) => f.run(user, { of: f.run(source, null) }, { delay: '10s' }));
    await t.app.worker();
    const run = await pair.run();
    await t.advance('1s');
    const members = [];
    for await (const { id } of run.children) members.push(id);
    await t.app.get(members[0] as string).replay();
    await t.advance('20s');
    await expect(run.result()).rejects.toMatchObject({ category: 'result_unavailable' });
  });

  test('a node fails when its schema refuses the result that it receives', async () => {
    const text = t.app.task('text', () => 'no number');
    const number = t.app.task('number', { input: z.number() }, ({ input }) => input * 2);
    const mixed = t.app.flow('mixed', (f) => f.run(number, f.run(text, undefined as never) as never));
    await t.app.worker();
    const run = mixed.run();
    await t.advance('1s');
    await expect(run.result()).rejects.toThrow(/invalid_input|expected number/i);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'a name twice',
      () => {
        t.app.flow('again', () => undefined);
        t.app.flow('again', () => undefined);
      },
      /defined twice/,
    ],
    ['an empty name', () => t.app.flow('', () => undefined), /A flow needs a name/],
    ['no declaration', () => t.app.flow('none', undefined as never), /must be a function/],
  ])('refuses %s', (_, define, message) => {
    expect(define).toThrow(message);
  });

  test('refuses invalid options, inputs and outputs', async () => {
    const one = t.app.task('one', () => 1);
    const flow = t.app.flow('options', (f, input: { wide?: number } | undefined) =>
      Array.from({ length: input?.wide ?? 1 }, () => f.run(one, undefined)).reverse(),
    );
    await expect(flow.run(undefined, { retry: 1 } as never)).rejects.toThrow(/no option "retry"/);
    await expect(flow.run(undefined, { id: '' })).rejects.toThrow(/id must be a string/);
    await expect(flow.run({ wide: 1n as never })).rejects.toThrow(/cannot be written as JSON/);
    await expect(flow.run({ wide: 300 })).rejects.toThrow(/more than 1024 bytes/);
    const many = t.app.flow('many', (f) => void Array.from({ length: 10_001 }, () => f.run(one, undefined)));
    await expect(many.run()).rejects.toThrow(/10001 nodes, more than 10000/);
    await expect(flow.run().cancel({ wait: 'soon' as never })).rejects.toThrow(/wait must be a duration/);
  });
});
