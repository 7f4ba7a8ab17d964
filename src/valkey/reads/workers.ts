/** Reads of workers. */
import { facetCodec } from '../../../model/core/codec.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { workerFacts, type WorkerRecord } from '../../../model/worker/facts.js';
import { viewOf, type Fetch } from './fetch.js';
import { unlessDamaged } from '../records/record.js';
import { listOf, repliesOf, textOf, textsOf, type WireReply } from '../wire/reply.js';

const IDENTITY = facetCodec(workerFacts.identity);
const OFFER = facetCodec(workerFacts.offer);
const BEAT = facetCodec(workerFacts.beat);

function workerOf(row: WireReply): WorkerRecord {
  const [workerInstanceId = '', identity = '', offer = '', beat = ''] = textsOf(row);
  return { workerInstanceId, ...IDENTITY.decode(identity), ...OFFER.decode(offer), ...BEAT.decode(beat) };
}

export const listWorkers: Fetch<ParsedArgsOf<'listWorkers'>> = {
  request: ({ cursor, limit }) => ['list_workers', cursor ?? '', String(limit)],
  view(reply) {
    const [rows, next] = repliesOf(reply, 2);
    // The library has filtered them by the server's clock: these are alive.
    return viewOf({
      workers: {
        alive: () => ({
          workers: listOf(rows).flatMap((row) => unlessDamaged(() => workerOf(row)) ?? []),
          next: textOf(next) || undefined,
        }),
      },
    });
  },
};
