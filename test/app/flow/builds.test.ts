/** A flow whose creator still adds members to it: others wait for it, or cancel it. */
import { expect, test } from 'vitest';
import { FlowCancelledError } from '../../../src/shared/errors.js';
import { testApp, type TestApp } from '../../../src/testing/index.js';
import { rejectionOf, settles } from '../support.js';

/** More than one call creates. */
const NODES = 501;

const nodesOf = (app: TestApp['app'], returns: boolean) => {
  const step = app.task('step', () => 1);
  return app.flow('long', (f) => {
    const nodes = Array.from({ length: NODES }, () => f.run(step));
    return returns ? nodes.at(-1) : undefined;
  });
};

test.each([true, false])(
  'is over when it is cancelled: its result says so, and its end is announced (returns a value: %s)',
  async (returns) => {
    await using t = testApp();
    const { app, backend } = t;
    const flow = nodesOf(app, returns);
    await app.worker();
    const ended: string[] = [];
    await app.on('flowCancelled', ({ reason }) => ended.push(reason));
    const { growFlow } = backend;
    backend.growFlow = async (args) => {
      await flow.get({ id: 'own' }).cancel('not wanted');
      return growFlow(args);
    };
    expect(await rejectionOf(flow.run(undefined, { id: 'own' }))).toMatchObject({ code: 'flow_already_terminal' });
    const result = rejectionOf(flow.get({ id: 'own' }).result({ timeout: '30s' }));
    await t.advance('1m');
    expect(await result).toBeInstanceOf(FlowCancelledError);
    expect(ended).toEqual(['not wanted']);
    expect(await flow.get({ id: 'own' }).explain()).toMatchObject({ state: 'cancelled', members: [] });
  },
);

test('its result waits for members that are not created yet', async () => {
  await using t = testApp();
  const flow = nodesOf(t.app, true);
  await t.app.worker({ slots: NODES });
  const { growFlow } = t.backend;
  let results: Promise<unknown> | undefined;
  t.backend.growFlow = async (args) => {
    results ??= Promise.resolve(flow.get({ id: 'own' }).result());
    results.catch(() => undefined);
    await settles(results);
    return growFlow(args);
  };
  await flow.run(undefined, { id: 'own' });
  await t.advance('1m');
  expect(await results).toBe(1);
});
