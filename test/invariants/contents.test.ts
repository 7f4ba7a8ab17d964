/** Every invariant of what streams hold sees the world that breaks it. */
import { describe, expect, it } from 'vitest';
import { contentInvariants, contentViolations } from '../../model/stream/content-invariants.js';
import type { Frame, StreamContents } from '../../model/stream/contents.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { ArgsOf, OperationName } from '../../model/machine.js';
import type { PartitionState } from '../../model/state.js';
import type { Stream } from '../../model/stream/facts.js';
import { parseCommand } from '../../src/backend/boundary.js';

const START = 1_700_000_000_000;
const uuid = (n: number): string => `00000000-0000-4000-a000-${n.toString(16).padStart(12, '0')}`;
const EXECUTION = `{fp:0}:${uuid(1)}`;
const STREAM = `${EXECUTION}:0`;

/** A partition with one stream of all modes, which is closed. */
function good(): SpecMachine {
  const machine = new SpecMachine({ retentionMs: 60_000 });
  let now = START;
  const run = <Name extends OperationName>(name: Name, args: ArgsOf<Name>): void => {
    const decision = machine.run(parseCommand(name, args, 'memory'), now++);
    if (!decision.ok) throw new Error(decision.code);
  };
  const names = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
  run('createExecution', { executionId: EXECUTION, ...names });
  const fence = { leaseId: uuid(2), leaseEpoch: 1, attemptId: uuid(3) };
  const worker = { workerId: 'w', workerInstanceId: 'w1', leaseTtlMs: 60_000 };
  run('claimForWorker', {
    partition: '{fp:0}',
    laneId: 'l',
    ...worker,
    claims: [{ leaseId: fence.leaseId, attemptId: fence.attemptId }],
  });
  const owner = { executionId: EXECUTION, attemptIndex: 0, fence };
  for (const n of [1, 2, 3]) {
    run('appendFrame', { ...owner, payload: new Uint8Array(n) });
    run('appendFrame', { ...owner, patch: `{"n":${n},"a":[{"x":"__ff_null__"}]}` });
    run('appendFrame', { ...owner, payload: new Uint8Array(n), bestEffort: { ttlMs: 0 } });
  }
  run('completeExecution', { executionId: EXECUTION, fence });
  return machine;
}

/** A world that can be broken. */
interface Broken {
  readonly state: PartitionState;
  readonly streams: Map<string, StreamContents>;
  readonly stream: Stream;
  readonly contents: StreamContents;
}

function world(): Broken {
  const { state, streams } = good().partition;
  const broken = { state: structuredClone(state), streams: structuredClone(streams) };
  const stream = broken.state.tables.stream.get(STREAM) as Stream;
  return { ...broken, stream, contents: broken.streams.get(STREAM) as StreamContents };
}

const counted = (it: Broken, facts: Partial<StreamContents['counters']>): void => {
  it.contents.counters = { ...it.contents.counters, ...facts };
};

const document = (it: Broken, text: string): void => {
  it.contents.document = text;
};

const BREAKS: Record<string, (it: Broken) => void> = {
  'a stream has a record if and only if it has frames, or had some': (it) => it.streams.delete(STREAM),
  'frames of each mode ascend, and no two of a stream have one id': (it) => it.contents.frames.durable.reverse(),
  'the newest frame has the greatest id that was ever given, or is gone': (it) => counted(it, { lastMs: START }),
  'the counters count what there is, and what is gone': (it) => counted(it, { totalBytes: 1 }),
  'no mode keeps more frames than its window': (it) => (it.contents.rate = undefined),
  'no mode drops frames of another one, nor any that its window holds': (it) => it.contents.frames.summary.shift(),
  'a frame is of the mode under which it stands': (it) =>
    it.contents.frames.durable.push(it.contents.frames.best_effort.pop() as Frame),
  'a closed stream was closed with what it holds': (it) => (it.stream.frameCount = 8),
  'the k-th patch made the version k, and the newest the version of the summary': (it) =>
    it.contents.frames.summary.splice(1, 1),
  'there is a document if and only if there was a patch': (it) => document(it, ''),
  'the document is what its record says: size and digest': (it) => (it.stream.summaryBytes += 1),
  'the document is canonical: printed again, it is the same': (it) => document(it, '{"n":3,"a":[{"x":null}]}'),
  'the document holds no sentinel, and keeps to its limits': (it) => document(it, '{"a":["__ff_null__"]}'),
  'the document is the fold of all patches, as long as all are kept': (it) => document(it, '{"a":[{"x":null}],"n":2}'),
};

describe('the invariants of stream contents', () => {
  it('hold in a valid world', () => {
    const { state, streams } = world();
    expect(contentViolations(state, streams)).toEqual([]);
  });

  it('are each broken by a world of their own', () => {
    expect(Object.keys(BREAKS).sort()).toEqual(contentInvariants.map(({ name }) => name).sort());
  });

  it.each(Object.keys(BREAKS))('detect a world in which this does not hold: %s', (name) => {
    const broken = world();
    BREAKS[name]?.(broken);
    expect(contentViolations(broken.state, broken.streams).map((text) => text.split(': {')[0])).toContain(name);
  });
});
