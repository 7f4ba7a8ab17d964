/** Long bytes and calls with many bytes share a link in turns. */
import { expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { CallRetrier } from '../../src/valkey/connection/call-retrier.js';
import { Transfers, type TransferClient } from '../../src/valkey/transfers.js';

const KIB = 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Transfers without a server; each call is answered by the test. */
function setUp() {
  const begun: string[] = [];
  const answers: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  const sent = (name: string): Promise<void> => {
    begun.push(name);
    return new Promise<void>((resolve, reject) => answers.push({ resolve, reject }));
  };
  const client = {
    getrangeBuffer: (key: string, from: number, to: number) =>
      sent(`${key} ${from / KIB}`).then(() => Buffer.alloc(to + 1 - from)),
  } as unknown as TransferClient;
  const retrier = { read: (call: () => Promise<unknown>) => call() } as unknown as CallRetrier;
  return { begun, answers, sent, transfers: new Transfers(() => client, retrier) };
}

it('a MiB is in flight at most, in the order in which they came, and a call at once when nothing is in the way', async () => {
  const { begun, answers, sent, transfers } = setUp();
  const first = transfers.make(900 * KIB, () => sent('a'));
  expect(begun).toEqual(['a']);
  const second = transfers.make(100 * KIB, () => sent('b'));
  const third = transfers.make(9_000 * KIB, () => sent('c'));
  const fourth = transfers.make(1, () => sent('d'));
  expect(begun).toEqual(['a', 'b']);
  answers[0]?.resolve();
  await first;
  await turn();
  // One that is larger than the link's share goes alone, and is not overtaken.
  expect(begun).toEqual(['a', 'b']);
  answers[1]?.resolve();
  await second;
  await turn();
  expect(begun).toEqual(['a', 'b', 'c']);
  answers[2]?.resolve();
  await third;
  await turn();
  expect(begun).toEqual(['a', 'b', 'c', 'd']);
  answers[3]?.resolve();
  await fourth;
});

it('bytes come in parts, four at once', async () => {
  const { begun, answers, transfers } = setUp();
  const bytes = 5 * LIMITS.maxPartBytes + 7;
  const fetched = transfers.fetch('k', bytes);
  expect(begun).toEqual(['k 0', 'k 256', 'k 512', 'k 768']);
  for (let answered = 0; answered < 6; answered++) {
    answers[answered]?.resolve();
    await turn();
  }
  expect(begun).toHaveLength(6);
  expect((await fetched)?.byteLength).toBe(bytes);
});

it('what waits behind a part that is late is late too; behind another fault it goes on', async () => {
  for (const [code, left] of [
    ['call_timeout', ['late', 'late', 'late']],
    ['server_refused', ['late', 'done', 'done']],
  ] as const) {
    const { answers, sent, transfers } = setUp();
    const calls = Array.from({ length: 3 }, (_, call) =>
      transfers
        .make(1_000 * KIB, () => sent(String(call)))
        .then(
          () => 'done',
          () => 'late',
        ),
    );
    answers[0]?.reject(new EngineError(code, 'no.'));
    await turn();
    for (let call = 1; call < 3; call++) {
      answers[call]?.resolve();
      await turn();
    }
    expect(await Promise.all(calls)).toEqual(left);
  }
});
