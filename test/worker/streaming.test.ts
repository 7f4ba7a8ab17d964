/** What a worker does with the frames of its handlers when calls fail, and when the work is lost. */
import { afterEach, expect, it } from 'vitest';
import { EngineError, type Backend, type TaskContext } from '../../src/index.js';
import { rejectionOf, settles } from '../app/support.js';
import { harness, type Commands, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

/** A harness in which calls with frames meet faults, in this order; `lost` carries them out all the same. */
function withFaults(...faults: ('fails' | 'refused' | 'lost' | 'passes')[]): { calls: Commands[] } {
  const calls: Commands[] = [];
  h = harness((inner) => ({
    execute: (async (commands: Commands) => {
      if (!commands.some(({ name }) => name === 'appendFrame')) return inner.execute(commands);
      calls.push(commands);
      const fault = faults.shift();
      if (fault === 'fails') throw new EngineError('transport_failed', 'gone');
      if (fault === 'refused') throw new EngineError('server_refused', 'no rights for a moment');
      const results = await inner.execute(commands);
      if (fault === 'lost') throw new EngineError('call_timeout', 'no answer');
      return results;
    }) as Backend['execute'],
  }));
  return { calls };
}

async function textOf(run: { stream(): { text(): AsyncIterable<string> } }): Promise<string> {
  let text = '';
  for await (const piece of run.stream().text()) text += piece;
  return text;
}

it('frames are stored once and in order although their calls fail or answers are lost', async () => {
  const { calls } = withFaults('lost', 'fails', 'refused', 'lost');
  const task = h.a.task('t', async ({ stream }: TaskContext<null>) => {
    for (const letter of 'abc') void stream.text(letter);
    await stream.flush();
    void stream.text('d');
    void stream.text('e');
    return 'ok';
  });
  await h.worker();
  const run = task.run(null);
  expect(await h.flow(run.result())).toBe('ok');
  expect(await h.flow(textOf(run))).toBe('abcde');
  expect(calls.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3, 2]);
});

it('the frames of a step are stored before its value, also when their call has to be repeated', async () => {
  const stored: string[] = [];
  let isFirst = true;
  h = harness((inner) => ({
    execute: (async (commands: Commands) => {
      if (!commands.some(({ name }) => name === 'appendFrame')) return inner.execute(commands);
      if (isFirst) {
        isFirst = false;
        throw new EngineError('transport_failed', 'gone');
      }
      stored.push('frames');
      return inner.execute(commands);
    }) as Backend['execute'],
    recordStep: (args) => {
      stored.push('step');
      return inner.recordStep(args);
    },
  }));
  const task = h.a.task('t', ({ step, stream }: TaskContext<null>) => step('say', () => stream.text('out')));
  await h.worker();
  await h.flow(task.run(null).result());
  expect(stored).toEqual(['frames', 'step']);
});

it('the writes of a handler that lost its work reject, and nothing of them is stored', async () => {
  withFaults();
  const told: unknown[] = [];
  const task = h.a.task('t', async ({ stream, signal, executionId }: TaskContext<null>) => {
    await stream.text('mine');
    await stream.flush();
    await h.inner.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
    void stream.text('late');
    told.push(await rejectionOf(stream.flush()), signal.reason, await rejectionOf(stream.text('later')));
  });
  await h.worker();
  const run = await task.run(null);
  await h.until(() => told.length === 3);
  expect(told).toMatchObject([{ code: 'cancelled' }, { code: 'cancelled' }, { code: 'cancelled' }]);
  expect(await h.flow(textOf(run))).toBe('mine');
});

it('a handler that writes after its worker gave up the lease does not complete without its frames', async () => {
  h = harness((inner) => ({
    execute: (async (commands: Commands) => {
      if (commands.some(({ name }) => name === 'renewLease')) throw new EngineError('transport_failed', 'gone');
      return inner.execute(commands);
    }) as Backend['execute'],
  }));
  const task = h.a.task('t', async ({ stream, signal }: TaskContext<null>) => {
    void stream.text('early');
    while (!signal.aborted) await h.sleep(20);
    void stream.text('late');
    return 'ok';
  });
  const outcomes: string[] = [];
  (await h.worker({ leaseTtl: '3s' })).on('finished', ({ outcome }) => outcomes.push(outcome));
  const run = await task.run(null);
  await h.until(() => outcomes.length === 1);
  expect(outcomes).toEqual(['lost']);
  // The engine still grants the lease: it would have accepted the result.
  expect(await h.inner.readExecutionState({ executionId: run.id })).toBe('active');
});

it('frames that are left when the handler ends are stored before its ending, and later writes are not done and never settle', async () => {
  const { calls } = withFaults();
  let kept: TaskContext<null>['stream'] | undefined;
  const task = h.a.task('t', ({ stream }: TaskContext<null>) => {
    kept = stream;
    void stream.text('last words');
    return 'ok';
  });
  await h.worker();
  const run = task.run(null);
  expect(await h.flow(run.result())).toBe('ok');
  expect(await settles(kept?.text('from the grave'))).toBe(false);
  expect(await h.flow(textOf(run))).toBe('last words');
  expect(calls).toHaveLength(1);
});

it('a write waits while more than 256 KiB are not stored, and continues when there is room', async () => {
  let store: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (store = resolve));
  h = harness((inner) => ({
    execute: (async (commands: Commands) => {
      if (commands.some(({ name }) => name === 'appendFrame')) await gate;
      return inner.execute(commands);
    }) as Backend['execute'],
  }));
  const written: number[] = [];
  const task = h.a.task('t', async ({ stream }: TaskContext<null>) => {
    const piece = 'x'.repeat(60_000);
    for (let count = 1; count <= 6; count++) {
      await stream.text(piece);
      written.push(count);
    }
  });
  await h.worker();
  const run = task.run(null);
  await h.until(() => written.length >= 4);
  await h.pass(1_000);
  expect(written).toEqual([1, 2, 3, 4]);
  store();
  await h.flow(run.result());
  expect(written).toEqual([1, 2, 3, 4, 5, 6]);
});

it('a character whose halves come in two chunks is one character, also with other texts in between', async () => {
  withFaults();
  const task = h.a.task('t', ({ stream }: TaskContext<null>) => {
    void stream.text('a\ud83d');
    void stream.text('b\ud83d', { correlationId: 'other' });
    void stream.json({ n: 1 });
    void stream.text('\ude00c');
    void stream.text('\ude01', { correlationId: 'other' });
    void stream.text('');
    void stream.text('\ud83d');
    void stream.text('\ude02');
    void stream.text('end \ud83d');
  });
  await h.worker();
  const run = task.run(null);
  await h.flow(run.result());
  const frames: string[] = [];
  const read = async (): Promise<void> => {
    for await (const frame of run.stream()) {
      if (frame.kind === 'text') frames.push(`${frame.text} ${frame.correlationId}`);
      else frames.push(frame.kind);
    }
  };
  await h.flow(read());
  expect(frames).toEqual([
    'a undefined',
    'b other',
    'json',
    '😀c undefined',
    '😁 other',
    ' undefined',
    '😂 undefined',
    'end  undefined',
    '\ufffd undefined',
  ]);
  expect(h.said.filter(([, message]) => message.includes('half of a character'))).toHaveLength(1);
});
