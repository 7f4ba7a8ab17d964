/** What a process remembers of the flows that it has created. */
import { expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { localFlows } from '../../src/engine/local-flows.js';
import { localOffers } from '../../src/engine/local-offers.js';

const work = { laneId: 'l', partition: '{fp:0}', executionKind: 'k', requiredCapabilities: [] };
const upstreamOf = (flow: number): string => `{fp:0}:${flow}`;

test('a process that only creates flows remembers a bounded number of edges, the newest', () => {
  const backend = {} as Backend;
  let offers = 0;
  localOffers(backend).listen(() => {
    offers++;
    return true;
  });
  const flows = localFlows(backend);
  for (let flow = 0; flow < 100; flow++)
    flows.add(Array.from({ length: 499 }, () => ({ upstreams: [upstreamOf(flow)], needed: 1, work })));
  flows.completing(upstreamOf(99));
  expect(offers).toBe(499);
  for (let flow = 0; flow < 99; flow++) flows.completing(upstreamOf(flow));
  expect(offers).toBe(20 * 499);
});
