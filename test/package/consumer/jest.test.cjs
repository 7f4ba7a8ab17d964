/** Jest as it comes: CommonJS, its own module registry, its own realm. */
const { app, EngineError, memory, NonRetryableError } = require('flowfabric');
const { testApp } = require('flowfabric/testing');

test('a task runs', async () => {
  const a = app({ backend: memory() });
  const hello = a.task('hello', ({ input }) => `Hello, ${input.name}!`);
  await a.worker();
  expect(await hello.run({ name: 'World' }).result()).toBe('Hello, World!');
  await a.close();
});

test('errors are recognised, and virtual time moves', async () => {
  const t = testApp();
  let tries = 0;
  const never = t.app.task('never', { retry: { failures: 3 } }, () => {
    tries += 1;
    throw new NonRetryableError('no');
  });
  await t.app.worker();
  const run = never.run(undefined);
  await t.advance('1d');
  expect(await run.state()).toBe('failed');
  expect(tries).toBe(1);
  expect(EngineError.prototype).toBeInstanceOf(Error);
  await t.close();
});

test('the other entry points load', () => {
  for (const name of ['flowfabric/engine', 'flowfabric/memory', 'flowfabric/valkey'])
    expect(Object.keys(require(name)).length).toBeGreaterThan(0);
});
