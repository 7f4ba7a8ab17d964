/** One program with both copies of the package, as in a repository whose parts are compiled differently. */
import { createRequire } from 'node:module';
import { app } from 'flowfabric';
import { newId, Subscriptions, WorkFinder } from 'flowfabric/engine';

const cjs = createRequire(import.meta.url)('flowfabric');
if (cjs.app === app) throw new Error('these are not two copies');
const cjsEngine = createRequire(import.meta.url)('flowfabric/engine');
if (cjsEngine.WorkFinder === WorkFinder) throw new Error('these are not two copies');

// The backend of one copy under the app of the other, in both directions.
for (const [makeApp, makeBackend] of [
  [app, cjs.memory],
  [cjs.app, (await import('flowfabric/memory')).memory],
]) {
  const a = makeApp({ backend: makeBackend() });
  const hello = a.task('hello', ({ input }) => `Hello, ${input.name}!`);
  await a.worker();
  const run = await hello.run({ name: 'World' });
  if ((await run.result()) !== 'Hello, World!') throw new Error('the task did not run');
  // Errors of the backend mean the same to the app of the other copy.
  if (await run.cancel()) throw new Error('a run that has ended was cancelled');
  const unknown = await a
    .get(`{fp:0}:${newId()}`)
    .info()
    .catch(({ code }) => code);
  if (unknown !== 'run_not_found') throw new Error(`a run that is not there: ${unknown}`);
  const backend = await a.backend();
  const snapshot = await new cjsEngine.Subscriptions(backend).snapshot();
  for await (const _ of snapshot);
  await (await new Subscriptions(backend).events({ from: snapshot })).close();
  await a.close();
}
console.log('both formats: ok');
