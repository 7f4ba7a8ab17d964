/** A verification of a partition with very many executions. The server is a stub. */
import { expect, test } from 'vitest';
import { shortIdOf } from '../../model/short-id.js';
import type { WireReply } from '../../src/valkey/wire/reply.js';
import { Verification } from '../../src/valkey/verify/verify.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const idOf = (number: number): string => shortIdOf(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`);

test('a verification lists more records than a call takes arguments, and each key once', async () => {
  // The stack of a thread of these tests has room for half a million.
  const count = 600_000;
  const ids = Array.from({ length: count }, (_, i) => idOf(i));
  const wasListed = new Error('the first records are examined');
  let listings = 0;
  const link = {
    async *keys() {
      listings++;
      yield await Promise.resolve(ids);
    },
    step: async (name: string, ...args: readonly string[]): Promise<WireReply> => {
      if (name === 'records' && args.length > 0) throw wasListed;
      if (name === 'records') return Promise.resolve(['0', '', '', '', '0', '1'].map(bytes));
      if (name === 'types') return [];
      if (name === 'listed') return [bytes('0'), []];
      return ['scored', 'names'].includes(name) ? ['0', '0', '0'].map(bytes) : name === 'broken' ? bytes('') : 0;
    },
  };
  await expect(new Verification(link).run()).rejects.toBe(wasListed);
  // A listing goes over all keys of the server, also those of others.
  expect(listings).toBe(1);
});
