/** A call whose answer was lost is made again, and says what the first one did. */
import { afterEach, describe, expect, it } from 'vitest';
import { app, EngineError, memory, type App, type Backend, type TaskContext } from '../../src/index.js';

let a: App | undefined;
afterEach(() => a?.close({ timeout: 0 }));

/** An app on a backend that loses the first answer to a call. */
function losing(call: 'signalExecution' | 'deliverSignal' | 'cancelFlowHeader'): App {
  const inner = memory();
  let lost = 0;
  const backend = Object.assign(Object.create(inner) as Backend, {
    [call]: async (args: never) => {
      const answer: unknown = await inner[call](args);
      if (lost++ > 0) return answer;
      throw new EngineError('call_timeout', 'no answer.');
    },
  });
  return (a = app({ backend }));
}

describe('after a lost answer', () => {
  it.each(['kept', 'taken'] as const)('a signal without a key is %s, and no duplicate', async (effect) => {
    const a = losing('signalExecution');
    const task = a.task('t', ({ waitFor }: TaskContext<undefined>) => waitFor<number>('go'));
    const run = await task.run();
    if (effect === 'taken') {
      await a.worker();
      await expect.poll(() => run.state()).toBe('suspended');
    }
    expect(await run.signal('go', 5)).toMatchObject({ effect });
    const names: string[] = [];
    for await (const { name } of run.signals()) names.push(name);
    expect(names).toEqual(['go']);
  });

  it('a signal by envelope is taken, and no duplicate', async () => {
    const a = losing('deliverSignal');
    let envelope = '';
    const task = a.task('t', async ({ waitpoint }: TaskContext<undefined>) => {
      const point = await waitpoint('paid');
      envelope ||= point.envelope().reveal();
      return point.wait<number>();
    });
    await a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32) });
    await a.worker();
    const run = await task.run();
    await expect.poll(() => run.state()).toBe('suspended');
    expect(await a.signals.deliver(envelope, 5)).toMatchObject({ effect: 'taken' });
    expect(await run.result()).toBe(5);
  });

  it('a signal with a key can have been sent before', async () => {
    const a = losing('signalExecution');
    const run = await a.task('t', () => 1).run();
    expect(await run.signal('go', 5, { idempotencyKey: 'k' })).toMatchObject({ effect: 'duplicate' });
  });

  it('the cancellation of a flow is its own, and that of another call is not', async () => {
    const a = losing('cancelFlowHeader');
    const task = a.task('t', () => 1);
    const flow = a.flow('f', (f) => f.run(task));
    const run = await flow.run();
    expect(await run.cancel('not wanted')).toBe(true);
    expect(await run.cancel('not wanted')).toBe(false);
  });

  it('a flow that another call has cancelled was cancelled by that', async () => {
    const a = losing('cancelFlowHeader');
    const task = a.task('t', () => 1);
    const run = await a.flow('f', (f) => f.run(task)).run();
    const backend = await a.backend();
    await backend.cancelFlowHeader({ flowId: run.id, reason: 'first' }).catch(() => undefined);
    expect(await run.cancel('second')).toBe(false);
  });
});
