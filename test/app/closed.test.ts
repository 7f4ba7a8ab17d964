/** Calls that are under way when their app is closed. */
import { expect, it } from 'vitest';
import { app, EngineError, memory, type App, type Backend } from '../../src/index.js';
import { rejectionOf, settles } from './support.js';

/** An app whose calls of these names get no answer, until its backend is closed; on request they fail at once instead. */
function silentApp(names: readonly (keyof Backend)[], failing?: 'transport_failed'): { a: App; silence: () => void } {
  const inner = memory();
  const left: ((error: EngineError) => void)[] = [];
  let isSilent = false;
  const silent = Object.fromEntries(
    names.map((name) => [
      name,
      (...args: unknown[]) => {
        if (!isSilent) return (inner[name] as (...given: unknown[]) => unknown)(...args);
        if (failing !== undefined) return Promise.reject(new EngineError(failing, 'no.'));
        return new Promise((_resolve, reject) => left.push(reject));
      },
    ]),
  );
  const close = async (): Promise<void> => {
    for (const reject of left) reject(new EngineError('backend_closed', 'closed.'));
    await inner.close();
  };
  const backend = Object.assign(Object.create(inner) as Backend, silent, { close });
  return { a: app({ backend, closeBackend: failing === undefined }), silence: () => void (isSilent = true) };
}

const NAMES = [
  'createExecution',
  'execute',
  'createFlow',
  'readExecutionState',
  'cancelExecution',
  'describeFlow',
  'readCounts',
] as const;

it.each([undefined, 'transport_failed'] as const)(
  'calls under way end with the app, whatever its backend answers: %s',
  async (failing) => {
    const { a, silence } = silentApp(NAMES, failing);
    const task = a.task('t', () => 1);
    const flow = a.flow('f', (f) => {
      f.run(task);
    });
    const [run, graph] = [await task.run(), await flow.run()];
    silence();
    const calls = {
      run: task.run(),
      runMany: task.runMany([undefined]),
      flow: flow.run(),
      state: run.state(),
      cancel: run.cancel(),
      'state of a flow': graph.state(),
      counts: a.counts(),
      'a run that is looked up': flow.get(graph.id).state(),
    };
    const ended = Promise.all(
      Object.entries(calls).map(async ([name, call]) => [name, ((await rejectionOf(call)) as { code: unknown }).code]),
    );
    expect(await settles(ended)).toBe(false);
    const closedAt = performance.now();
    await a.close({ timeout: 0 });
    expect(await ended).toEqual(Object.keys(calls).map((name) => [name, 'app_closed']));
    // Not when a call would have been given up.
    expect(performance.now() - closedAt).toBeLessThan(5_000);
  },
);
