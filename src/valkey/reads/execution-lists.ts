/** Lists of executions: the request has a filter, and the answer has rows of stored texts. */
import { facetCodec, factCodec } from '../../../model/core/codec.js';
import { executionFacts } from '../../../model/execution/facts.js';
import {
  BLOCKS,
  SITUATIONS,
  SITUATION_NAMES,
  type BlockReason,
  type PublicState,
  type Situation,
} from '../../../model/execution/situation.js';
import { EngineError } from '../../../model/errors.js';
import type { LostExecution } from '../../../model/lease/expired.js';
import { executionIdIn, memberOf } from '../../../model/ids.js';
import { tagMembersOf, type ListedExecution } from '../../../model/listing/list.js';
import { positionFor, type Position } from '../../../model/listing/position.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { viewOf, type Fetch } from './fetch.js';
import { unlessDamaged } from '../records/record.js';
import { repliesOf, rowsOf, textOf, textsOf, type WireReply } from '../wire/reply.js';

const NAMING = facetCodec(executionFacts.naming);
const GIVEN = facetCodec(executionFacts.given);
const WORKER = facetCodec(executionFacts.worker);
const FENCE = facetCodec(executionFacts.fence);
const TAGS = factCodec('tags', executionFacts.long.tags);

const SITUATION_OF: ReadonlyMap<string, Situation> = new Map(
  SITUATION_NAMES.map((situation) => [SITUATIONS[situation].letter, situation]),
);

function situationOf(letter: string): Situation {
  const situation = SITUATION_OF.get(letter);
  if (situation === undefined) throw new EngineError('corruption', `"${letter.slice(0, 40)}" is no situation.`);
  return situation;
}

/** A filter that matches no situation. */
const NO_SITUATION = '-';

/** Letters of the situations with a public state and a block reason; empty for any. */
function lettersOf(state: PublicState | undefined, blockedBy: BlockReason | undefined): string {
  if (state === undefined && blockedBy === undefined) return '';
  const wanted = SITUATION_NAMES.filter(
    (situation) =>
      (state === undefined || SITUATIONS[situation].publicState === state) &&
      (blockedBy === undefined || situation === BLOCKS[blockedBy]),
  );
  return wanted.map((situation) => SITUATIONS[situation].letter).join('') || NO_SITUATION;
}

/**
 * The public state that other filters imply: an owned execution is active, and only a cancelled one has `cancelledBy`.
 */
function stateOf(workerInstanceId: string | undefined, cancelledBy: string | undefined): PublicState | undefined {
  if (workerInstanceId !== undefined) return 'active';
  return cancelledBy === undefined ? undefined : 'cancelled';
}

const listedIn = (partition: string, parts: WireReply): readonly ListedExecution[] =>
  rowsOf(textsOf(parts), ROW).flatMap((row) => unlessDamaged(() => rowOf(partition, row)) ?? []);

/**
 * Texts of a row: id, naming, given, situation, last transition, attempts, failure category, replays, held, worker,
 * fence, cancelled by, tags.
 */
const ROW = 13;

/** @throws EngineError `corruption` */
function rowOf(partition: string, texts: readonly string[]): ListedExecution {
  const [
    id = '',
    naming = '',
    given = '',
    letter = '',
    lastTransitionAt = '',
    attempts,
    failureCategory,
    replays,
    held,
  ] = texts;
  const [worker = '', fence = '', cancelledBy = '', tags = ''] = texts.slice(9);
  const facts = { ...NAMING.decode(naming), ...GIVEN.decode(given) };
  const owner = worker === '' ? undefined : { ...WORKER.decode(worker), ...FENCE.decode(fence) };
  return {
    ...facts,
    executionId: executionIdIn(partition, id),
    situation: situationOf(letter),
    // Unchanged since its creation, the execution has no time of a transition.
    lastTransitionAt: lastTransitionAt === '' ? facts.createdAt : Number(lastTransitionAt),
    totalAttemptCount: Number(attempts),
    failureCategory: failureCategory || undefined,
    cancelledBy: cancelledBy || undefined,
    replayCount: Number(replays),
    held: held === '1',
    workerInstanceId: owner?.currentWorkerInstanceId,
    leaseId: owner?.currentLeaseId,
    tags: TAGS.decode(tags) as ListedExecution['tags'],
  };
}

