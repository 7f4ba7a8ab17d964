/** Lists of executions, as the library answers them: a filter goes out, rows of stored texts come back. */
import { facetCodec } from '../../model/core/codec.js';
import { executionFacts } from '../../model/execution/facts.js';
import { SITUATIONS, SITUATION_NAMES, type PublicState, type Situation } from '../../model/execution/situation.js';
import { executionIdIn, memberOf } from '../../model/ids.js';
import type { ListedExecution } from '../../model/listing/list.js';
import type { ParsedArgsOf } from '../../model/machine.js';
import { viewOf, type Fetch } from './fetch.js';
import { textOf, type WireReply } from './reply.js';

const NAMING = facetCodec(executionFacts.naming);
const GIVEN = facetCodec(executionFacts.given);
const WORKER = facetCodec(executionFacts.worker);
const FENCE = facetCodec(executionFacts.fence);

const SITUATION_OF: ReadonlyMap<string, Situation> = new Map(
  SITUATION_NAMES.map((situation) => [SITUATIONS[situation].letter, situation]),
);

/** Letters of the situations that read as a public state; none for any. What a worker owns is active. */
const lettersOf = (state: PublicState | undefined): string =>
  SITUATION_NAMES.filter((situation) => SITUATIONS[situation].publicState === state)
    .map((situation) => SITUATIONS[situation].letter)
    .join('');

/** Texts of a row: id, naming, given, situation, last transition, attempts, failure category, replays, held, worker, fence. */
const ROW = 11;

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
  const [worker = '', fence = ''] = texts.slice(9);
  const facts: Record<string, unknown> = {};
  NAMING.decode(naming, facts);
  GIVEN.decode(given, facts);
  const owner: Record<string, unknown> = {};
  if (worker !== '') {
    WORKER.decode(worker, owner);
    FENCE.decode(fence, owner);
  }
  return {
    ...(facts as Pick<ListedExecution, 'namespace' | 'laneId' | 'executionKind' | 'priority' | 'createdAt'>),
    executionId: executionIdIn(partition, id),
    situation: SITUATION_OF.get(letter) as Situation,
    // What nothing has happened to since its creation has no other time.
    lastTransitionAt: lastTransitionAt === '' ? (facts['createdAt'] as number) : Number(lastTransitionAt),
    totalAttemptCount: Number(attempts),
    failureCategory: failureCategory || undefined,
    replayCount: Number(replays),
    held: held === '1',
    workerInstanceId: owner['currentWorkerInstanceId'] as string | undefined,
    leaseId: owner['currentLeaseId'] as string | undefined,
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
    held,
    failureCategory,
    workerInstanceId,
    tags,
  }) => [
    'list_execution_summaries',
    cursor === undefined ? '' : memberOf(cursor),
    String(limit),
    namespace ?? '',
    laneId ?? '',
    executionKind ?? '',
    lettersOf(publicState ?? (workerInstanceId === undefined ? undefined : 'active')),
    held === undefined ? '' : '1',
    failureCategory ?? '',
    workerInstanceId ?? '',
    // A member as it stands in the stored JSON.
    ...Object.entries(tags).map(([key, value]) => JSON.stringify({ [key]: value }).slice(1, -1)),
  ],
  view(reply, { partition }) {
    const [next, parts] = reply as [WireReply, WireReply[]];
    const texts = parts.map(textOf);
    const executions = Array.from({ length: texts.length / ROW }, (_, i) =>
      rowOf(partition, texts.slice(i * ROW, (i + 1) * ROW)),
    );
    const behind = next === null ? undefined : executionIdIn(partition, textOf(next));
    return viewOf({ executions: { listed: () => ({ executions, next: behind }) } });
  },
};
