/**
 * What holds for streams in the state and the log. Frames are beside both; backends are compared for them. Spec 07,
 * Invariants.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import type { Invariant, World } from '../specification/invariant.js';
import type { LogRule } from '../specification/replay.js';
import { isAttemptOver } from './closing.js';
import { streamIdOf, type ReadonlyStream } from './facts.js';

/** Every stream with its execution and the index of its attempt. */
function* streamsOf({ state: { tables } }: World): Generator<[ReadonlyStream, ReadonlyExecution | undefined, number]> {
  for (const [id, stream] of tables.stream) {
    const colon = id.lastIndexOf(':');
    yield [stream, tables.execution.get(id.slice(0, colon)), Number(id.slice(colon + 1))];
  }
}

function each(
  name: string,
  holds: (stream: ReadonlyStream, execution: ReadonlyExecution | undefined, attemptIndex: number) => boolean,
): Invariant {
  return {
    name,
    check(world) {
      for (const [stream, execution, attemptIndex] of streamsOf(world))
        if (!holds(stream, execution, attemptIndex)) return `${stream.streamId}: ${JSON.stringify(stream)}`;
      return undefined;
    },
  };
}

export const streamInvariants: readonly Invariant[] = [
  each(
    'a stream belongs to an attempt that began',
    (_, execution, attemptIndex) => execution !== undefined && attemptIndex < execution.totalAttemptCount,
  ),
  each(
    'the stream of an attempt is closed if and only if the attempt is over',
    ({ closedAt }, execution, attemptIndex) =>
      execution === undefined || (closedAt !== undefined) === isAttemptOver(execution, attemptIndex),
  ),
  each(
    'a closed stream says why, and with what it was closed',
    ({ closedAt, closedReason, frameCount, totalBytes, lastFrameId }) =>
      [closedReason, frameCount, totalBytes, lastFrameId].every(
        (fact) => (fact === undefined) === (closedAt === undefined),
      ),
  ),
  each(
    'a summary has a digest and times if and only if it has a version',
    ({ summaryVersion, summaryDigest, firstAppliedAt, lastUpdatedAt }) =>
      summaryVersion === 0
        ? summaryDigest === undefined && firstAppliedAt === undefined && lastUpdatedAt === undefined
        : summaryDigest !== undefined && (firstAppliedAt ?? Infinity) <= (lastUpdatedAt ?? -Infinity),
  ),
  {
    name: 'an execution names its newest stream',
    check({ state: { tables } }) {
      for (const [id, { lastStreamIndex }] of tables.execution)
        if (lastStreamIndex !== undefined && !tables.stream.has(streamIdOf(id, lastStreamIndex)))
          return `${id} names the stream of attempt ${lastStreamIndex}`;
      return undefined;
    },
  },
];

export const streamRules: readonly LogRule[] = [
  {
    name: 'a stream is opened once, changed while it is open, and closed once',
    holds({ event, before }) {
      if (event.type !== 'stream_opened' && event.type !== 'summary_patched' && event.type !== 'stream_closed')
        return true;
      const stream = before.tables.stream.get(streamIdOf(event.executionId, event.attemptIndex));
      return event.type === 'stream_opened'
        ? stream === undefined
        : stream !== undefined && stream.closedAt === undefined;
    },
  },
  {
    name: 'only the owner of an attempt opens its stream and changes its summary',
    holds({ event, past }) {
      if (event.type !== 'stream_opened' && event.type !== 'summary_patched') return true;
      const isOwned = past?.ownership === 'held' && event.attemptIndex === past.attempts - 1;
      return isOwned && (event.type !== 'stream_opened' || event.attemptId === past.lease?.attemptId);
    },
  },
  {
    name: 'the versions of a summary follow each other',
    holds({ event, before }) {
      if (event.type !== 'summary_patched') return true;
      const stream = before.tables.stream.get(streamIdOf(event.executionId, event.attemptIndex));
      return event.summaryVersion === (stream?.summaryVersion ?? 0) + 1;
    },
  },
];
