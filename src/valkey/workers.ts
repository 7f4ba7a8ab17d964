/** Reads of workers. */
import { facetCodec } from '../../model/core/codec.js';
import type { ParsedArgsOf } from '../../model/machine.js';
import { workerFacts, type WorkerRecord } from '../../model/worker/facts.js';
import { viewOf, type Fetch } from './fetch.js';
import { listOf, repliesOf, textOf, textsOf, type WireReply } from './reply.js';

const FACETS = [workerFacts.identity, workerFacts.offer, workerFacts.beat].map(facetCodec);

function workerOf(row: WireReply): WorkerRecord {
  const [workerInstanceId, ...texts] = textsOf(row);
  const facts: Record<string, unknown> = { workerInstanceId };
  FACETS.forEach((facet, i) => facet.decode(texts[i] ?? '', facts));
  return facts as unknown as WorkerRecord;
}

export const listWorkers: Fetch<ParsedArgsOf<'listWorkers'>> = {
  request: ({ cursor, limit }) => ['list_workers', cursor ?? '', String(limit)],
  view(reply) {
    const [rows, next] = repliesOf(reply, 2);
    // The library has filtered them by the server's clock: these are alive.
    return viewOf({
      workers: { alive: () => ({ workers: listOf(rows).map(workerOf), next: textOf(next) || undefined }) },
    });
  },
};
