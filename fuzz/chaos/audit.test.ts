/** The audit must detect errors: a correct record passes, and every falsified one is reported. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import { DEFAULTS } from '../../model/limits.js';
import { memory } from '../../src/memory/backend.js';
import { memoryStore } from '../../src/memory/machine.js';
import { canonicalOfMemory } from '../../src/testing/canonical/memory.js';
import type { CanonicalState } from '../../src/testing/canonical/index.js';
import { audit, type Audit } from './audit.js';
import { GO, type Ran } from './work.js';
import { callsOf, entriesOf, lineOf, recorded, type Entry, type RecordedCall } from './recording.js';

const LANE = 'lane';
/** Values of the same length, because the log, which only has sizes, agrees with both. */
const OTHER = { value: Buffer.from('"before by 2"'), payload: Buffer.from('8') };

/** A short history: one execution completes, one fails for good, and a late worker is refused. */
async function history(): Promise<{
  calls: RecordedCall[];
  check: (
    calls: readonly RecordedCall[],
    change?: (stored: CanonicalState) => CanonicalState,
    ran?: readonly Ran[],
    deaths?: readonly number[],
  ) => Promise<Audit>;
  /** The steps that ran, as a process records them. */
  ran: readonly Ran[];
}> {
  const store = memory({ partitions: { count: 1 } });
  const entries: Entry[] = [];
  const backend = recorded(store, (entry) => entries.push(entry));
  for (let index = 0; index < 2; index++) {
    await backend.createExecution({
      executionId: executionIdOf(0, randomUUID()),
      namespace: 'n',
      laneId: LANE,
      executionKind: 'k',
      creatorIdentity: 'c',
      inputPayload: Buffer.from('in'),
    });
  }
  const claim = await backend.claimForWorker({
    partition: partitionKeyOf(0),
    laneId: LANE,
    workerId: 'w',
    workerInstanceId: 'w',
    workerCapabilities: [],
    leaseTtlMs: 5_000,
    claims: Array.from({ length: 2 }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  });
  if (claim.kind !== 'claimed') throw new Error('nothing was claimed');
  const fences = claim.executions.map(({ executionId, leaseId, leaseEpoch, attemptId }) => ({
    executionId,
    fence: { leaseId, leaseEpoch, attemptId },
  }));
  const [first, second] = fences as [(typeof fences)[number], (typeof fences)[number]];
  const { executionId } = first;
  const step = async (stepName: string): Promise<Ran> => {
    const at = Date.now();
    const value = { value: Buffer.from(JSON.stringify(`${stepName} by 1`)), encoding: 'json' };
    await backend.recordStep({ ...first, stepName, stepIndex: 0, ...value });
    return { executionId, step: stepName, leaseEpoch: 1, at };
  };
  const before = await step('before');
  await backend.signalExecution({ executionId, signalId: randomUUID(), signalName: GO, payload: Buffer.from('7') });
  const after = await step('after');
  const said = { index: 7, steps: ['before by 1', 7, 'after by 1'] };
  await backend.completeExecution({ ...first, resultPayload: Buffer.from(JSON.stringify(said)) });
  await backend.failExecution({ ...second, failureReason: 'broken', failureClass: 'permanent' });
  await backend.renewLease({ ...first, leaseTtlMs: 5_000 }).catch(() => undefined);
  const text = entries.map(lineOf).join('');
  return {
    calls: callsOf('process', entriesOf(text)),
    ran: [before, after],
    check: (calls, change = (stored) => stored, ran = [before, after], deaths = []) =>
      audit({
        backend: store,
        calls,
        ran,
        deaths,
        retentionMs: DEFAULTS.retentionMs,
        stored: async (partition, now) =>
          change(canonicalOfMemory(memoryStore(store, partition) as NonNullable<ReturnType<typeof memoryStore>>, now)),
      }),
  };
}

const named = (calls: readonly RecordedCall[], name: string): RecordedCall =>
  calls.find(({ commands }) => commands[0]?.name === name) as RecordedCall;

describe('the audit', () => {
  it('finds nothing wrong with a true record', async () => {
    const { calls, check } = await history();
    const result = await check(calls);
    expect(result.violations).toEqual([]);
    expect(result.answers).toBe(9);
  });

  it('accepts a call without an answer that was executed', async () => {
    const { calls, check } = await history();
    const claim = named(calls, 'claimForWorker');
    const result = await check(
      calls.map((call) => (call === claim ? { ...claim, answers: undefined, endedAt: undefined } : call)),
    );
    expect(result.violations).toEqual([]);
    expect(result.ranUnanswered).toBe(1);
  });

  it.each<[string, (calls: readonly RecordedCall[]) => RecordedCall[], RegExp]>([
    [
      'a success that nothing in the log shows',
      (calls) => [
        ...calls,
        { ...named(calls, 'completeExecution'), call: 99, commands: named(calls, 'failExecution').commands },
      ],
      /answers that nothing in the log explains/,
    ],
    [
      'a claim that was given out twice',
      (calls) => [...calls, { ...named(calls, 'claimForWorker'), call: 99 }],
      /answers that nothing in the log explains/,
    ],
    [
      'an event that no call caused',
      (calls) => calls.filter((call) => call !== named(calls, 'failExecution')),
      /events that no call caused/,
    ],
    [
      'a refusal for another reason',
      (calls) =>
        calls.map((call) =>
          call === named(calls, 'renewLease')
            ? { ...call, answers: [{ ok: false, code: 'stale_lease', detail: {} }] }
            : call,
        ),
      /nothing in the log explains/,
    ],
    [
      'an empty claim while there was work',
      (calls) =>
        calls.map((call) =>
          call === named(calls, 'claimForWorker')
            ? { ...call, answers: [{ ok: true, outcome: { kind: 'no_work', reclaimCapExceeded: [] } }] }
            : call,
        ),
      /events that no call caused/,
    ],
    [
      'a defect that a caller met',
      (calls) => [
        ...calls,
        {
          ...named(calls, 'renewLease'),
          call: 99,
          answers: undefined,
          fault: { code: 'function_failed', retryable: false },
        },
      ],
      /calls that met a defect/,
    ],
  ])('finds %s', async (_what, lie, finding) => {
    const { calls, check } = await history();
    expect((await check(lie(calls))).violations.join('\n')).toMatch(finding);
  });

  it('accepts an answer from the tail that a server lost, and no other one', async () => {
    const { calls, check } = await history();
    const lastAt = Math.max(...calls.map(({ endedAt = 0 }) => endedAt));
    const lost = (sentAt: number): RecordedCall[] => [
      ...calls,
      {
        ...named(calls, 'completeExecution'),
        commands: named(calls, 'failExecution').commands,
        call: 99,
        sentAt,
        endedAt: sentAt + 10,
      },
    ];
    const diedAt = lastAt + 5_000;
    const withAnswer = (sentAt: number) => check(lost(sentAt), undefined, undefined, [diedAt]);
    const { violations, lost: found } = await withAnswer(lastAt + 4_000);
    expect([violations, found.length]).toEqual([[], 1]);
    for (const at of [lastAt - 1_000, diedAt + 1_000])
      expect((await withAnswer(at)).violations.join('\n')).toMatch(/nothing in the log explains/);
  });

  it('finds a step that an owner ran although its value was stored, and not one that an earlier owner ran', async () => {
    const { calls, check, ran } = await history();
    const again = ran.map((each) => ({ ...each, at: each.at + 60_000 }));
    expect((await check(calls, undefined, again)).violations.join('\n')).toMatch(/steps that ran again/);
    const frozen = again.map((each) => ({ ...each, leaseEpoch: 0 }));
    expect((await check(calls, undefined, frozen)).violations).toEqual([]);
  });

  it.each(['recordStep', 'signalExecution'])('finds a result that differs from what a %s brought', async (name) => {
    const { calls, check } = await history();
    const lies = calls.map((call) =>
      call !== named(calls, name)
        ? call
        : { ...call, commands: call.commands.map((it) => ({ ...it, args: { ...it.args, ...OTHER } }) as never) },
    );
    expect((await check(lies)).violations.join('\n')).toMatch(/results that say something else/);
  });

  it('finds stored state that the log does not give', async () => {
    const { calls, check } = await history();
    expect((await check(calls, (stored) => ({ ...stored, results: {} }))).violations.join('\n')).toMatch(
      /the stored results differ from the log/,
    );
    expect((await check(calls, (stored) => ({ ...stored, ids: stored.ids.slice(1) }))).violations.join('\n')).toMatch(
      /the stored ids differ from the log/,
    );
  });
});
