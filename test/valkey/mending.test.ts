/** When partitions are verified because calls broke off in them, and what is told of it. The server is a stub. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import { PartitionMended } from '../../src/backend/mended.js';
import { Mending, type VerifyResult } from '../../src/valkey/verify/mending.js';

const PARTITION = '{fp:0}';
const report = { executions: 0, findings: [], setAside: [], countsVerified: true };

beforeEach(
  () =>
    void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'setInterval', 'clearInterval', 'clearTimeout'] }),
);
afterEach(() => void vi.useRealTimers());

/** A process beside a server with one partition, whose verifications take a second. */
function processOf(server: Stub, verified: () => Partial<VerifyResult['report']>) {
  const told: EngineError[] = [];
  let runs = 0;
  const mending = new Mending({
    canVerify: () => true,
    step: (_partition, name, ...args) => Promise.resolve(server.step(name, ...args)),
    verify: async () => {
      runs += 1;
      const { mark } = server;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return { report: { ...report, ...verified() }, mark };
    },
    release: () => Promise.resolve(server.release()),
    tell: (notice) => told.push(notice),
  });
  /** A pass over due work. */
  const pass = (): void => {
    if (server.mark !== '') mending.found(PARTITION);
    else if (mending.knows(PARTITION)) mending.forget(PARTITION);
  };
  return { mending, told, pass, runs: () => runs };
}
type Process = ReturnType<typeof processOf>;

class Stub {
  mender = '';
  mark = '1';
  strays = 0;
  step(name: string, known?: string): Buffer | number {
    if (name === 'give_back') {
      if (this.mender === known) this.mender = '';
      return 0;
    }
    if (name === 'reserve') {
      if (this.mender !== '' && this.mender !== known) return Buffer.from('');
      this.mender = known ?? '';
      return Buffer.from(this.mark);
    }
    if (known !== this.mark) return 0;
    this.mark = '';
    this.mender = '';
    return 1;
  }
  release(): number {
    const { strays } = this;
    this.strays = 0;
    return strays;
  }
}

/** Passes of processes, ten each second. */
async function passes(seconds: number, ...all: readonly Process[]): Promise<void> {
  for (let i = 0; i < seconds * 10; i++) {
    for (const one of all) one.pass();
    await vi.advanceTimersByTimeAsync(100);
  }
}

test('a fault of this process is reported once, as an error of the engine', async () => {
  const one = processOf(new Stub(), () => {
    throw new RangeError('Maximum call stack size exceeded');
  });
  await passes(60, one);
  expect(one.told).toMatchObject([{ code: 'function_failed', detail: { partition: PARTITION } }]);
});

test('a process that cannot verify a partition leaves it to another process', async () => {
  const server = new Stub();
  const failing = processOf(server, () => {
    throw new RangeError('Maximum call stack size exceeded');
  });
  const other = processOf(server, () => ({}));
  await passes(5, failing, other);
  expect([failing.runs(), other.runs(), server.mark]).toEqual([1, 1, '']);
});

test('a partition whose counts cannot be compared keeps its mark, is reported once and is tried less and less often', async () => {
  const server = new Stub();
  const one = processOf(server, () => ({ countsVerified: false }));
  await passes(10, one);
  expect(one.told).toMatchObject([{ code: 'corruption', message: expect.stringMatching(/counts/) as string }]);
  await passes(290, one);
  expect(server.mark).toBe('1');
  expect(one.told).toHaveLength(1);
  expect(one.runs()).toBeGreaterThan(2);
  expect(one.runs()).toBeLessThanOrEqual(7);
});

test('a partition in which calls keep breaking off is verified less and less often, until it was quiet', async () => {
  const server = new Stub();
  const one = processOf(server, () => ({}));
  let marks = 1;
  for (let i = 0; i < 300; i++) {
    server.mark = String(++marks);
    await passes(1, one);
  }
  const { length } = one.told.filter((notice) => notice instanceof PartitionMended);
  expect(length).toBeGreaterThan(2);
  expect(one.runs()).toBeLessThanOrEqual(7);
  server.mark = '';
  await passes(610, one);
  expect(one.mending.knows(PARTITION)).toBe(false);
  const before = one.runs();
  server.mark = String(++marks);
  await passes(2, one);
  expect([one.runs(), server.mark]).toEqual([before + 1, '']);
});

test('the mark stays until executions that stray entries brought into quarantine are back', async () => {
  const server = new Stub();
  const one = processOf(server, () => {
    server.strays = one.runs() === 1 ? 1 : 0;
    return {};
  });
  const marks: string[] = [];
  const { release } = server;
  server.release = () => {
    marks.push(server.mark);
    return release.call(server);
  };
  await passes(4, one);
  expect([marks, one.runs(), server.mark]).toEqual([['1', '1'], 2, '']);
  expect(one.told).toMatchObject([{ detail: { partition: PARTITION } }]);
});
