/** One program with both copies of the package, as in a repository whose parts are compiled differently. */
import { createRequire } from 'node:module';
import { app } from 'flowfabric';
import { WorkFinder } from 'flowfabric/engine';

const cjs = createRequire(import.meta.url)('flowfabric');
if (cjs.app === app) throw new Error('these are not two copies');
if (createRequire(import.meta.url)('flowfabric/engine').WorkFinder === WorkFinder)
  throw new Error('these are not two copies');

// The backend of one copy under the app of the other, in both directions.
for (const [makeApp, makeBackend] of [
  [app, cjs.memory],
  [cjs.app, (await import('flowfabric/memory')).memory],
]) {
  const a = makeApp({ backend: makeBackend() });
  const hello = a.task('hello', ({ input }) => `Hello, ${input.name}!`);
  await a.worker();
  if ((await hello.run({ name: 'World' }).result()) !== 'Hello, World!') throw new Error('the task did not run');
  await a.close();
}
console.log('both formats: ok');
