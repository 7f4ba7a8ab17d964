/** Reads of signing keys and tokens. */
import { facetCodec } from '../../../model/core/codec.js';
import { compareBytes, memberOf } from '../../../model/ids.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { signingKeyFacts, type SigningKey } from '../../../model/signing/entity.js';
import { waitsFacts } from '../../../model/suspension/facts.js';
import { viewOf, type Fetch } from './fetch.js';
import { unlessDamaged } from '../records/record.js';
import { listOf, textsOf, type WireReply } from '../wire/reply.js';

const IDENTITY = facetCodec(signingKeyFacts.identity);
const EXPIRY = facetCodec(signingKeyFacts.expiry);
const WAITPOINT = facetCodec(waitsFacts.waitpoint);

/** A key; undefined for a damaged one that is not the current one. @throws EngineError `corruption` for the current one */
function keyOf(row: WireReply): SigningKey | undefined {
  const [kid = '', identity = '', expiry = ''] = textsOf(row);
  const read = (): SigningKey => ({ kid, ...IDENTITY.decode(identity), ...EXPIRY.decode(expiry) });
  return /^\d+$/.test(expiry) ? unlessDamaged(read) : read();
}

export const listWaitpointHmacKids: Fetch<ParsedArgsOf<'listWaitpointHmacKids'>> = {
  request: () => ['list_kids'],
  view(reply) {
    const keys = listOf(reply)
      .flatMap((row) => keyOf(row) ?? [])
      .sort((a, b) => compareBytes(a.kid, b.kid));
    // The library has filtered them by the server's clock: these verify.
    return viewOf({ signing: { all: () => keys } });
  },
};

export const readWaitpointToken: Fetch<ParsedArgsOf<'readWaitpointToken'>> = {
  request: ({ executionId, waitpointId }) => ['read_token', memberOf(executionId), waitpointId],
  view(reply, { waitpointId }) {
    const [text, kid, digest] = textsOf(reply);
    const waitpoints = text === undefined ? {} : { [waitpointId]: WAITPOINT.decode(text) };
    return viewOf({
      executions: { get: () => ({ waiting: { waitpoints } }) as never },
      // The secret stays on the server: the library has computed the digest of the one message.
      signing: {
        current: () => (kid === undefined ? undefined : ({ kid } as SigningKey)),
        digest: () => digest || undefined,
      },
    });
  },
};
