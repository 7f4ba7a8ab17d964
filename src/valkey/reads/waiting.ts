/** Reads of suspensions, waitpoints and signals. */
import { facetCodec } from '../../../model/core/codec.js';
import { executionFacts, type ReadonlyExecution } from '../../../model/execution/facts.js';
import { executionIdIn, memberOf } from '../../../model/ids.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import type { SigningKey } from '../../../model/signing/entity.js';
import { type SUSPEND_REASONS, waitsFacts } from '../../../model/suspension/facts.js';
import { suspendedRow, type SuspendedExecution } from '../../../model/suspension/listings.js';
import { viewOf, type Fetch } from './fetch.js';
import { placeOf, positionOf } from './execution-lists.js';
import { unlessDamaged } from '../records/record.js';
import { bytesByName, pairsOf, repliesOf, rowsOf, textOf, textsOf } from '../wire/reply.js';
import { decodeWaits } from '../records/waits.js';

const NAMING = facetCodec(executionFacts.naming);
const SUSPENSION = facetCodec(waitsFacts.suspension);
const REASON = facetCodec({ reasonCode: waitsFacts.suspension.reasonCode });

/** The fetch of a page of signals, with their payloads. */
export const signalPage = (
  name: string,
): Fetch<{ executionId: string; cursor?: string | undefined; limit: number }> => ({
  request: ({ executionId, cursor, limit }) => [name, memberOf(executionId), cursor ?? '', String(limit)],
  isPage: () => true,
  view(reply) {
    const [waits, payloads] = repliesOf(reply, 2);
    const fields = pairsOf(waits);
    const brought = bytesByName(payloads);
    return viewOf({
      executions: {
        get: () => ({ waiting: decodeWaits(fields) }) as ReadonlyExecution,
        payload: (_, signalId) => brought.get(signalId),
      },
    });
  },
});

function rowOf(executionId: string, naming: string, text: string): SuspendedExecution[] {
  const waiting = { suspension: SUSPENSION.decode(text) };
  const execution = { executionId, situation: 'suspended', ...NAMING.decode(naming), waiting };
  return [suspendedRow(execution as unknown as ReadonlyExecution, {}) ?? []].flat();
}

export const listSuspended: Fetch<ParsedArgsOf<'listSuspended'>> = {
  request: ({ partition, cursor, limit, reason, namespace, laneId }) => [
    'list_suspended',
    ...placeOf(partition, cursor),
    String(limit),
    reason === undefined ? '' : `=${REASON.encode({ reasonCode: reason satisfies keyof typeof SUSPEND_REASONS })}`,
    namespace ?? '',
    laneId ?? '',
  ],
  view(reply, { partition }) {
    const [next, rows] = repliesOf(reply, 2);
    const executions = rowsOf(textsOf(rows), 3).flatMap(
      ([id = '', naming = '', text = '']) =>
        unlessDamaged(() => rowOf(executionIdIn(partition, id), naming, text)) ?? [],
    );
    return viewOf({ executions: { suspended: () => ({ executions, next: positionOf(partition, next) }) } });
  },
};

export const listPendingWaitpoints: Fetch<ParsedArgsOf<'listPendingWaitpoints'>> = {
  request: ({ executionId }) => ['list_waitpoints', memberOf(executionId)],
  view(reply) {
    const [isThere, waits, kid, digests] = repliesOf(reply, 4);
    if (isThere === 0) return viewOf({ executions: { get: () => undefined } });
    const execution = { waiting: decodeWaits(pairsOf(waits)) } as ReadonlyExecution;
    const current = textOf(kid);
    const digestOf = pairsOf(digests);
    return viewOf({
      executions: { get: () => execution },
      signing: {
        current: () => (current === '' ? undefined : ({ kid: current } as SigningKey)),
        // A message begins with the id of its waitpoint, then "|".
        digest: (_, message) => digestOf.get(message.slice(0, message.indexOf('|'))),
      },
    });
  },
};
