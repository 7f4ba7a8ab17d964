/** appendFrame and the reads of streams: each outcome and each refusal, and what ends of attempts do. Spec 07 sections 2 to 7. */
import { describe, expect, it } from 'vitest';
import { QUERIES, type AnyDecision, type ArgsOf, type OperationName } from '../../../model/machine.js';
import { SpecMachine } from '../../../model/specification/machine.js';
import { violations } from '../../../model/specification/invariants.js';
import type { StreamFrames, StreamSummary } from '../../../model/stream/reads.js';
import { parseCommand } from '../../../src/backend/boundary.js';
import { FENCE, RETENTION_MS, START, uuid, X } from '../dsl.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A machine with one execution, which is claimed, and a clock. */
class World {
  now = START;
  readonly machine = new SpecMachine({ retentionMs: RETENTION_MS });

  constructor(policy?: ArgsOf<'createExecution'>['policy']) {
    const names = { namespace: 'n', laneId: 'lane', executionKind: 'kind', creatorIdentity: 'c' };
    this.run('createExecution', { executionId: X, ...names, policy });
    this.claim(1);
  }

  claim(n: number): void {
    const claims = [{ leaseId: uuid(100 + n), attemptId: uuid(200 + n) }];
    const worker = { workerId: 'w', workerInstanceId: 'w-1' };
    this.run('claimForWorker', { partition: '{fp:0}', laneId: 'lane', ...worker, claims, leaseTtlMs: 30_000 });
  }

  run<Name extends OperationName>(name: Name, args: ArgsOf<Name>): AnyDecision {
    const decision = this.machine.run(parseCommand(name, args, 'memory'), this.now);
    const broken = violations(this.machine.partition.state, this.machine.partition.log, this.now);
    expect(broken).toEqual([]);
    return decision;
  }

  append(args: Partial<ArgsOf<'appendFrame'>> = { payload: text('x') }): AnyDecision {
    return this.run('appendFrame', { executionId: X, fence: FENCE, attemptIndex: 0, ...args });
  }

  /** What an append answers, or its refusal. */
  answer(args?: Partial<ArgsOf<'appendFrame'>>): unknown {
    const decision = this.append(args);
    return decision.ok ? { ...decision.outcome, kind: undefined } : decision.code;
  }

  frames(args: Partial<ArgsOf<'readStream'>> = {}): StreamFrames {
    const parsed = QUERIES.readStream.args.parse({ executionId: X, attemptIndex: 0, ...args });
    const context = { now: this.now, settings: { retentionMs: RETENTION_MS } };
    const decision = QUERIES.readStream.read(this.machine.view, parsed, context);
    return (decision as { outcome: StreamFrames }).outcome;
  }

  texts(args: Partial<ArgsOf<'readStream'>> = {}): string[] {
    return this.frames(args).frames.map(({ payload }) => new TextDecoder().decode(payload));
  }

  summary(): StreamSummary | undefined {
    const parsed = QUERIES.readSummary.args.parse({ executionId: X, attemptIndex: 0 });
    const decision = QUERIES.readSummary.read(this.machine.view, parsed, {} as never);
    return (decision as { outcome: StreamSummary | undefined }).outcome;
  }

  types(): string[] {
    return this.machine.partition.log.map(({ event }) => event.type).slice(2);
  }
}

