/** Passes over due work are explained like other calls: by entries of one time that such a pass makes. */
import { describe, expect, it } from 'vitest';
import { DEFAULTS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { deedsOf, explain } from './explain.js';
import type { Answer, RecordedCall } from './recording.js';
import { Timeline } from './timeline.js';

const START = 1_700_000_000_000;
const PARTITION = '{fp:0}';
const idOf = (n: number): string => `${PARTITION}:00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Runs commands one after another and records a caller's view of them. */
class Recorder {
  readonly machine = new SpecMachine({ retentionMs: DEFAULTS.retentionMs });
  readonly calls: RecordedCall[] = [];

  run(command: Command, at: number): void {
    const parsed = parseCommand(command.name, command.args, 'memory');
    const decision = this.machine.run(parsed, at);
    const answer: Answer = decision.ok ? { ok: true, outcome: decision.outcome } : decision;
    this.calls.push({
      process: 'p',
      call: this.calls.length,
      sentAt: at,
      endedAt: at,
      commands: [parsed],
      answers: [answer],
      fault: undefined,
    });
  }

  create(n: number, facts: object): void {
    const naming = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
    this.run({ name: 'createExecution', args: { executionId: idOf(n), ...naming, ...facts } }, START);
  }

  pass(at: number, owner: string, limit = 100): void {
    this.run({ name: 'applyDue', args: { partition: PARTITION, owner, limit } }, at);
  }

  explained(calls: readonly RecordedCall[] = this.calls) {
    const { unexplained, orphans, ranUnanswered } = explain(
      new Timeline(this.machine.partition.log),
      deedsOf(calls),
      DEFAULTS.retentionMs,
    );
    return { unexplained: unexplained.length, orphans: orphans.length, ranUnanswered };
  }
}

/** Two delays and a deadline that end in two passes, a pass of another loop between them, and a purge. */
function story(): Recorder {
  const recorder = new Recorder();
  recorder.create(1, { delayUntil: START + 1_000 });
  recorder.create(2, { delayUntil: START + 1_000 });
  recorder.create(3, { executionDeadlineAt: START + 1_000 });
  recorder.pass(START + 1_000, 'one', 2);
  recorder.pass(START + 1_000, 'other');
  recorder.pass(START + 1_001, 'one', 2);
  recorder.pass(START + 200_000_000, 'other');
  return recorder;
}

const GOOD = { unexplained: 0, orphans: 0, ranUnanswered: 0 };
const passAt = (calls: readonly RecordedCall[], index: number): RecordedCall =>
  calls.filter(({ commands }) => commands[0]?.name === 'applyDue')[index] as RecordedCall;

/** The record with a falsified answer to one call. */
const said = (calls: readonly RecordedCall[], call: RecordedCall, facts: object): RecordedCall[] =>
  calls.map((one) => (one === call ? { ...one, ...facts } : one));

const answering = (call: RecordedCall, facts: object): object => {
  const [answer] = call.answers as [Extract<Answer, { ok: true }>];
  return { answers: [{ ok: true, outcome: { ...answer.outcome, ...facts } }] };
};

describe('a pass over due work', () => {
  it('is explained by what it did, by nothing, and by another loop', () => {
    const recorder = story();
    expect(recorder.machine.partition.log.map(({ event }) => event.type).slice(3)).toEqual([
      'execution_promoted',
      'execution_promoted',
      'execution_expired',
      'execution_purged',
    ]);
    expect(recorder.explained()).toEqual(GOOD);
  });

  it('is found by its entries when its answer was lost', () => {
    const recorder = story();
    const calls = said(recorder.calls, passAt(recorder.calls, 0), { answers: undefined, endedAt: undefined });
    expect(recorder.explained(calls)).toEqual({ ...GOOD, ranUnanswered: 1 });
  });

  it('with too small an answer leaves an unexplained event', () => {
    const recorder = story();
    const call = passAt(recorder.calls, 0);
    expect(recorder.explained(said(recorder.calls, call, answering(call, { promoted: 1 })))).toMatchObject({
      orphans: 1,
    });
  });

  it.each([{ promoted: 3 }, { purged: 1 }, { attemptsTimedOut: [idOf(1)] }])(
    'that says %j more is not explained',
    (facts) => {
      const recorder = story();
      const call = passAt(recorder.calls, 0);
      expect(recorder.explained(said(recorder.calls, call, answering(call, facts)))).toMatchObject({ unexplained: 1 });
    },
  );

  it('whose entries have another time is not explained', () => {
    const recorder = story();
    const call = passAt(recorder.calls, 2);
    const late = { sentAt: START + 900_000, endedAt: START + 900_000 };
    expect(recorder.explained(said(recorder.calls, call, late))).toMatchObject({ unexplained: 1, orphans: 1 });
  });

  it('does not have to explain that the clock stepped back', () => {
    const recorder = story();
    recorder.create(4, {});
    expect(recorder.machine.partition.log.some(({ event }) => event.type === 'clock_stepped_back')).toBe(true);
    expect(recorder.explained()).toEqual(GOOD);
  });
});

describe('a claim of some kinds', () => {
  const claimOf = (kinds: string[]): Command => ({
    name: 'claimForWorker',
    args: {
      partition: PARTITION,
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'w',
      kinds,
      claims: [{ leaseId: idOf(8).slice(-36), attemptId: idOf(9).slice(-36) }],
    },
  });

  it('finds no work while only work of another kind waits', () => {
    const recorder = new Recorder();
    recorder.create(1, {});
    recorder.run(claimOf(['other']), START + 100);
    expect(recorder.explained()).toEqual(GOOD);
  });

  it('that answers so while work of its kind waits is not explained', () => {
    const recorder = new Recorder();
    recorder.create(1, {});
    recorder.run(claimOf(['other']), START + 1_000);
    const calls = said(recorder.calls, recorder.calls[1] as RecordedCall, {
      commands: [parseCommand('claimForWorker', claimOf(['k']).args, 'memory')],
    });
    expect(recorder.explained(calls)).toMatchObject({ unexplained: 1 });
  });
});