export const listExecutionSummaries: Fetch<ParsedArgsOf<'listExecutionSummaries'>> = {
  request: ({
    cursor,
    limit,
    namespace,
    laneId,
    executionKind,
    publicState,
    blockedBy,
    held,
    failureCategory,
    cancelledBy,
    workerInstanceId,
    tags,
  }) => [
    'list_execution_summaries',
    cursor === undefined ? '' : memberOf(cursor),
    String(limit),
    namespace ?? '',
    laneId ?? '',
    executionKind ?? '',
    lettersOf(publicState ?? stateOf(workerInstanceId, cancelledBy), blockedBy),
    held === undefined ? '' : '1',
    failureCategory ?? '',
    cancelledBy ?? '',
    workerInstanceId ?? '',
    ...tagMembersOf(tags),
  ],
  view(reply, { partition }) {
    const [next, parts] = repliesOf(reply, 2);
    const executions = listedIn(partition, parts);
    const behind = next === null ? undefined : executionIdIn(partition, textOf(next));
    return viewOf({ executions: { listed: () => ({ executions, next: behind }) } });
  },
};

/** The texts of a position in a list: score and id; both empty for none. */
export function placeOf(partition: string, cursor: string | undefined): readonly [string, string] {
  const position = positionFor(partition, cursor);
  return position === undefined ? ['', ''] : [String(position.score), memberOf(position.executionId)];
}

/** The position in an answer of the library, if any. */
export function positionOf(partition: string, reply: WireReply): Position | undefined {
  if (reply === null) return undefined;
  const [score = '', id = ''] = textsOf(reply);
  return { score: Number(score), executionId: executionIdIn(partition, id) };
}

export const listQueued: Fetch<ParsedArgsOf<'listQueued'>> = {
  request: ({ partition, cursor, limit, laneId, namespace, executionKind, tags }) => [
    'list_queued',
    ...placeOf(partition, cursor),
    String(limit),
    laneId,
    namespace ?? '',
    executionKind ?? '',
    ...tagMembersOf(tags),
  ],
  view(reply, { partition }) {
    const [next, parts] = repliesOf(reply, 2);
    const executions = listedIn(partition, parts);
    return viewOf({ executions: { queued: () => ({ executions, next: positionOf(partition, next) }) } });
  },
};

/** Texts of a row: id, time of the loss, naming, situation, end of the lease, attempts, fence, worker. */
const LOST_ROW = 8;

function lostRowOf(partition: string, texts: readonly string[]): LostExecution {
  const [id = '', lostAt, naming = '', letter = '', dueAt, attempts, fence = '', worker = ''] = texts;
  const { currentLeaseId = '', currentLeaseEpoch } = FENCE.decode(fence);
  const { currentWorkerId = '', currentWorkerInstanceId = '' } = WORKER.decode(worker);
  return {
    ...NAMING.decode(naming),
    ...{ currentLeaseId, currentLeaseEpoch, currentWorkerId, currentWorkerInstanceId },
    executionId: executionIdIn(partition, id),
    situation: situationOf(letter),
    dueAt: Number(dueAt),
    totalAttemptCount: Number(attempts),
    lostAt: Number(lostAt),
  };
}

export const listExpiredLeases: Fetch<ParsedArgsOf<'listExpiredLeases'>> = {
  request: ({ partition, cursor, limit, asOf, namespace }) => [
    'list_expired_leases',
    ...placeOf(partition, cursor),
    String(limit),
    asOf === undefined ? '' : String(asOf),
    namespace ?? '',
  ],
  view(reply, { partition }) {
    const [next, parts] = repliesOf(reply, 2);
    const executions = rowsOf(textsOf(parts), LOST_ROW).flatMap(
      (row) => unlessDamaged(() => lostRowOf(partition, row)) ?? [],
    );
    return viewOf({ executions: { lost: () => ({ executions, next: positionOf(partition, next) }) } });
  },
};
