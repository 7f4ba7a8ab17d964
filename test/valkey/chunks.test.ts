/** An answer is parsed when its bytes arrive: none of them waits in the buffer of the socket for another tick. */
import { expect, it } from 'vitest';
import { addressOf } from '../../src/valkey/connection/address.js';
import { connectForWakes, connectNode, established } from '../../src/valkey/connection/clients.js';
import { Deadlines } from '../../src/valkey/connection/deadlines.js';
import { sharedValkey } from '../support/valkey/index.js';

const TIMEOUT_MS = 5_000;

it('is so on the connection for calls and on the one for wakes', async () => {
  const { url } = await sharedValkey();
  const deadlines = new Deadlines(TIMEOUT_MS);
  const client = connectNode(addressOf({ url }), TIMEOUT_MS, deadlines);
  await established(client, TIMEOUT_MS);
  const wakes = connectForWakes(client, deadlines);
  await wakes.ping();
  try {
    for (const { stream, ping } of [client, wakes].map((each) => ({ stream: each.stream, ping: () => each.ping() }))) {
      const left: number[] = [];
      const { push } = stream;
      stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
        const goesOn = push.call(stream, chunk, encoding);
        left.push(stream.readableLength);
        return goesOn;
      };
      await ping();
      expect(left).toEqual([0]);
    }
  } finally {
    wakes.disconnect();
    client.disconnect();
    deadlines.close();
  }
});
