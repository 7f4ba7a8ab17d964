/** What keeping counts and an indexed tag costs the server, in instructions. */
import { Redis as Valkey } from 'iovalkey';
import { luaFiles } from '../../lua/files.js';
import { library, libraryOf } from '../../lua/library.js';
import { valkey } from '../../src/valkey/index.js';
import { completeAndClaim, createMany } from '../calls.js';
import { CallgrindServer } from '../callgrind.js';
import { groups, listCostRows } from '../names.js';
import type { Row } from '../rows.js';
import { scaled, type Scenario } from '../scenario.js';

/** Commands of one kind in a call. */
const CALL_SIZES = [16, 1] as const;

/** Lifecycles that are counted per figure; with fewer, starting and stopping the count would be in it. */
const LIFECYCLES = 960;
const LEAST_LIFECYCLES = 480;

const WAITING = 1_000;
const FILL_CALL = 50;
const WARM_UP_CALLS = 8;
const CALL_TIMEOUT_MS = 60_000;

const TAG = 'a.team';
const COUNTS = 'schedule/counts.lua';
/** Where a transition is counted. */
const COUNTING = 'function ff.tally(_, lane_id, from, to, moved)\n';

/** The function library without counts: what is not kept costs nothing. */
function withoutCounts(): string {
  const files = luaFiles();
  const text = files[COUNTS]?.replace(COUNTING, `${COUNTING}  if lane_id then return end\n`);
  if (text === undefined || text === files[COUNTS]) throw new Error(`${COUNTS} does not count where it did.`);
  return libraryOf('production', { ...files, [COUNTS]: text }).source;
}

export const listCostScenario: Scenario = {
  name: 'list-cost',
  title: 'server instructions for counts and an indexed tag, under callgrind (needs valgrind)',
  notQuick: true,
  run: async (context) => {
    const server = await CallgrindServer.start();
    try {
      const rows: Row[] = [];
      const count = Math.max(LEAST_LIFECYCLES, scaled(context, LIFECYCLES));
      for (const size of CALL_SIZES) {
        for (const isKept of [false, true]) {
          const values = [await instructions(server, size, count, isKept)];
          const name = isKept ? listCostRows.kept(size) : listCostRows.without(size);
          rows.push({ group: groups.listCost, name, unit: 'instructions', values });
        }
      }
      return rows;
    } finally {
      await server.stop();
    }
  },
};

/** Of a lifecycle of an execution with a tag: with counts and the tag indexed, or with neither. */
async function instructions(server: CallgrindServer, size: number, count: number, isKept: boolean): Promise<number> {
  const admin = new Valkey(server.address.url);
  // Of another measurement, perhaps: a backend refuses a library that it does not know.
  await admin.call('FUNCTION', 'FLUSH');
  const backend = await valkey({
    url: server.address.url,
    prefix: `${isKept}-${size}:`,
    partitions: { count: 1 },
    callTimeoutMs: CALL_TIMEOUT_MS,
    indexedTags: isKept ? [TAG] : [],
  });
  try {
    await admin.call('FUNCTION', 'LOAD', 'REPLACE', isKept ? library().source : withoutCounts());
    const create = (many: number): Promise<unknown> => createMany(backend, many, { tags: { [TAG]: 'core' } });
    const calls = Math.max(2, Math.floor(count / size));
    for (let stored = 0; stored < WAITING; stored += FILL_CALL) await create(FILL_CALL);
    for (let call = 0; call < WARM_UP_CALLS; call += 1) await create(size);
    const created = await server.measure(async () => {
      for (let call = 0; call < calls; call += 1) await create(size);
    });
    let held = await completeAndClaim(backend, [], size);
    for (let call = 0; call < WARM_UP_CALLS; call += 1) held = await completeAndClaim(backend, held, size);
    const drained = await server.measure(async () => {
      for (let call = 0; call < calls; call += 1) held = await completeAndClaim(backend, held, size);
    });
    return (created.total + drained.total) / (calls * size);
  } finally {
    admin.disconnect();
    await backend.close();
  }
}
