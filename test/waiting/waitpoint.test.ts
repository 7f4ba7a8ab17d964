/** Waitpoints whose addresses are handed out: only their holders can send, and nothing prints them. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  EngineError,
  InvalidDefinitionError,
  WaitTimeoutError,
  type TaskContext,
  type Waitpoint,
} from '../../src/index.js';
import { addressIn, envelopeOf, type SignalAddress } from '../../src/shared/envelope.js';
import { testApp, type TestApp } from '../../src/testing/index.js';
import { rejectionOf } from '../app/support.js';
import { harness, LoopClock, type Commands, type Execute } from '../worker/harness.js';

let t: TestApp;
afterEach(() => t?.close());

const SECRETS = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;

/** A run that hands out its address once and waits there. */
async function opened(timeout: '2d' | '1h' = '2d') {
  t = testApp();
  const handedOut: Waitpoint[] = [];
  const urls: string[] = [];
  const task = t.app.task('t', async ({ waitpoint, step }: TaskContext) => {
    const payment = await waitpoint('payment', { timeout });
    handedOut.push(payment);
    await step('mail', () => void urls.push(payment.callback({ baseUrl: 'https://shop.example/paid/' }).reveal()));
    const { cents } = await payment.wait({ schema: z.object({ cents: z.number() }) });
    return cents;
  });
  await t.app.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
  await t.app.worker();
  const run = await task.run(undefined);
  await t.advance(10);
  return { run, task, urls, handedOut, envelope: String(urls[0]).split('/').at(-1) as string };
}

const codeOf = async (promise: PromiseLike<unknown>): Promise<unknown> => {
  const error = await rejectionOf(promise);
  return error instanceof EngineError ? error.code : error;
};