describe('appendFrame', () => {
  it('opens the stream with its first frame, and numbers frames upwards whatever the clock does', () => {
    const world = new World();
    expect(world.answer()).toMatchObject({ frameId: `${START}-0`, frameCount: 1 });
    expect(world.answer()).toMatchObject({ frameId: `${START}-1`, frameCount: 2 });
    world.now += 5;
    expect(world.answer()).toMatchObject({ frameId: `${START + 5}-0`, frameCount: 3 });
    expect(world.types()).toEqual(['stream_opened']);
  });

  it('keeps the facts of its writer', () => {
    const world = new World();
    world.append({ payload: text('y'), frameType: 'stdout', encoding: 'raw', ts: 7, correlationId: 'call-1' });
    expect(world.frames().frames).toMatchObject([
      { mode: 'durable', frameType: 'stdout', encoding: 'raw', ts: 7, correlationId: 'call-1' },
    ]);
  });

  it('is refused for an unknown execution', () => {
    expect(new World().answer({ executionId: '{fp:0}:00000000-0000-4000-a000-000000000009', payload: text('') })).toBe(
      'execution_not_found',
    );
  });

  it('is refused to all but the owner of the attempt', () => {
    const world = new World();
    const wrong = [
      { attemptIndex: 1 },
      { fence: { ...FENCE, leaseId: uuid(9) } },
      { fence: { ...FENCE, leaseEpoch: 2 } },
      { fence: { ...FENCE, attemptId: uuid(9) } },
    ];
    for (const each of wrong) expect(world.answer({ payload: text('x'), ...each })).toBe('stale_owner_cannot_append');
    world.now += 30_000;
    expect(world.answer()).toBe('stale_owner_cannot_append');
    expect(world.types()).toEqual([]);
  });

  it('is refused once an operator revoked the lease, and once the execution has ended', () => {
    const world = new World();
    world.append();
    world.run('revokeLease', { executionId: X, reason: 'r' });
    expect(world.answer()).toBe('stale_owner_cannot_append');
    world.run('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' });
    expect(world.answer()).toBe('stream_closed');
  });

  it('is refused once the attempt or the execution has timed out', () => {
    const attempt = new World({ timeoutPolicy: { attemptTimeoutMs: 100 } });
    attempt.now += 100;
    expect(attempt.answer()).toBe('attempt_timed_out');
    const execution = new World({ timeoutPolicy: { executionDeadlineMs: 100 } });
    execution.now += 100;
    expect(execution.answer()).toBe('execution_deadline_passed');
  });

  it('is refused for a frame, a stream or a summary that is too large', () => {
    const world = new World({ streamPolicy: { maxBytes: 10 } });
    expect(world.answer({ payload: new Uint8Array(65_537) })).toBe('retention_limit_exceeded');
    // Who sends it, and where to, is not looked at.
    const unknown = { executionId: '{fp:0}:00000000-0000-4000-a000-000000000009', payload: new Uint8Array(65_537) };
    expect(world.answer(unknown)).toBe('retention_limit_exceeded');
    expect(world.answer({ payload: new Uint8Array(10) })).toMatchObject({ frameCount: 1 });
    expect(world.answer({ payload: new Uint8Array(1) })).toBe('retention_limit_exceeded');
    const large = new World();
    for (let i = 0; i < 4; i++) {
      large.append({ patch: `{"k${i}":"${'x'.repeat(60_000)}"}` });
    }
    expect(large.answer({ patch: `{"k4":"${'x'.repeat(60_000)}"}` })).toBe('retention_limit_exceeded');
    expect(large.summary()?.version).toBe(4);
  });

  it("accepts a writer's number once: an equal one is the same append, a lower one is refused", () => {
    const world = new World();
    const first = world.answer({ payload: text('a'), seq: 4 });
    expect(world.answer({ payload: text('a'), seq: 4 })).toEqual(first);
    expect(world.answer({ payload: text('b'), seq: 3 })).toBe('frame_seq_out_of_order');
    world.append({ payload: text('c'), seq: 5 });
    expect(world.texts()).toEqual(['a', 'c']);
  });
});

describe('a stream keeps', () => {
  it('the newest frames of each mode, separately', () => {
    const world = new World({ streamPolicy: { retentionMaxlen: 2 } });
    for (const letter of 'abc') world.append({ payload: text(letter) });
    for (let i = 0; i < 66; i++) world.append({ patch: `{"n":${i}}` });
    for (const letter of 'xyz') {
      world.append({ payload: text(letter), bestEffort: { ttlMs: 0, maxlenFloor: 1, maxlenCeiling: 2 } });
    }
    const { frames, droppedFrames } = world.frames({ limit: 1_000 });
    const of = (mode: string) => frames.filter((frame) => frame.mode === mode);
    expect(of('durable').map(({ payload }) => new TextDecoder().decode(payload))).toEqual(['b', 'c']);
    expect(of('summary').map(({ summaryVersion }) => summaryVersion)).toEqual(
      Array.from({ length: 64 }, (_, i) => i + 3),
    );
    expect(of('best_effort')).toHaveLength(2);
    expect(droppedFrames).toBe(72 - 68);
  });

  it('best-effort frames for twice their time, and others for good', () => {
    const world = new World();
    world.append({ payload: text('kept') });
    world.append({ payload: text('brief'), bestEffort: { ttlMs: 100 } });
    world.now += 199;
    expect(world.texts()).toEqual(['kept', 'brief']);
    expect(world.texts({ visibility: 'exclude_best_effort' })).toEqual(['kept']);
    world.now += 1;
    expect(world.texts()).toEqual(['kept']);
    world.append({ payload: text('later'), bestEffort: { ttlMs: 100 } });
    expect(world.texts()).toEqual(['kept', 'later']);
  });

  it('the rate of best-effort frames, updated by each frame', () => {
    const world = new World();
    const rates: unknown[] = [];
    for (const at of [0, 1, 2, 3, 103, 1_103]) {
      world.now = START + at;
      world.append({ payload: text('x'), bestEffort: { ttlMs: 5_000 } });
      const rate = world.machine.partition.streams.get(`${X}:0`)?.rate;
      rates.push([rate?.hz, rate?.maxlen]);
    }
    expect(rates).toEqual([
      [6.4, 64],
      [205.12, 2_052],
      [364.096, 3_641],
      [491.27680000000004, 4_913],
      [395.02144000000004, 3_951],
      [316.21715200000006, 3_163],
    ]);
  });
});

