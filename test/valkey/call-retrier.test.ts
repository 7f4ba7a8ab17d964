/** Which calls are made again, for how long, and that nothing is sent past a deadline. Under a clock of the test's own. */
import { ReplyError } from 'iovalkey';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { CallRetrier } from '../../src/valkey/connection/call-retrier.js';
import { Deadlines } from '../../src/valkey/connection/deadlines.js';
import { TransientFault } from '../../src/valkey/connection/faults.js';
import { CallLost, CallNotSent } from '../../src/valkey/connection/node-faults.js';

const CALL_TIMEOUT_MS = 1_000;

let deadlines: Deadlines;
let bringing: () => Promise<unknown>;
let connection: unknown;
/** Versions of the settings that were asked for. */
let learned: number[];
let retrier: CallRetrier;

beforeEach(() => {
  vi.useFakeTimers();
  deadlines = new Deadlines(CALL_TIMEOUT_MS);
  bringing = async () => undefined;
  connection = undefined;
  learned = [];
  retrier = new CallRetrier({
    label: 'node:1',
    deadlines,
    learnSettings: (version) => Promise.resolve(learned.push(version)),
    loadLibrary: () => bringing(),
    connectionFault: () => connection,
  });
});
afterEach(() => {
  retrier.close();
  deadlines.close();
  vi.useRealTimers();
});

interface Made {
  readonly sent: number;
  readonly outcome: unknown;
  readonly afterMs: number;
}

/** Makes a call that meets these faults one after the other, the last one for ever; without any left it is answered. */
async function made(faults: readonly unknown[], forEver = true, deadline?: number): Promise<Made> {
  let sent = 0;
  const startedAt = performance.now();
  let done: Made | undefined;
  const call = async (): Promise<string> => {
    const fault = faults[forEver ? Math.min(sent, faults.length - 1) : sent];
    sent++;
    if (fault === undefined) return 'answer';
    throw fault;
  };
  const end = (outcome: unknown): void => {
    done = { sent, outcome, afterMs: performance.now() - startedAt };
  };
  void retrier.make(call, deadline).then(end, end);
  for (let elapsed = 0; done === undefined && elapsed < 10 * CALL_TIMEOUT_MS; elapsed++)
    await vi.advanceTimersByTimeAsync(1);
  expect(done).toBeDefined();
  return done as unknown as Made;
}

const reply = (words: string): Error => new ReplyError(words);

test('a call that did not run is repeated until it runs', async () => {
  const met = await made(
    [new CallNotSent('node:2', undefined), reply('LOADING x'), reply('TRYAGAIN x'), undefined],
    false,
  );
  expect(met).toMatchObject({ sent: 4, outcome: 'answer' });
});

test('a call reads newer settings whenever a partition has seen some, and never twice for one version', async () => {
  const [second, third] = [reply('SETTINGS are of version 2'), reply('SETTINGS are of version 3')];
  expect(await made([second, third, undefined], false)).toMatchObject({ sent: 3, outcome: 'answer' });
  expect(learned).toEqual([2, 3]);
  expect(await made([third, third, undefined], false)).toMatchObject({
    sent: 2,
    outcome: { code: 'settings_changed' },
  });
});

test('a call that may have run is not repeated', async () => {
  const met = await made([new CallLost('node:2', undefined), undefined], false);
  expect(met).toMatchObject({ sent: 1, outcome: { code: 'transport_failed' } });
});

test('a call is repeated within its timeout only, and reports why it did not run', async () => {
  for (const [fault, code] of [
    [new CallNotSent('node:2', undefined), 'transport_failed'],
    [reply('CLUSTERDOWN x'), 'server_not_ready'],
    [reply('ERR max number of clients reached'), 'server_clients_full'],
  ] as const) {
    const met = await made([fault]);
    expect(met).toMatchObject({ outcome: { code } });
    expect(met.afterMs).toBeGreaterThan(CALL_TIMEOUT_MS * 0.7);
    expect(met.afterMs).toBeLessThan(CALL_TIMEOUT_MS * 1.1);
    // Not a busy loop.
    expect(met.sent).toBeLessThan(15);
  }
});