describe('waitpoint', () => {
  it('is signalled by any holder of its address, which is created once and stays valid across the suspension', async () => {
    const { run, urls, envelope } = await opened();
    expect(urls).toEqual([expect.stringMatching(/^https:\/\/shop\.example\/paid\/[\w-]+$/)]);
    expect(await run.state()).toBe('suspended');
    await t.advance('1d');
    const sent = await t.app.signals.deliver(envelope, { cents: 5 }, { from: 'bank', idempotencyKey: 'e1' });
    expect(sent.effect).toBe('taken');
    expect(await t.app.signals.deliver(envelope, { cents: 6 }, { idempotencyKey: 'e1' })).toEqual({
      ...sent,
      effect: 'duplicate',
    });
    await t.advance(10);
    expect([await run.result(), urls.length]).toEqual([5, 1]);
    expect(await codeOf(t.app.signals.deliver(envelope, { cents: 7 }))).toBe('target_not_signalable');
  });

  it('lets its holder occupy no key of a decision, and each person has keys of their own', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitpoint, approval }: TaskContext) => {
      const point = await waitpoint('release');
      // Written as the key of a decision is.
      const options = { from: 'ann', idempotencyKey: '["approve","ann","decision"]' };
      await t.app.signals.deliver(point.envelope().reveal(), { approved: false }, options);
      await point.wait();
      return approval('release', { approvals: 2 });
    });
    await t.app.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    const effects: string[] = [];
    for (const by of ['ann', 'ann', 'bea'])
      effects.push((await run.approve('release', { by, idempotencyKey: 'decision' })).effect);
    expect(effects).toEqual(['taken', 'duplicate', 'kept']);
    await t.advance(10);
    // The decisions of the holder were for the waitpoint, and are none about the approval.
    expect(await run.result()).toMatchObject({ approved: true, decisions: [{ by: 'ann' }, { by: 'bea' }] });
  });

  it('keeps a signal that arrives before the handler waits', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ waitpoint }: TaskContext) => {
      const point = await waitpoint('go');
      await t.app.signals.deliver(point.envelope().reveal(), 'early');
      return point.wait();
    });
    await t.app.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    const worker = await t.app.worker();
    const run = await task.run(undefined);
    await t.advance(10);
    expect(await run.result()).toBe('early');
    expect(worker.stats().suspended).toBe(0);
  });

  it('has an address that is valid for this waitpoint only, and prints redacted', async () => {
    const { envelope, handedOut } = await opened();
    const [point] = handedOut as [Waitpoint];
    for (const secret of [point.envelope(), point.callback({ baseUrl: new URL('https://a.b') })]) {
      for (const text of [inspect({ secret }), JSON.stringify({ secret }), `${String(secret)}`]) {
        expect(text).toMatch(/REDACTED/);
        expect(text).not.toContain(secret.reveal());
      }
    }
    const address = addressIn(envelope);
    const wrong = [
      envelopeOf({ ...address, waitpointId: '00000000-0000-4000-a000-000000000000' }),
      envelopeOf({ ...address, token: `k1:${'0'.repeat(40)}` }),
      'x',
      '',
      5 as never,
    ];
    for (const each of wrong) expect(await codeOf(t.app.signals.deliver(each, {}))).toBe('invalid_token');
    for (const wrong of [{ baseUrl: 'no url' }, undefined, 'https://a.b', { url: 'https://a.b' }])
      expect(() => point.callback(wrong as never)).toThrow(InvalidDefinitionError);
  });

  it('refuses an address with any character changed, added or left out', async () => {
    const { run, task, urls, envelope } = await opened();
    await task.run(undefined);
    await t.advance(10);
    const other = addressIn(String(urls[1]).split('/').at(-1));
    const at = fc.nat({ max: envelope.length - 1 });
    const broken = fc.oneof(
      fc
        .tuple(at, fc.string({ unit: 'binary', maxLength: 3 }))
        .map(([n, text]) => envelope.slice(0, n) + text + envelope.slice(n + 1)),
      fc
        .tuple(at, fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }))
        .map(([n, text]) => envelope.slice(0, n) + text + envelope.slice(n)),
      at.map((n) => envelope.slice(0, n)),
      at.map((n) => envelope.slice(0, n) + envelope.charAt(n).toUpperCase() + envelope.slice(n + 1)),
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc
        .constantFrom<Partial<SignalAddress>>(
          { executionId: other.executionId },
          { waitpointId: other.waitpointId },
          { token: other.token },
        )
        .map((part) => envelopeOf({ ...addressIn(envelope), ...part })),
    );
    const messages = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        broken.filter((each) => each !== envelope),
        async (each) => {
          const error = await rejectionOf(t.app.signals.deliver(each, {}));
          expect(error).toMatchObject({ name: 'EngineError', code: 'invalid_token' });
          messages.add((error as Error).message);
        },
      ),
      { numRuns: 300 },
    );
    // One for what is no envelope, one for an envelope whose token is not that of its waitpoint.
    expect(messages.size).toBe(2);
    expect(await run.state()).toBe('suspended');
  });

  it('refuses a whole envelope that no handler made, whatever is in it, and tells its sender nothing', async () => {
    const { envelope } = await opened();
    const id = '00000000-0000-4000-a000-000000000000';
    const parts: Partial<SignalAddress>[] = [
      ...['x', `{fp:1}:${id}`, `{fp:99999}:${id}`, `{b:0}:${id}`].map((executionId) => ({ executionId })),
      { waitpointId: 'x' },
      ...['', '__x', 'x'.repeat(300), '\ud800'].map((signalName) => ({ signalName })),
      ...['', 'x'.repeat(300)].map((token) => ({ token })),
    ];
    for (const part of parts)
      expect(
        await rejectionOf(t.app.signals.deliver(envelopeOf({ ...addressIn(envelope), ...part }), {})),
      ).toMatchObject({
        code: 'invalid_token',
        message: expect.stringMatching(/no envelope of a signal.$/),
        detail: {},
      });
  });

  it('reports a timeout like other waits, and then its address is refused', async () => {
    const { run, envelope, handedOut } = await opened('1h');
    await t.advance('2h');
    expect((await run.info()).failure).toMatchObject({ category: 'wait_timeout', class: WaitTimeoutError.name });
    const late = await rejectionOf(t.app.signals.deliver(envelope, {}));
    expect(late).toMatchObject({
      code: 'target_not_signalable',
      message: expect.stringMatching(/has ended.* 200 .* 410/),
    });
    expect(() => handedOut.at(-1)?.envelope()).toThrow(/is over/);
  });

  it('accepts its address under the previous key during the grace, and under the new key', async () => {
    const { run, envelope } = await opened();
    await t.app.signals.rotateKey({ kid: 'k2', secret: SECRETS[1], grace: '1h' });
    await t.app.signals.rotateKey({ kid: 'k2', secret: SECRETS[1], grace: '1h' });
    await t.advance('2h');
    expect(await codeOf(t.app.signals.deliver(envelope, { cents: 1 }))).toBe('token_expired');
    expect(await run.signal('payment', { cents: 1 })).toMatchObject({ effect: 'taken' });
    await t.advance(10);
    expect(await run.result()).toBe(1);
  });

  it('is refused without a signing key, beside other waits, and with a timeout above seven days', async () => {
    t = testApp();
    const task = t.app.task('t', async ({ input, waitpoint, sleep }: TaskContext<string>) => {
      const point = await waitpoint('go', input === 'long' ? { timeout: '8d' } : {});
      await Promise.all([point.wait(), sleep('1d')]);
    });
    await t.app.worker();
    const failure = async (input: string) => {
      const run = await task.run(input);
      await t.advance('1h');
      return (await run.info()).failure?.message;
    };
    expect(await failure('keyless')).toMatch(/hmac_secret_not_initialized/);
    await t.app.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    expect(await failure('beside')).toMatch(/waits at a waitpoint and elsewhere at once/);
    expect(await failure('long')).toMatch(/at most 7 days/);
  });

  it.each([
    ['before the store has noticed it', 0],
    ['after the store has noticed it', 1],
  ])('times out in the same attempt if its time ends while the suspension is on its way, %s', async (_, isNoticed) => {
    const clock = new LoopClock(1_700_000_000_000);
    const h = harness(
      (inner) => ({
        execute: (async (commands: Commands) => {
          if (commands.some(({ name }) => name === 'suspendExecution')) {
            clock.block(5);
            if (isNoticed === 1) await inner.applyDue({ partition: '{fp:0}' });
          }
          return inner.execute(commands);
        }) as Execute,
      }),
      { clock },
    );
    const task = h.a.task('t', async ({ attempt, waitpoint, step }: TaskContext) => {
      const point = await waitpoint('go', { timeout: '1s' });
      await step('work', () => h.sleep(999));
      return [attempt, await point.wait({ onTimeout: 'value' })];
    });
    await h.a.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    await h.worker();
    const run = await task.run();
    expect(await h.flow(run.result())).toEqual([1, null]);
    expect(h.said.filter(([level]) => level === 'error')).toEqual([]);
    await h.close();
  });

  it('times out if its time ended between the claim of a run and its call there', async () => {
    const h = harness();
    const task = h.a.task('t', async ({ attempt, resumes, sleep, waitpoint }: TaskContext) => {
      if (resumes === 1) await h.sleep(600);
      const point = await waitpoint('go', { timeout: '1s' });
      await sleep('500ms');
      return [attempt, resumes, await point.wait({ onTimeout: 'value' })];
    });
    await h.a.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    await h.worker();
    const run = await task.run();
    expect(await h.flow(run.result())).toEqual([1, 1, null]);
    await h.close();
  });

  it('takes every signal that the store accepts, also if it was created late', async () => {
    let creations = 0;
    const clock = new LoopClock(1_700_000_000_000);
    const h = harness(
      (inner) => ({
        createPendingWaitpoint: (args) => {
          if (creations++ === 0) clock.block(5_000);
          return inner.createPendingWaitpoint(args);
        },
      }),
      { clock },
    );
    const envelopes: string[] = [];
    const task = h.a.task('t', async ({ waitpoint, step, sleep }: TaskContext) => {
      const point = await waitpoint('go', { timeout: '10s' });
      envelopes.push(point.envelope().reveal());
      await sleep('1s');
      await step('work', () => h.sleep(7_000));
      return point.wait({ onTimeout: 'value' });
    });
    await h.a.signals.rotateKey({ kid: 'k1', secret: SECRETS[0] });
    await h.worker();
    const run = await task.run();
    // Twelve of the fifteen seconds until the end of the waitpoint.
    await h.pass(7_000);
    expect(await h.a.signals.deliver(String(envelopes[0]), 'late')).toMatchObject({ effect: 'kept' });
    expect(await h.flow(run.result())).toBe('late');
    expect(new Set(envelopes).size).toBe(1);
    await h.close();
  });
});