describe('the rolling summary', () => {
  it('is the fold of its patches, and every patch makes a version', () => {
    const world = new World();
    expect(world.summary()).toBe(undefined);
    expect(world.answer({ patch: '{"b":{"x":1},"a":1}' })).toMatchObject({ summaryVersion: 1 });
    world.now += 10;
    expect(world.answer({ patch: text('{ "a": null, "b": {"y": "__ff_null__"} }') })).toMatchObject({
      summaryVersion: 2,
    });
    expect(world.summary()).toEqual({
      documentJson: '{"b":{"x":1,"y":null}}',
      version: 2,
      patchKind: 'json-merge-patch',
      firstAppliedAt: START,
      lastUpdatedAt: START + 10,
    });
    expect(world.texts()).toEqual(['{"a":1,"b":{"x":1}}', '{"a":null,"b":{"y":"__ff_null__"}}']);
    expect(world.types()).toEqual(['stream_opened', 'summary_patched', 'summary_patched']);
  });
});

describe('readStream', () => {
  it('pages from one position to another, inclusive', () => {
    const world = new World();
    for (const letter of 'abcd') {
      world.append({ payload: text(letter) });
      world.now += 1;
    }
    expect(world.texts({ from: `${START + 1}`, to: `${START + 2}` })).toEqual(['b', 'c']);
    const page = world.frames({ limit: 3 });
    expect(page.nextCursor).toBe(`${START + 2}-0`);
    expect(world.frames({ limit: 4 }).nextCursor).toBe(undefined);
    expect(world.texts({ from: 'end' })).toEqual([]);
  });

  it.each([
    ['', 'stream cursor must not be empty'],
    ['-', "bare marker '-' is not a valid stream cursor; use 'start' or 'end'"],
    ['Start', "invalid stream cursor (expected 'start', 'end', '<ms>', or '<ms>-<seq>')"],
    ['1-', "invalid stream cursor (expected 'start', 'end', '<ms>', or '<ms>-<seq>')"],
    ['18446744073709551616', 'invalid stream cursor: its numbers go up to 18446744073709551615'],
  ])('refuses %j', (from, message) => {
    const parsed = QUERIES.readStream.args.safeParse({ executionId: X, attemptIndex: 0, from });
    expect(parsed.error?.issues[0]?.message).toBe(message);
  });
});

describe('the end of an attempt', () => {
  it('also closes a stream without frames', () => {
    const world = new World();
    expect(world.frames().isClosed).toBe(false);
    world.run('completeExecution', { executionId: X, fence: FENCE });
    expect(world.frames()).toMatchObject({ isClosed: true, closedAt: undefined, frames: [] });
  });

  it('is kept with its stream until a purge removes both', () => {
    const world = new World({ retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 0 } } });
    world.append();
    world.run('failExecution', { executionId: X, fence: FENCE, failureReason: 'r' });
    world.run('promoteDelayed', { executionId: X });
    world.claim(2);
    world.append({
      attemptIndex: 1,
      fence: { leaseId: uuid(102), leaseEpoch: 2, attemptId: uuid(202) },
      payload: text('second'),
    });
    world.run('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' });
    expect(world.texts({ attemptIndex: 1 })).toEqual(['second']);
    world.now += RETENTION_MS + 120_000;
    world.run('purgeExecution', { executionId: X });
    expect(world.types().slice(-3)).toEqual(['stream_removed', 'stream_removed', 'execution_purged']);
    expect(world.machine.partition.streams.size).toBe(0);
    expect(world.machine.partition.state.tables.stream.size).toBe(0);
  });
});
