/** Handlers that wait, step by step, and what they stream meanwhile. */
import { expect } from 'vitest';
import { all, any, backoff, child, count, type RunFrame, type TaskContext } from '../../../src/index.js';
import { deferred, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

const framesOf = async (frames: AsyncIterable<RunFrame>): Promise<unknown[]> => {
  const told: unknown[] = [];
  for await (const frame of frames) {
    const { at: _, cursor: __, ...rest } = frame as RunFrame & { at?: number };
    if (frame.kind === 'bytes') expect(Object.getPrototypeOf(frame.bytes)).toBe(Uint8Array.prototype);
    told.push(rest);
  }
  return told;
};

export const WAITS: readonly Scenario[] = [
  {
    name: 'signals that came early and late reach the handler once, with sender and payload, at once',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const task = a.task('t', async ({ waitFor }: TaskContext<void>) => {
        const first = await waitFor<Uint8Array>('early');
        const rest = await waitFor(all('late', any('this', 'that'), count(2, 'vote', { distinct: 'source' })));
        return [[...first], rest.map(({ name, payload, from }) => [name, payload, from])];
      });
      const run = await task.run();
      const other = b.get(run.id);
      const effects = [(await other.signal('early', Uint8Array.of(0, 255))).effect];
      await a.worker();
      // Every signal wakes the handler: what comes before it waits again is kept for that wait.
      const signal: typeof other.signal = async (...args) => {
        await within(until(async () => (await run.state()) === 'suspended'));
        const sent = await other.signal(...args);
        effects.push(sent.effect);
        return sent;
      };
      const options = { from: 'x', idempotencyKey: 'k' };
      await signal('late', { n: 1 }, options);
      await signal('late', { n: 1 }, options);
      await signal('vote', 1, { from: 'ann' });
      await signal('vote', 2, { from: 'ann' });
      await signal('vote', 3, { from: 'bob' });
      await signal('unknown', 1);
      await signal('that');
      const result = await within(run.result());
      const signals: unknown[] = [];
      for await (const { name, payload, kept, from } of other.signals()) signals.push([name, payload, kept, from]);
      return { effects, result, signals, ended: await refusalOf(() => other.signal('late')) };
    },
  },
  {
    name: 'waits end in time: a value, an error that fails the run, and a sleep as long as it says',
    run: async ({ open }) => {
      const a = await open();
      const gives = a.task('gives', async ({ waitFor, sleep }: TaskContext<void>) => {
        const nothing = await waitFor('never', { timeout: '60ms', onTimeout: 'value' });
        await sleep('100ms');
        return nothing;
      });
      const fails = a.task('fails', { retry: { failures: 3 } }, ({ waitFor }: TaskContext<void>) =>
        waitFor('never', { timeout: '60ms' }),
      );
      await a.worker({ slots: 2 });
      const failing = within(
        refusalOf(() => fails.run().result()),
        60,
      );
      expect(await within(gives.run().result(), 160)).toBe(null);
      const error = (await failing) as { message: string };
      return { ...error, message: error.message.replace(/\n[\s\S]*/, '') };
    },
  },
  {
    name: 'an approval needs different people, and one rejection decides',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const task = a.task('t', async ({ approval }: TaskContext<void>) => {
        const { approved, decisions } = await approval('deploy', { approvals: 2 });
        return [approved, ...decisions.map(({ by, note, approved: yes }) => [by, note, yes])];
      });
      await a.worker({ slots: 2 });
      const [yes, no] = await task.runMany([undefined, undefined]);
      await until(async () => (await no?.state()) === 'suspended' && (await yes?.state()) === 'suspended');
      const other = b.get(yes?.id ?? '');
      await other.approve('deploy', { by: 'ann', note: 'green' });
      await other.approve('deploy', { by: 'ann', note: 'still green' });
      await other.approve('deploy', { by: 'bob' });
      await b.get(no?.id ?? '').reject('deploy', { by: 'eve', note: 'red' });
      return [await within(yes?.result() as never), await within(no?.result() as never)];
    },
  },
  {
    name: 'a step is not repeated, whatever comes after it, and its error is kept',
    run: async ({ open }) => {
      const a = await open();
      const ran: string[] = [];
      const task = a.task(
        't',
        { retry: { failures: 1, backoff: backoff.fixed(1) } },
        async ({ step, sleep, attempt }: TaskContext<void>) => {
          const once = <Value>(name: string, value: Value) =>
            step(name, ({ idempotencyKey }) => {
              ran.push(name);
              expect(idempotencyKey).toMatch(/./);
              return value as never;
            });
          const values = await Promise.all([once('json', { a: [1] }), once('bytes', Uint8Array.of(0, 255))]);
          expect(Object.getPrototypeOf(values[1])).toBe(Uint8Array.prototype);
          const failure = await step('fails', () => {
            ran.push('fails');
            throw new TypeError('no');
          }).catch((error: Error) => [error.name, error.message]);
          await sleep('10ms');
          if (attempt === 1) throw new Error('again');
          return [values[0], [...(values[1] as unknown as Uint8Array)], failure, await once('last', 1)];
        },
      );
      await a.worker();
      const run = await task.run();
      return { result: await within(run.result(), 0, 3), ran };
    },
  },
  {
    name: 'a stream is read while it is written, to its end, across attempts, and from a cursor',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const [written, go] = [deferred(), deferred()];
      const retry = { failures: 1, backoff: backoff.fixed(1) };
      const task = a.task('t', { retry }, async ({ stream, attempt }: TaskContext<void>) => {
        if (attempt === 2) return void (await stream.text('again'));
        await stream.text('Größe', { type: 'token', correlationId: 'c' });
        await stream.json({ n: [1] });
        await stream.write(Uint8Array.of(0, 255));
        await stream.summary({ done: 3, gone: 1 });
        await stream.summary({ gone: null });
        await stream.flush();
        written.resolve();
        await go.promise;
        throw new Error('once more');
      });
      await a.worker();
      const run = await task.run();
      const other = b.get(run.id);
      await written.promise;
      const first: RunFrame[] = [];
      for await (const frame of other.stream()) {
        first.push(frame);
        if (first.length === 5) break;
      }
      const summary = { ...(await other.summary()) };
      const reading = framesOf(other.stream());
      const newest = framesOf(other.stream({ from: 'now' }));
      const ended = other.result();
      await until(async () => (await other.state()) === 'active');
      go.resolve();
      await within(ended, 0, 2);
      const whole = await within(reading);
      expect(await framesOf(other.stream({ from: first[1]?.cursor }))).toEqual(whole.slice(2));
      expect(await framesOf(other.stream({ attempt: 2 }))).toMatchObject([{ kind: 'text', text: 'again' }]);
      expect(whole).toEqual(expect.arrayContaining(await newest));
      return {
        whole,
        summary,
        none: await framesOf((await task.run(undefined, { deadline: '1ms', delay: '1h' })).stream()),
      };
    },
  },
  {
    name: 'children are awaited without a slot: all, any and a quorum, failures and what is left over',
    run: async ({ open }) => {
      const a = await open();
      const part = a.task('part', async ({ input, sleep }: TaskContext<string>) => {
        if (input === 'fails') throw new Error('no');
        if (input === 'long') await sleep('1h');
        return input.toUpperCase();
      });
      const whole = a.task('whole', async ({ children }: TaskContext<void>) => {
        const both = await children.all([child(part, 'a'), child(part, 'b')]);
        const first = await children.any([child(part, 'c'), child(part, 'long')]);
        const most = await children.quorum(2, [child(part, 'long'), child(part, 'd'), child(part, 'e')]);
        const none = await children.all([child(part, 'fails'), child(part, 'f')]).catch((error: Error) => error.name);
        return [both, first, most, none];
      });
      await a.worker({ slots: 1 });
      const run = await whole.run();
      const result = await within(run.result(), 0, 4);
      const states = async () => {
        const all: string[] = [];
        for await (const { task, state, category = '' } of run.children) all.push(`${task} ${state} ${category}`);
        return all.sort();
      };
      await within(until(async () => (await states()).every((row) => /completed|failed|cancelled/.test(row))));
      return { result, states: (await states()).filter((row) => !row.includes('cancelled')) };
    },
  },
];
