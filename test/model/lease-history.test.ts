/** The lease history as a reading of the log: whole, or refused; never silently less than it was. */
import { describe, expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { QUERIES } from '../../model/machine.js';
import type { LogPage } from '../../model/partition/reads.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { LogSource } from '../../src/engine/log-search.js';
import { leaseHistory, readEvents } from '../../src/engine/log.js';
import { claimed, created, event, idOf, PARTITION, RETENTION_MS, START, uuid, X } from './dsl.js';

/** A machine whose log is read as a backend's; its first entries are trimmed. */
function logOf(events: Parameters<SpecMachine['record']>[0][], gone = 0): { machine: SpecMachine; source: LogSource } {
  const machine = new SpecMachine({ retentionMs: RETENTION_MS });
  for (const happened of events) machine.record(happened);
  machine.partition.log.splice(0, gone);
  const source: LogSource = {
    readLog(args) {
      // Small pages, so that every reading is of several.
      const parsed = QUERIES.readLog.args.parse({ ...args, limit: Math.min(args.limit ?? 2, 2) });
      const answer = QUERIES.readLog.read(machine.view, parsed, {
        now: START,
        settings: { retentionMs: RETENTION_MS },
      });
      if (answer.ok) return Promise.resolve(answer.outcome as LogPage);
      return Promise.reject(new EngineError(answer.code, 'refused', { detail: answer.detail }));
    },
  };
  return { machine, source };
}

async function all<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const found: Value[] = [];
  for await (const value of values) found.push(value);
  return found;
}

/** Another execution, X with two owners, another one. */
const STORY = [
  created({ executionId: idOf(2) }),
  created(),
  claimed(),
  event('attempt_begun', { attemptTimeoutAt: START + 9 }),
  event('lease_renewed', { leaseExpiresAt: START + 40_000 }),
  event('lease_released'),
  claimed({ type: 'execution_resumed', leaseEpoch: 2, leaseId: uuid(102) } as never),
  event('execution_completed', {}),
  created({ executionId: idOf(3) }),
];
const told = async (source: LogSource, options: object = {}): Promise<string[]> =>
  (await all(leaseHistory(source, { executionId: X, ...options }))).map(
    (entry) => `${entry.type} ${entry.type === 'replay_initiated' ? entry.replayCount : entry.leaseEpoch}`,
  );

describe('the lease history', () => {
  test('of a whole log', async () => {
    const { source } = logOf(STORY);
    expect(await told(source)).toEqual(['acquired 1', 'released 1', 'acquired 2', 'released 2']);
    expect(await told(source, { renewals: true })).toEqual([
      'acquired 1',
      'renewed 1',
      'released 1',
      'acquired 2',
      'released 2',
    ]);
  });

  test('tells a replay of a skipped member of a flow from another one', async () => {
    const again = (replayCount: number, wasSkipped: boolean) =>
      event('execution_replayed', { replayCount, requestedBy: 'ann', replayReason: '', wasSkipped });
    const { source } = logOf([...STORY, again(1, false), again(2, true)]);
    const found = await all(leaseHistory(source, { executionId: X }));
    expect(found.slice(-2)).toMatchObject([
      { type: 'replay_initiated', replayCount: 1, replayType: 'normal' },
      { type: 'replay_initiated', replayCount: 2, replayType: 'skipped_flow_member' },
    ]);
  });

  test('of an unknown execution, in a whole log, is empty', async () => {
    expect(await all(leaseHistory(logOf(STORY).source, { executionId: idOf(9) }))).toEqual([]);
    expect(await all(leaseHistory(logOf([]).source, { executionId: X }))).toEqual([]);
  });

  test('of a log that is trimmed up to its creation is whole', async () => {
    expect(await told(logOf(STORY, 1).source)).toEqual(['acquired 1', 'released 1', 'acquired 2', 'released 2']);
  });

  test.each([2, 3, 5, 8, 9])('of a log without its first %d entries is refused', async (gone) => {
    await expect(told(logOf(STORY, gone).source)).rejects.toMatchObject({
      code: 'cursor_too_old',
      detail: { earliest: expect.stringMatching(`\\.${gone}\\.0$`) },
    });
  });

  test('after a cursor has what came after it', async () => {
    const { source } = logOf(STORY, 2);
    const { next } = await source.readLog({ partition: PARTITION, after: `${(START).toString(36)}.4.0`, limit: 2 });
    expect(await told(source, { after: next })).toEqual(['acquired 2', 'released 2']);
  });

  test('after a cursor before the trim, or of another log, is refused', async () => {
    const generation = START.toString(36);
    await expect(told(logOf(STORY, 3).source, { after: `${generation}.1.${START}` })).rejects.toMatchObject({
      code: 'cursor_too_old',
    });
    await expect(told(logOf(STORY).source, { after: `${generation}.50.0` })).rejects.toMatchObject({
      code: 'cursor_lost',
    });
    await expect(told(logOf(STORY).source, { after: 'another.1.0' })).rejects.toMatchObject({ code: 'cursor_lost' });
  });

  test('skips entries about the clock of a partition', async () => {
    const step = {
      type: 'clock_stepped_back',
      partition: PARTITION,
      at: START - 61_000,
      from: START,
      to: START - 61_000,
    } as const;
    expect(await told(logOf([...STORY, step]).source)).toHaveLength(4);
  });
});

describe('the events of a partition', () => {
  test('are read to the end', async () => {
    const { source, machine } = logOf(STORY);
    expect(await all(readEvents(source, { partition: PARTITION }))).toEqual(machine.partition.log);
  });

  test('before a trim are refused', async () => {
    await expect(all(readEvents(logOf(STORY, 1).source, { partition: PARTITION }))).rejects.toMatchObject({
      code: 'cursor_too_old',
    });
  });

  test('that are trimmed while they are read end in a refusal, without a gap', async () => {
    const { source, machine } = logOf(STORY);
    const seen: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const { sequence } of readEvents(source, { partition: PARTITION })) {
        seen.push(sequence);
        if (sequence === 2) machine.partition.log.splice(0, 5);
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'cursor_too_old' });
    expect(seen).toEqual([1, 2]);
  });
});
