/** Metered work that was created while no worker listened: nothing announced it to the workers that come later. */
import { afterEach, describe, expect, test } from 'vitest';
import { app, child, memory, type App, type TaskContext } from '../../src/index.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const opened: App[] = [];
let prefixes = 0;

const BACKENDS = {
  memory: () => memory(),
  valkey: async () => valkey({ url: (await sharedValkey()).url, prefix: `before-${process.pid}-${prefixes++}:` }),
} as const;

const FLOW = '{fp:0}:00000000-0000-4000-a000-000000000001';
const MEMBER = '{fp:0}:00000000-0000-4000-a000-000000000002';
const QUOTA = '00000000-0000-4000-a000-000000000003';

const METERS = {
  quota: () => ({ quota: { concurrency: 5 } }),
  budget: (a: App) => ({ budget: a.budget('b', { limits: { tokens: { hard: 100 } } }) }),
} as const;

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

const names = Object.keys(BACKENDS) as (keyof typeof BACKENDS)[];
const meters = Object.keys(METERS) as (keyof typeof METERS)[];

describe.each(names)('on %s', (name) => {
  async function appOn(): Promise<App> {
    const a = app({ backend: await BACKENDS[name]() });
    opened.push(a);
    return a;
  }

  describe.each(meters)('with a %s', (meter) => {
    async function metered() {
      const a = await appOn();
      const task = a.task('metered', { lane: 'metered', ...METERS[meter](a) }, () => 'done');
      return { a, task };
    }

    test('members of a flow', async () => {
      const { a, task } = await metered();
      const run = await a.flow('small', (f) => f.run(task)).run();
      await a.worker();
      expect(await run.result({ timeout: '10s' })).toBe('done');
    });

    test('children', async () => {
      const { a, task } = await metered();
      const parent = a.task('parent', ({ children }: TaskContext) => children.all([child(task)]));
      await a.worker({ tasks: [parent] });
      const run = await parent.run();
      await expect.poll(async () => (await run.info()).state).toBe('waiting_children');
      await a.worker({ tasks: [task] });
      expect(await run.result({ timeout: '10s' })).toEqual(['done']);
    });
  });

  test('members that were added to a flow', async () => {
    const a = await appOn();
    const backend = await a.backend();
    a.task('grown', () => 'done');
    const [flowId, executionId] = [FLOW, MEMBER];
    const quota = { quotaPolicyId: QUOTA, windowSeconds: 1, maxRequestsPerWindow: 0, maxConcurrent: 5 };
    const members = [{ executionId, laneId: 'grown', executionKind: 'grown', policy: { keyedQuotas: [quota] } }];
    await backend.createFlow({ flowId, flowKind: 'open', namespace: 'default', creatorIdentity: 'test' });
    await backend.growFlow({ flowId, creatorIdentity: 'test', graph: { members } });
    await a.worker();
    expect(await a.get(executionId).result({ timeout: '10s' })).toBe('done');
  });
});
