/** A process of its own in which creations fail; it tells its parent what became unhandled rejections. */
import { setTimeout as pause } from 'node:timers/promises';
import { app, EngineError, memory, type Backend, type Schema } from '../../src/index.js';

const seen: string[] = [];
process.on('unhandledRejection', (error) => seen.push((error as { code?: string }).code ?? String(error)));

const schema: Schema<number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => (typeof value === 'number' ? { value } : { issues: [{ message: 'not a number' }] }),
  },
};
const a = app({ backend: memory() });
const t = a.task('t', { input: schema }, ({ input }) => input);
const plain = a.task<unknown, number>('plain');
const refusing = app({
  backend: Object.assign(Object.create(memory()) as Backend, {
    createExecution: async () => Promise.reject(new EngineError('server_refused', 'NOPERM.')),
  }),
});
const refused = refusing.task<unknown, number>('refused');
const wrong = (): ReturnType<typeof t.run> => t.run('text' as never);
const ignore = (): void => undefined;

const started: Record<string, () => unknown> = {
  'input that the schema refuses': wrong,
  'an input that is no JSON': () => plain.run(10n),
  'an unknown option': () => t.run(1, { dealy: '5s' } as never),
  'an id that is too long': () => t.run(1, { id: 'x'.repeat(300) }),
  'a priority that is no number': () => t.run(1, { priority: 'high' as never }),
  'many, one of them wrong': () => t.runMany([1, 'text' as never]),
  'a store that refuses': () => refused.run(1),
  'awaited itself': () => wrong().then(undefined, ignore),
  'its id awaited': () => wrong().id.catch(ignore),
  'its result awaited': () => wrong().result().catch(ignore),
  'awaited twice': () => {
    const run = wrong();
    return Promise.all([run.then(undefined, ignore), run.result().catch(ignore)]);
  },
  'a look at a run, of which nothing is awaited': () => t.get('{fp:0}:00000000-0000-7000-8000-000000000000'),
  'after the end of the app': async () => {
    await a.close();
    void t.run(1);
  },
};
const told: Record<string, string[]> = {};
for (const [name, start] of Object.entries(started)) {
  seen.length = 0;
  // What it returns is not looked at: that is what is tried here.
  start();
  await pause(60);
  told[name] = [...seen];
}
process.send?.(told);
process.disconnect?.();
