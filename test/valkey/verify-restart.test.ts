/** A listing of keys that goes on at another process of the server: its order is another one. The server is a stub. */
import type { Valkey } from 'iovalkey';
import { expect, test } from 'vitest';
import { shortIdOf } from '../../model/short-id.js';
import type { LibraryCalls } from '../../src/valkey/calls/library-calls.js';
import type { CallRetrier } from '../../src/valkey/connection/call-retrier.js';
import { PartitionVerifier } from '../../src/valkey/verify/partition-verifier.js';

const IDS = Array.from({ length: 4 }, (_, i) => shortIdOf(`00000000-0000-4000-8000-00000000000${i}`));

test('a listing of keys begins anew when the server was restarted during it', async () => {
  let run = 0;
  let isRestarted = false;
  const server = {
    info: async () => `run_id:${run}\r\n`,
    /** Two keys a page; a restart turns their order round. */
    async scan(cursor: string) {
      const keys = run % 2 === 0 ? IDS : IDS.toReversed();
      const page = keys.slice(Number(cursor), Number(cursor) + 2).map((id) => `ff:{fp:0}:${id}`);
      if (!isRestarted) run++;
      isRestarted = true;
      return [cursor === '0' ? '2' : '0', page];
    },
  };
  const wasListed = new Error('the records are examined');
  const examined: string[] = [];
  const calls = {
    header: () => [],
    keys: () => [],
    async call(_: string, __: unknown, [name = '', ...args]: string[]) {
      if (name === 'records' && args.length > 0) {
        examined.push(...args);
        throw wasListed;
      }
      if (name === 'records') return [['0-0', '', '', '', '0', '1']];
      if (name === 'types') return [[]];
      if (name === 'listed') return [['0', []]];
      return ['scored', 'names'].includes(name) ? [['0', '0', '0']] : [name === 'broken' ? '' : 0];
    },
  };
  const verifier = new PartitionVerifier({
    calls: calls as unknown as LibraryCalls,
    client: server as unknown as Valkey,
    retrier: { make: (call: () => unknown) => call() } as unknown as CallRetrier,
    prefix: 'ff:',
  });
  await expect(verifier.verify('{fp:0}', false)).rejects.toBe(wasListed);
  expect(examined).toEqual(IDS.toSorted());
});
