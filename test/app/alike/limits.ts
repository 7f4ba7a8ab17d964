/** Mistakes and limits: the same class, code and words everywhere, and nothing is stored. */
import { expect } from 'vitest';
import type { App, TaskContext } from '../../../src/index.js';
import { refusalOf, type Scenario } from './world.js';

const MIB = 1024 * 1024;
const tagsOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`t.n${index}`, '']));

/** Calls that are refused, by what is wrong with them. */
const MISTAKES: Readonly<Record<string, (a: App) => unknown>> = {
  'an input of 9 MiB': (a) => a.task('t1').run(new Uint8Array(9 * MIB)),
  'one of many inputs of 9 MiB': (a) => a.task('t2').runMany([1, 'x'.repeat(9 * MIB)]),
  'an input that is no JSON': (a) => a.task('t3').run({ at: [new Map()] } as never),
  'too many tags': (a) => a.task('t4').run(1, { tags: tagsOf(1_000) }),
  'a tag without a dot': (a) => a.task('t5').run(1, { tags: { region: 'eu' } as never }),
  'a tag of the engine': (a) => a.task('t6').run(1, { tags: { 'flowfabric.x': 'y' } }),
  'a tag of 2 KiB': (a) => a.task('t7').run(1, { tags: { 'a.b': 'x'.repeat(2_048) } }),
  'an empty id': (a) => a.task('t8').run(1, { id: '' }),
  'an id of 300 bytes': (a) => a.task('t9').run(1, { id: 'ü'.repeat(150) }),
  'an id and a key': (a) => a.task('t10').run(1, { id: 'a', idempotencyKey: 'b' }),
  'a priority of 9 001': (a) => a.task('t11').run(1, { priority: 9_001 }),
  'a delay that is none': (a) => a.task('t12').run(1, { delay: '5 s' as never }),
  'an unknown option': (a) => a.task('t13').run(1, { dealy: '5s' } as never),
  'a task without a name': (a) => a.task(''),
  'a name of 300 bytes': (a) => a.task('x'.repeat(300)),
  'a lane of 65 bytes': (a) => a.task('t14', { lane: 'x'.repeat(65) }),
  'needs as a text': (a) => a.task('t15', { needs: 'gpu' as never }),
  'negative retries': (a) => a.task('t16', { retry: { failures: -1 } }),
  'an id of no run': (a) => a.get('no run').state(),
  'an id of a partition that does not exist': (a) => a.get('{fp:900}:00000000-0000-4000-a000-000000000000').state(),
  'an id of another kind': (a) => a.get('{b:0}:00000000-0000-4000-a000-000000000000').state(),
  'a lane without a name': (a) => a.lane(''),
  'a budget with an odd limit': (a) => a.budget('b', { limits: { tokens: { hard: -1 } } }).status(),
  'a budget that nobody made': (a) => a.budget('none').status(),
  'a worker without tasks': (a) => a.worker({ tasks: [] }),
  'a lease of 10 ms': (a) => a.worker({ leaseTtl: '10ms' }),
  'a filter of an unknown state': async (a) => {
    for await (const _ of a.runs({ state: 'done' as never }));
  },
  'an event that does not exist': (a) => a.on('done' as never, () => undefined),
  'a stream from nowhere': async (a) => {
    for await (const _ of a.get('{fp:0}:00000000-0000-4000-a000-000000000000').stream({ from: 'x' }));
  },
};

export const LIMITS_OF_USERS: readonly Scenario[] = [
  {
    name: 'mistakes are refused with the same class, code and words',
    partitions: 4,
    run: async ({ open }) => {
      const a = await open();
      const told: Record<string, unknown> = {};
      for (const [what, call] of Object.entries(MISTAKES)) told[what] = await refusalOf(async () => call(a));
      expect(Object.entries(told).filter(([, error]) => error === 'nothing was refused')).toEqual([]);
      expect((await a.counts()).total).toBe(0);
      return told;
    },
  },
  {
    name: 'limits inside handlers are refused alike, and the run says so',
    run: async ({ open }) => {
      const a = await open();
      const calls: Readonly<Record<string, (context: TaskContext<string>) => unknown>> = {
        percent: ({ progress }) => progress(150),
        message: ({ progress }) => progress(1, 'x'.repeat(2_000)),
        step: ({ step }) => step('', () => 1),
        large: ({ step }) => step('large', () => 'x'.repeat(9 * MIB)),
        nested: ({ step }) => step('outer', () => step('inner', () => 1) as never),
        frame: ({ stream }) => stream.write(new Uint8Array(65 * 1024)),
        odd: ({ stream }) => stream.json(new Map() as never),
        sleep: ({ sleep }) => sleep('-1s' as never),
        signal: ({ waitFor }) => waitFor(''),
        budget: ({ budget }) => budget({} as never),
      };
      const task = a.task('t', async (context: TaskContext<string>) => {
        await calls[context.input]?.(context);
      });
      await a.worker({ slots: 4 });
      const told: Record<string, unknown> = {};
      for (const what of Object.keys(calls)) told[what] = await refusalOf(() => task.run(what).result());
      const waits = await a.task('waits').run(undefined);
      return {
        told,
        payload: await refusalOf(() => waits.signal('s', 'x'.repeat(70_000))),
        name: await refusalOf(() => waits.signal('')),
        longName: await refusalOf(() => waits.signal('x'.repeat(300))),
        noOne: await refusalOf(() => waits.approve('deploy', {} as never)),
      };
    },
  },
];