test('an answer of the server takes precedence over a lost connection afterwards', async () => {
  const unconnected = new Error("Stream isn't writeable and enableOfflineQueue options is false");
  const met = await made([reply('READONLY x'), unconnected]);
  expect(met).toMatchObject({ outcome: { code: 'server_not_ready' } });
  expect(await made([unconnected])).toMatchObject({ outcome: { code: 'transport_failed' } });
});

test('nothing is sent after the timeout', async () => {
  const deadline = deadlines.fromNow();
  await vi.advanceTimersByTimeAsync(CALL_TIMEOUT_MS + 1);
  expect(await made([undefined], true, deadline)).toMatchObject({ sent: 0, outcome: { code: 'call_timeout' } });
  let reads = 0;
  const read = retrier.read(async () => reads++, deadline);
  await expect(read).rejects.toMatchObject({ code: 'call_timeout' });
  expect(reads).toBe(0);
});

test('a pause of the event loop does not count towards the timeout', async () => {
  const deadline = deadlines.fromNow();
  // Time passes, and no timer runs.
  const now = performance.now.bind(performance);
  performance.now = () => now() + 60_000;
  expect(await made([undefined], true, deadline)).toMatchObject({ sent: 1, outcome: 'answer' });
});

test('a missing answer is a timeout, not earlier and not much later', async () => {
  let failedAfterMs: number | undefined;
  const startedAt = performance.now();
  const call = retrier.make(() => new Promise(() => undefined));
  call.catch(() => (failedAfterMs = performance.now() - startedAt));
  await vi.advanceTimersByTimeAsync(CALL_TIMEOUT_MS - 1);
  expect(failedAfterMs).toBeUndefined();
  await vi.advanceTimersByTimeAsync(CALL_TIMEOUT_MS * 0.3);
  await expect(call).rejects.toMatchObject({ code: 'call_timeout' });
  expect(failedAfterMs).toBeLessThan(CALL_TIMEOUT_MS * 1.3);
});

test('a missing library is loaded at once, and once for a call that then runs', async () => {
  let brought = 0;
  bringing = async () => brought++;
  const met = await made([reply('ERR Function not found'), undefined], false);
  expect(met).toMatchObject({ sent: 2, outcome: 'answer' });
  expect(met.afterMs).toBeLessThan(5);
  expect(brought).toBe(1);
});

test('a library that stays missing after it was loaded causes no busy loop', async () => {
  let brought = 0;
  bringing = async () => brought++;
  const met = await made([reply('ERR Function not found')]);
  expect(met).toMatchObject({ outcome: { code: 'server_not_ready', retryable: true } });
  expect(brought).toBeLessThan(15);
});

test('a library that only another process may load is awaited, and finally reported', async () => {
  const fault = new EngineError('library_mismatch', 'node:1 has lost it.');
  bringing = async () => {
    throw new TransientFault(fault);
  };
  const met = await made([reply('ERR Function not found')]);
  expect(met.outcome).toBe(fault);
  expect(met.sent).toBeLessThan(15);
});

test('a refused login ends the wait for a connection', async () => {
  connection = reply('WRONGPASS invalid username-password pair.');
  const met = await made([new Error("Stream isn't writeable and enableOfflineQueue options is false")]);
  expect(met).toMatchObject({ sent: 1, outcome: { code: 'server_refused', retryable: false } });
});

test('calls that share a turn do not share their faults', async () => {
  const [lost, unsent, fine] = await Promise.all([
    made([new CallLost('node:2', undefined)]),
    made([new CallNotSent('node:2', undefined), undefined], false),
    made([undefined]),
  ]);
  expect(lost.outcome).toMatchObject({ code: 'transport_failed' });
  expect(unsent.outcome).toBe('answer');
  expect(fine.outcome).toBe('answer');
});

test('a closed backend sends nothing, and ends waiting calls', async () => {
  const waiting = retrier.make(async () => {
    throw reply('LOADING x');
  });
  const refused = expect(waiting).rejects.toMatchObject({ code: 'backend_closed' });
  retrier.close();
  await vi.advanceTimersByTimeAsync(50);
  await refused;
  expect(await made([undefined])).toMatchObject({ sent: 0, outcome: { code: 'backend_closed' } });
});
