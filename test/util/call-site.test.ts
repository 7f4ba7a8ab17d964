/** The places in user code that errors name. */
import { afterEach, expect, it } from 'vitest';
import { callSiteOf, placeIn } from '../../src/util/call-site.js';

const limit = Error.stackTraceLimit;
const prepare = Error.prepareStackTrace;
afterEach(() => {
  Error.stackTraceLimit = limit;
  Error.prepareStackTrace = prepare;
});

/** A function of a package that calls another one of it, which remembers the caller of the first. */
function define(): () => string | undefined {
  const inner = (): (() => string | undefined) => callSiteOf(define);
  return inner();
}

it('are the first ones outside of the function, without folders', () => {
  const [place, here] = [define(), new Error('here').stack?.split('\n')[1] ?? ''];
  expect(place()).toMatch(/^call-site\.test\.ts:\d+$/);
  expect(here).toContain(`/${place()}:`);
  expect([1].map(define)[0]?.()).toBe(`call-site.test.ts:${Number(place()?.split(':')[1]) + 3}`);
});

it('are absent where there is no readable stack', () => {
  expect(callSiteOf(() => undefined)()).toBeUndefined();
  Error.stackTraceLimit = 0;
  expect(define()()).toBeUndefined();
  Error.stackTraceLimit = limit;
  const [read, failed] = [define(), define()];
  Error.prepareStackTrace = (_, frames) => frames;
  expect(read()).toBeUndefined();
  Error.prepareStackTrace = () => {
    throw new Error('broken');
  };
  expect(failed()).toBeUndefined();
});

it.each([
  ['at file:///srv/shop/orders.ts:12:5', 'orders.ts:12'],
  ['at async file:///srv/shop/orders.mjs:12:5', 'orders.mjs:12'],
  ['at Object.<anonymous> (/srv/my shop (old)/orders.cjs:12:5)', 'orders.cjs:12'],
  ['at new Shop (C:\\srv\\shop\\orders.js:12:5)', 'orders.js:12'],
  ['at file:///srv/shop/orders.ts?t=1700000000000:12:5', 'orders.ts:12'],
  ['at webpack://shop/./src/[id].ts:12:5', '[id].ts:12'],
  ['at a (/srv/shop/dist/bundle.js:1:90210)', 'bundle.js:1'],
  ['at Array.map (<anonymous>)\n    at /srv/shop/orders.js:12:5', 'orders.js:12'],
  ['at eval (eval at load (/srv/shop/load.js:3:9), <anonymous>:1:1)\n    at load (/srv/shop/load.js:3:9)', 'load.js:3'],
  ['at [eval]:1:1\n    at runScriptInThisContext (node:internal/vm:209:10)', undefined],
  ['at Module._compile (node:internal/modules/cjs/loader:1554:14)', undefined],
  ['at native', undefined],
])('are read from a frame: %s', (frame, place) => {
  expect(placeIn(`Error\n    ${frame}`)).toBe(place);
});
