/** Handlers that wait for signals: of a name, of several, of people; before, while and after they are waited for. */
import { setTimeout as realTime } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  all,
  any,
  app,
  child as childOf,
  count,
  InvalidDefinitionError,
  InvalidInputError,
  InvalidSignalError,
  RunNotFoundError,
  RunStateError,
  WaitTimeoutError,
  type TaskContext,
  type WaitCondition,
} from '../../src/index.js';
import { testApp, type TestApp } from '../../src/testing/index.js';
import { rejectionOf } from '../app/support.js';

let t: TestApp;
afterEach(() => t.close());

const DAY_MS = 86_400_000;

const ignore = (): void => undefined;
/** Where there is a log, handlers are watched. */
const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`);

/** Lets a moment pass. */
async function later<T>(value: T): Promise<T> {
  await t.advance(10);
  return value;
}

describe('waitFor', () => {
  it('returns the payload of the signal, in the run that it resumes and in every later run', async () => {
    t = testApp();
    const seen: unknown[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep }: TaskContext<string>) => {
      const schema = z.object({ approved: z.boolean(), when: z.string().transform((text) => new Date(text)) });
      const { approved, when } = await waitFor('approval', { schema, timeout: '7d' });
      seen.push([approved, when.getUTCFullYear()]);
      await sleep('1d');
      return approved;
    });
    const worker = await t.app.worker({ slots: 1 });
    const run = await task.run('x');
    await t.advance('6d');
    expect([await run.state(), worker.stats().running]).toEqual(['suspended', 0]);
    const sent = { approved: true, when: '2027-05-01T00:00:00Z' };
    expect(await run.signal('approval', sent, { from: 'ann' })).toMatchObject({ effect: 'taken' });
    await t.advance('2d');
    expect(await run.result()).toBe(true);
    expect(seen).toEqual([
      [true, 2027],
      [true, 2027],
    ]);
  });

  it('takes earlier signals without a suspension, each once and in order', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor }: TaskContext<string>) => [
      await waitFor('a'),
      await waitFor('b'),
      await waitFor('a'),
    ]);
    const run = await task.run('x', { delay: '1h' });
    for (const [name, payload] of [
      ['a', 1],
      ['a', 2],
      ['b', undefined],
      ['a', 3],
    ] as const)
      expect(await run.signal(name, payload).then(later)).toMatchObject({ effect: 'kept' });
    const worker = await t.app.worker();
    await t.advance('2h');
    expect(await run.result()).toEqual([1, null, 2]);
    expect(worker.stats()).toMatchObject({ suspended: 0, completed: 1 });
  });

  it('receives a signal once per idempotency key; runs that ended or do not exist refuse signals', async () => {
    t = testApp();
    const task = t.app.task('t', ({ waitFor }: TaskContext<string>) => waitFor('go'));
    await t.app.worker();
    const run = await task.run('x');
    await t.advance(10);
    const once = await run.signal('go', 1, { idempotencyKey: 'k' });
    expect(await run.signal('go', 2, { idempotencyKey: 'k' })).toEqual({ id: once.id, effect: 'duplicate' });
    await t.advance(10);
    expect(await run.result()).toBe(1);
    expect(await run.signal('go', 2, { idempotencyKey: 'k' })).toEqual({ id: once.id, effect: 'duplicate' });
    expect(await rejectionOf(run.signal('go'))).toBeInstanceOf(RunStateError);
    const id = run.id.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect(await rejectionOf(t.app.get(id).signal('go'))).toBeInstanceOf(RunNotFoundError);
  });

  it('throws or returns null after its timeout, in every run alike; a later signal is left to the next wait', async () => {
    t = testApp();
    const seen: unknown[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep }: TaskContext<string>) => {
      try {
        seen.push(await waitFor('go', { timeout: '1d' }));
      } catch (error) {
        seen.push(error instanceof WaitTimeoutError && error.wait);
      }
      seen.push(await waitFor('stop', { timeout: '1h', onTimeout: 'value' }));
      await sleep('1d');
      return waitFor('go');
    });
    await t.app.worker();
    const run = await task.run('x');
    await t.advance(DAY_MS + 2 * 3_600_000);
    await run.signal('go', 'late');
    await t.advance('2d');
    expect(await run.result()).toBe('late');
    expect(seen).toEqual(['go', 'go', null, 'go', null]);
  });

  it('that was called early counts its timeout from the call, also behind a suspension, and takes signals until then', async () => {
    for (const sentAt of ['40m', '70m'] as const) {
      t = testApp();
      const task = t.app.task('t', async ({ waitFor, sleep }: TaskContext<string>) => {
        const early = waitFor('go', { timeout: '1h', onTimeout: 'value' });
        await sleep('30m', { name: 'short' });
        await sleep('2h', { name: 'long' });
        return early;
      });
      await t.app.worker();
      const run = await task.run('x');
      await t.advance(sentAt);
      await run.signal('go', 'sent');
      await t.advance('3h');
      expect([sentAt, await run.state()]).toEqual([sentAt, 'completed']);
      expect(await run.result()).toBe(sentAt === '40m' ? 'sent' : null);
      await t.close();
    }
  });

  it('whose timeout passes while a step runs beside it takes an earlier signal, in every run alike', async () => {
    t = testApp();
    const seen: unknown[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep, step }: TaskContext<string>) => {
      const slow = step('slow', () => opened);
      const [got] = await Promise.all([waitFor('go', { timeout: '1m', onTimeout: 'value' }), slow]);
      seen.push(got);
      await sleep('1h');
    });
    let open = ignore;
    const opened = new Promise<void>((resolve) => (open = resolve));
    await t.app.worker();
    const run = await task.run('x');
    await t.advance('30s');
    await run.signal('go', 'in time');
    await t.advance('1m');
    open();
    await t.advance('2h');
    expect([await run.state(), seen]).toEqual(['completed', ['in time', 'in time']]);
  });

  it('fails the run for good if its timeout is not caught', async () => {
    t = testApp();
    const task = t.app.task('t', { retry: { failures: 5 } }, ({ waitFor }: TaskContext<string>) =>
      waitFor('go', { timeout: '1d' }),
    );
    const worker = await t.app.worker();
    const run = await task.run('x');
    await t.advance('2d');
    expect((await run.info()).failure).toMatchObject({ category: 'wait_timeout' });
    expect(worker.stats()).toMatchObject({ failed: 1 });
  });

  it('refuses a wrong payload at the sender if the task declares the signal, and otherwise throws in the handler', async () => {
    t = testApp();
    const schema = z.object({ cents: z.number() });
    const caught: unknown[] = [];
    const task = t.app.task('t', { signals: { paid: schema, refund: z.any() } }, async ({ waitFor }: TaskContext) => {
      try {
        await waitFor('refund', { schema });
      } catch (error) {
        caught.push(error instanceof InvalidSignalError && [error.signal, error.from]);
      }
      return waitFor('paid', { schema });
    });
    await t.app.worker();
    const run = await task.run(undefined);
    const refused = await rejectionOf(run.signal('paid', { cents: '5' as never }));
    expect(refused).toBeInstanceOf(InvalidInputError);
    expect(refused).toMatchObject({ task: 't', signal: 'paid' });
    expect(String(refused)).toContain('Payload of signal "paid": cents: ');
    await run.signal('refund', { cents: '5' }, { from: 'shop' });
    await run.signal('paid', { cents: 5 });
    await t.advance(10);
    expect(await run.result()).toEqual({ cents: 5 });
    expect(caught).toEqual([['refund', 'shop']]);
  });

  it('leaves a list of the signals of a run, which marks those that arrived before any wait', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor }: TaskContext) => [await waitFor('a'), await waitFor('b')]);
    const run = task.run(undefined);
    await run.signal('a', { n: 1 }, { from: 'early' });
    await t.app.worker();
    await t.advance(10);
    await run.signal('b', 2);
    const listed = [];
    for await (const { name, payload, from, kept } of run.signals()) listed.push([name, payload, from, kept]);
    expect(listed).toEqual([
      ['a', { n: 1 }, 'early', true],
      ['b', 2, '', false],
    ]);
    await t.advance(10);
    expect(await run.result()).toEqual([{ n: 1 }, 2]);
    const nobody = t.app.get('{fp:0}:00000000-0000-4000-8000-000000000001').signals();
    await expect(nobody[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'run_not_found' });
  });

  it.each([
    ['a name', 'refund'],
    ['what every object has', 'constructor'],
    ['a part of a condition', any('paid', 'refund')],
  ])('refuses a signal that the task does not declare, at its sender and in its handler: %s', async (_, what) => {
    t = testApp({ log: quiet });
    const task = t.app.task('t', { signals: { paid: z.any() }, retry: {} }, ({ waitFor }: TaskContext) =>
      waitFor(what as WaitCondition),
    );
    await t.app.worker();
    const run = await task.run(undefined);
    const name = typeof what === 'string' ? what : 'refund';
    const message = `Task "t": there is no signal "${name}"; its definition has "paid"`;
    const refused = { name: 'InvalidDefinitionError', message };
    expect(await rejectionOf(run.signal(name as 'paid'))).toMatchObject(refused);
    expect(await rejectionOf(task.get(run.id).signal(name as 'paid'))).toMatchObject(refused);
    expect(await rejectionOf(t.app.get(run.id).signal(name))).toMatchObject(refused);
    await t.advance(10);
    expect(await rejectionOf(run.result())).toMatchObject({ failureClass: 'InvalidDefinitionError', reason: message });
    expect((await run.info()).attempts).toBe(1);
  });

  it('has its payload checked by any app that defines the task, however the run was found', async () => {
    t = testApp();
    const signals = { paid: z.object({ cents: z.int() }) };
    const task = t.app.task('t', { signals }, async ({ waitFor }) => (await waitFor('paid')).cents);
    await t.app.worker();
    const run = await task.run(undefined);
    const found = await t.app.get(run.id);
    const refused = { name: 'InvalidInputError', message: expect.stringContaining('cents') };
    expect(await rejectionOf(found.signal('paid', { cents: 'five' }))).toMatchObject(refused);
    const payload = { cents: 5 };
    const sent = found.signal('paid', payload);
    payload.cents = 6;
    await sent;
    await t.advance(10);
    expect(await run.result()).toBe(5);
  });

  it('accepts any signal from an app without the task or of another namespace; approvals need no declaration', async () => {
    t = testApp();
    const task = t.app.task('t', { signals: { paid: z.any() } }, ({ approval }: TaskContext) => approval('deploy'));
    await t.app.worker();
    const run = await task.run(undefined);
    const backend = await t.app.backend();
    const other = app({ backend, namespace: 'other', closeBackend: false });
    other.task('t', { signals: { other: z.any() } });
    expect(await other.get(run.id).signal('refund')).toMatchObject({ effect: 'kept' });
    const stranger = app({ backend, closeBackend: false });
    stranger.task('u', { signals: { other: z.any() } });
    expect(await stranger.get(run.id).signal('refund')).toMatchObject({ effect: 'kept' });
    await t.app.get(run.id).approve('deploy', { by: 'ann' });
    await Promise.all([other.close(), stranger.close()]);
    await t.advance(10);
    expect(await run.result()).toMatchObject({ approved: true });
  });

  it('is explained with the call that sends the signal, because a resumption alone would make the handler wait again', async () => {
    t = testApp();
    const task = t.app.task('t', ({ waitFor }: TaskContext) => waitFor('paid'));
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    const { remedy, unblock } = await run.explain();
    expect(remedy).toBe('Send it: run.signal("paid", payload).');
    expect(unblock?.[0]).toMatchObject({ call: 'signalExecution', of: run.id });
  });

  it('loses its race against a time that had passed before the first suspension, in every run', async () => {
    t = testApp();
    const winners: string[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep }: TaskContext) => {
      const winner = await Promise.race([waitFor('go').then(() => 'signal'), sleep(0).then(() => 'time')]);
      winners.push(winner);
      await sleep('1m', { name: 'after' });
      return winner;
    });
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance('1s');
    await run.signal('go');
    await t.advance('5m');
    expect(await run.result()).toBe('time');
    expect(new Set(winners)).toEqual(new Set(['time']));
  });

  it('wins against a child that ended after the signal in the same millisecond', async () => {
    t = testApp();
    let end = (): void => undefined;
    const child = t.app.task('child', () => new Promise<void>((resolve) => (end = resolve)));
    const winners: string[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep, children }: TaskContext) => {
      const ended = children.all([childOf(child)]).then(() => 'child');
      winners.push(await Promise.race([ended, waitFor('go').then(() => 'signal')]));
      await sleep('1m');
    });
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance('1s');
    await run.signal('go');
    end();
    await t.advance('5m');
    expect([await run.state(), new Set(winners)]).toEqual(['completed', new Set(['signal'])]);
  });

  it('can be used several times side by side, in a race and together', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor, sleep }: TaskContext) => {
      const first = await Promise.race([
        waitFor('a').then(() => 'a'),
        waitFor('b').then(() => 'b'),
        sleep('1d').then(() => 'slept'),
      ]);
      const both = await Promise.all([waitFor('c'), waitFor('d')]);
      return [first, ...both];
    });
    const worker = await t.app.worker();
    const run = await task.run(undefined);
    await t.advance('1h');
    await run.signal('b');
    await t.advance('1h');
    await run.signal('d', 4);
    await t.advance('1h');
    await run.signal('a');
    await t.advance('1h');
    await run.signal('c', 3);
    await t.advance('1h');
    expect(await run.result()).toEqual(['b', 3, 4]);
    expect(worker.stats().suspended).toBeLessThanOrEqual(4);
  });

  it.each<[string, WaitCondition, readonly (readonly [string, string])[], readonly number[]]>([
    [
      'all',
      all('a', 'b'),
      [
        ['a', 'x'],
        ['a', 'y'],
        ['b', 'x'],
      ],
      [0, 2],
    ],
    [
      'any',
      any('a', 'b'),
      [
        ['c', 'x'],
        ['b', 'x'],
      ],
      [1],
    ],
    [
      'count',
      count(2, 'a'),
      [
        ['a', 'x'],
        ['a', 'x'],
      ],
      [0, 1],
    ],
    [
      'count of sources',
      count(2, ['a', 'b'], { distinct: 'source' }),
      [
        ['a', 'x'],
        ['b', 'x'],
        ['a', 'y'],
      ],
      [1, 2],
    ],
    [
      'nested count of sources',
      all('c', count(2, 'a', { distinct: 'source' })),
      [
        ['a', 'x'],
        ['c', 'x'],
        ['a', 'x'],
        ['a', 'y'],
      ],
      [1, 2, 3],
    ],
    [
      'nested',
      any(all('a', count(2, 'b')), 'c'),
      [
        ['b', 'x'],
        ['a', 'x'],
        ['b', 'y'],
      ],
      [0, 1, 2],
    ],
    [
      'one branch of several',
      any(all('a', 'b'), 'c'),
      [
        ['a', 'x'],
        ['c', 'x'],
      ],
      [1],
    ],
  ])('%s', async (_, condition, sent, taken) => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor }: TaskContext) => {
      const signals = await waitFor<number>(condition, { name: 'it', timeout: '30d' });
      return signals.map(({ payload }) => payload);
    });
    await t.app.worker();
    // As they come one by one, and all of them before.
    for (const delay of [0, 1_000]) {
      const run = await task.run(undefined, { delay });
      if (delay === 0) await t.advance(10);
      for (const [index, [name, from]] of sent.entries()) {
        await run.signal(name, index, { from }).then(later);
      }
      await t.advance(2_000);
      expect(await run.result()).toEqual(taken);
    }
  });

  it('takes a condition with as many names as one execution may wait for at once', async () => {
    t = testApp();
    const task = t.app.task('t', ({ waitFor }: TaskContext) => waitFor(all(...names(64)), { name: 'many' }));
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    for (const name of names(64)) await run.signal(name, name);
    await t.advance(10);
    expect((await run.result()).map(({ payload }) => payload)).toEqual(names(64));
  });

  it('needs no name of its own for a long condition, and is told from another one that begins alike', async () => {
    t = testApp();
    const [many, more] = [names(40), names(41)];
    const task = t.app.task('t', async ({ waitFor }: TaskContext) => [
      await waitFor(all(...many), { timeout: '2d', onTimeout: 'value' }),
      await waitFor(all(...more), { timeout: '1d' }).catch((error: WaitTimeoutError) => error.wait),
      await waitFor(all(...many), { timeout: '1d', onTimeout: 'value' }),
    ]);
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance('4d');
    const name = expect.stringMatching(/^all\(n0, n1, n2, .*… [\da-f-]{36}$/) as string;
    expect(await run.result()).toEqual([null, name, null]);
  });

  it('refuses invalid arguments', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor, approval }: TaskContext) => {
      const mistakes: [says: string, mistake: () => unknown][] = [
        ['waitFor', () => waitFor('')],
        ['waitFor', () => waitFor('a#b')],
        ['waitFor: timeout', () => waitFor('a', { timeout: '-1s' })],
        ['waitFor: onTimeout', () => waitFor('a', { onTimeout: 'never' as never })],
        ['waitFor', () => waitFor('a', { time: 1 } as never)],
        ['waitFor', () => waitFor({ type: 'some' } as never)],
        ['waitFor', () => waitFor(all('x', 'y'), { name: 'z'.repeat(97) })],
        ['waitFor: the condition', () => waitFor(any(...names(65)), { name: 'many' })],
        ['all', () => all()],
        ['any', () => any('a', 5 as never)],
        ['count', () => count(0, 'a')],
        ['count', () => count(1, [])],
        ['count', () => count(1, 'a', { distinct: 'name' as never })],
        ['approval: approvals', () => approval('a', { approvals: 0 })],
        ['approval', () => approval('')],
        ['approval: timeout', () => approval('a', { timeout: '-1s' })],
        ['approval', () => approval('a', { name: 'z'.repeat(97) })],
        ['approval', () => approval('a', { from: 'x' } as never)],
      ];
      return mistakes.flatMap(([says, mistake]) => {
        try {
          mistake();
          return [`${says} is taken`];
        } catch (error) {
          return error instanceof InvalidDefinitionError && error.message.startsWith(says) ? [] : [String(error)];
        }
      });
    });
    await t.app.worker();
    const run = await task.run(undefined);
    for (const mistake of [
      () => run.signal('a#b'),
      () => run.signal('a', 1, { form: 'x' } as never),
      () => run.signal('a', 1, { from: 5 as never }),
      () => run.approve('a', { by: '' }),
    ])
      expect(await rejectionOf(mistake())).toBeInstanceOf(InvalidDefinitionError);
    await t.advance(10);
    expect(await run.result()).toEqual([]);
  });

  it('is resumed by a signal that arrives while the handler is busy before the wait', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitFor }: TaskContext) => {
      const first = await waitFor('a');
      await realTime(20);
      return [first, await waitFor('b')];
    });
    const worker = await t.app.worker();
    const run = await task.run(undefined);
    await run.signal('a', 1);
    await t.advance(0);
    await run.signal('b', 2);
    await realTime(40);
    await t.advance(10);
    expect(await run.result()).toEqual([1, 2]);
    expect(worker.stats().suspended).toBe(0);
  });
});

describe('explain', () => {
  it('counts the signals that have arrived, and the missing ones', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ approval, waitFor, input }: TaskContext<boolean>) =>
      input
        ? approval('release', { approvals: 2 })
        : waitFor(all('legal', count(3, ['vote', 'voice'], { distinct: 'source' }))),
    );
    await t.app.worker();
    const [release, votes] = [await task.run(true), await task.run(false)];
    await t.advance('1s');
    expect((await release.explain()).awaited).toEqual([{ names: ['release'], received: 0, needed: 2 }]);
    await release.approve('release', { by: 'ann' });
    await release.approve('release', { by: 'ann' });
    await votes.signal('vote', 1, { from: 'ann' });
    await votes.signal('voice', 2, { from: 'bea' });
    await t.advance('1s');
    expect(await release.explain()).toMatchObject({
      sentence: 'It waits for approval "release". Received: 1 of 2 "release"; 1 missing.',
      awaited: [{ names: ['release'], received: 1, needed: 2 }],
    });
    expect(await votes.explain()).toMatchObject({
      sentence: expect.stringMatching(/ Received: 0 of 1 "legal", 2 of 3 "vote" or "voice"; 2 missing\.$/),
      awaited: [
        { names: ['legal'], received: 0, needed: 1 },
        { names: ['vote', 'voice'], received: 2, needed: 3 },
      ],
    });
  });
});

describe('approval', () => {
  it('needs as many different people as asked, or one rejection, and returns the decisions with person, time and reason', async () => {
    t = testApp();
    const task = t.app.task('t', ({ approval }: TaskContext) => approval('deploy', { approvals: 2, timeout: '3d' }));
    await t.app.worker();
    const [good, bad] = [await task.run(undefined), await task.run(undefined)];
    await t.advance('1h');
    const at = t.now();
    await good.approve('deploy', { by: 'ann', note: 'green' });
    await bad.approve('deploy', { by: 'ann' }).then(later);
    await good.approve('deploy', { by: 'ann' }).then(later);
    expect([await good.state(), await bad.state()]).toEqual(['suspended', 'suspended']);
    await good.approve('deploy', { by: 'bea' });
    await bad.reject('deploy', { by: 'bea', note: 'red' });
    await t.advance(10);
    const decision = (approved: boolean, by: string, note: string, later = 0) => ({
      approved,
      by,
      note,
      at: at + later,
    });
    expect(await good.result()).toEqual({
      approved: true,
      decisions: [decision(true, 'ann', '', 10), decision(true, 'bea', '', 20)],
    });
    expect(await bad.result()).toEqual({
      approved: false,
      decisions: [decision(true, 'ann', ''), decision(false, 'bea', 'red', 20)],
    });
  });

  it('logs each signal of its name that decides nothing, once', async () => {
    const lines: string[] = [];
    t = testApp({ log: { ...quiet, warn: (line: string) => void lines.push(line) } });
    const task = t.app.task('t', ({ approval }: TaskContext) => approval('deploy'));
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    await run.signal('deploy', { approve: true }, { from: 'ann' }).then(later);
    expect(await run.state()).toBe('suspended');
    expect(lines).toEqual([expect.stringContaining('"deploy", and a signal of that name from "ann" decides nothing.')]);
    await run.signal('deploy', { approved: true }, { from: 'ann' }).then(later);
    expect(await run.result()).toMatchObject({ approved: true });
    expect(lines).toHaveLength(1);
  });

  it('logs such a signal once, also beside a sleep that suspends the run repeatedly', async () => {
    const lines: string[] = [];
    t = testApp({ log: { ...quiet, warn: (line: string) => void lines.push(line) } });
    let runs = 0;
    const task = t.app.task('t', async ({ approval, sleep }: TaskContext) => {
      runs++;
      const decided = approval('deploy');
      for (;;) if (await Promise.race([decided, sleep('1m')])) return;
    });
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    await run.signal('deploy', { approve: true }, { from: 'ann' }).then(later);
    await t.advance('5m');
    expect(runs).toBeGreaterThan(4);
    expect(lines).toHaveLength(1);
    await run.approve('deploy', { by: 'ann' }).then(later);
    expect(await run.state()).toBe('completed');
  });

  it('returns the newest decision of each person, and leaves none of them to the next wait', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ approval, waitFor }: TaskContext) => {
      const [first, second] = [await approval('deploy', { approvals: 2 }), await approval('deploy')];
      const votes = await waitFor<string>(count(2, 'vote', { distinct: 'source' }));
      const [next] = await waitFor<string>(any('vote'));
      const by = ({ approved, decisions }: typeof first) => [approved, ...decisions.map((each) => each.by)];
      return [by(first), by(second), votes.map(({ payload }) => payload), next?.payload];
    });
    await t.app.worker();
    const run = await task.run(undefined);
    await run.approve('deploy', { by: 'ann' }).then(later);
    await run.approve('deploy', { by: 'ann' }).then(later);
    await run.reject('deploy', { by: 'ann' }).then(later);
    await run.approve('deploy', { by: 'bea' }).then(later);
    const votes = ['x yes', 'x no', 'y yes', 'x late'];
    for (const vote of votes) await run.signal('vote', vote, { from: vote.charAt(0) }).then(later);
    await t.advance(10);
    expect(await run.result()).toEqual([[false, 'ann'], [true, 'bea'], ['x no', 'y yes'], 'x late']);
  });

  it('takes decisions under one key as one only if they are the same of the same person', async () => {
    t = testApp();
    const task = t.app.task('t', ({ approval }: TaskContext) => approval('deploy', { approvals: 3 }));
    await t.app.worker();
    const run = await task.run(undefined);
    const key = { idempotencyKey: 'form 17' };
    await run.approve('deploy', { by: 'ann', ...key });
    expect((await run.approve('deploy', { by: 'ann', note: 'again', ...key })).effect).toBe('duplicate');
    expect((await run.approve('deploy', { by: 'bea', ...key })).effect).not.toBe('duplicate');
    expect((await run.reject('deploy', { by: 'ann', ...key })).effect).not.toBe('duplicate');
    await t.advance(10);
    const { approved, decisions } = await run.result();
    expect([approved, decisions.map(({ by, note }) => [by, note])]).toEqual([
      false,
      [
        ['bea', ''],
        ['ann', ''],
      ],
    ]);
  });
});

describe('a wait and the steps before it', () => {
  /** Runs a handler until it waits, sends it `go`, and tells what its steps did. */
  async function ran(body: (context: TaskContext<string>, note: (what: string) => void) => Promise<unknown>) {
    t = testApp();
    const notes: string[] = [];
    const task = t.app.task('t', (context: TaskContext<string>) => body(context, (what) => void notes.push(what)));
    await t.app.worker();
    const run = await task.run('x');
    await t.advance(50);
    expect(await run.state()).toBe('suspended');
    await run.signal('go');
    await t.advance(50);
    return { run, notes };
  }
  const refuse = (note: (what: string) => void): never => {
    note('pay');
    throw Object.assign(new Error('no cover'), { category: 'card' });
  };

  it('stores a failure that the handler caught before the wait: the step does not run again', async () => {
    const { run, notes } = await ran(async ({ step, waitFor }, note) => {
      const failed = await step('pay', () => refuse(note)).catch((error: Error) => error.message);
      await waitFor('go');
      return failed;
    });
    expect([await run.result(), notes]).toEqual(['no cover', ['pay']]);
  });

  it('stores the failure of a step beside the wait, and one before a waitpoint is created', async () => {
    const { run, notes } = await ran(async ({ step, waitFor }, note) => {
      const [first] = await Promise.allSettled([step('pay', () => refuse(note)), waitFor('go')]);
      return first.status;
    });
    expect([await run.result(), notes]).toEqual(['rejected', ['pay']]);
  });

  it('may share a name with a wait that no suspension recorded, in every attempt', async () => {
    t = testApp();
    const task = t.app.task('t', { retry: { failures: 1 } }, async ({ waitFor, step, sleep, attempt }: TaskContext) => {
      const got = await waitFor('check');
      await step('check', () => 'done');
      await sleep('1s', { name: 'check' });
      if (attempt === 1) throw new Error('again');
      return got;
    });
    const run = await task.run(undefined, { delay: '1s' });
    await run.signal('check', 'before');
    await t.app.worker();
    await t.advance('1h');
    expect(await run.result()).toBe('before');
  });

  it.each(['wait', 'sleep'] as const)('refuses a %s under the name of a step of an earlier run', async (asked) => {
    t = testApp();
    let isNew = false;
    const refusals: unknown[] = [];
    const task = t.app.task('t', async ({ step, waitFor, sleep }: TaskContext<string>) => {
      if (!isNew) await step('check', () => 'done');
      await waitFor('go');
      if (isNew)
        refusals.push(await rejectionOf(asked === 'sleep' ? sleep('1d', { name: 'check' }) : waitFor('check')));
    });
    await t.app.worker();
    const run = await task.run('x');
    await t.advance(50);
    isNew = true;
    await run.signal('go');
    await t.advance(50);
    expect(await run.state()).toBe('completed');
    const detail = { stepName: 'check', stepIndex: '0', recorded: 'step', asked };
    expect(refusals).toEqual([expect.objectContaining({ code: 'step_changed', detail })]);
  });
});

describe('a replay', () => {
  const waited = async () => {
    t = testApp();
    const got: unknown[] = [];
    const task = t.app.task('t', async ({ waitFor, sleep, step }: TaskContext<string>) => {
      await step('before', () => void got.push('step'));
      await sleep('1d');
      got.push(await waitFor('paid'));
    });
    await t.app.worker();
    const run = await task.run('x');
    await run.signal('paid', 1, { idempotencyKey: 'one' });
    await run.signal('paid', 2);
    await t.advance('2d');
    expect([await run.state(), got]).toEqual(['completed', ['step', 1]]);
    return { run, got };
  };

  it('finds the outcomes of earlier waits', async () => {
    const { run, got } = await waited();
    await run.replay();
    await t.advance(50);
    expect([await run.state(), got]).toEqual(['completed', ['step', 1, 1]]);
  });

  it('that discards steps sleeps and waits again, and finds no signals, not even unused ones', async () => {
    const { run, got } = await waited();
    await run.replay({ steps: 'discard' });
    await t.advance('1h');
    expect([await run.state(), got]).toEqual(['suspended', ['step', 1, 'step']]);
    await t.advance('2d');
    expect(await run.state()).toBe('suspended');
    // The key of a signal that is gone is free again.
    expect(await run.signal('paid', 3, { idempotencyKey: 'one' })).toMatchObject({ effect: 'taken' });
    await t.advance(50);
    expect([await run.state(), got]).toEqual(['completed', ['step', 1, 'step', 3]]);
  });
});

describe('a handler that is stopped while it waits beside a step', () => {
  it('gets the reason in its wait, whether it uses its signal or not', async () => {
    t = testApp();
    const told: unknown[] = [];
    const task = t.app.task('t', async ({ waitFor, step }: TaskContext) => {
      let end = (): void => undefined;
      const slow = step('slow', () => new Promise<void>((resolve) => (end = resolve)));
      await waitFor('never').catch((error: unknown) => told.push((error as { code?: string }).code));
      end();
      await slow;
    });
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(50);
    expect([await run.state(), told]).toEqual(['active', []]);
    await run.cancel('no more');
    await t.advance(50);
    expect(told).toEqual(['cancelled']);
  });
});
