/** Decodes the server's answer to a claim: stored facets, and what the claim changed. */
import { factCodec, factReader } from '../core/codec.js';
import { present } from '../core/present.js';
import { keysOf } from '../core/tables.js';
import type { AnswerReader } from '../core/wire-form.js';
import { executionFacts } from '../execution/facts.js';
import { executionIdIn } from '../ids.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import type { Earlier } from './earlier.js';
import { isShortId, uuidOf } from '../short-id.js';
import { CLAIM_KINDS, type ClaimedExecution, type ClaimIds } from './claimed.js';

/** The row of a first claim without anything special: the caller knows the rest. */
export const PLAIN_CLAIM = 'p';

const kindIn = factReader(executionFacts.naming, 'executionKind');
const priorityIn = factReader(executionFacts.given, 'priority');
const payloadBytesIn = factReader(executionFacts.given, 'payloadBytes');
const encodingIn = factReader(executionFacts.given, 'payloadEncoding');
const deadlineIn = factReader(executionFacts.bounds, 'executionDeadlineAt');
const epochIn = factReader(executionFacts.fence, 'currentLeaseEpoch');
const leaseIn = factReader(executionFacts.fence, 'currentLeaseId');
const attemptIn = factReader(executionFacts.fence, 'currentAttemptId');
const TAGS = factCodec('tags', executionFacts.long.tags);

const wordsOf = <Word extends string>(letters: Readonly<Record<Word, string>>): ReadonlyMap<string, Word> =>
  new Map(keysOf(letters).map((word) => [letters[word], word]));
/** Kinds of claims by their letters. */
export const CLAIM_KIND_OF = wordsOf(CLAIM_KINDS);
const TYPE_OF = wordsOf(ATTEMPT_TYPES);

/** The ids at the end of an answer, preceded by their number. A damaged queue can hold texts that are no ids. */
export function readIds(answer: AnswerReader): string[] {
  return Array.from({ length: answer.number() }, () => {
    const text = answer.text();
    return isShortId(text) ? executionIdIn(answer.partition, text) : text;
  });
}

/** The id of the next claimed execution. */
export const readId = (answer: AnswerReader): string => executionIdIn(answer.partition, answer.text());

/**
 * Reads a claimed execution behind its id. `ids` are those of its claim. All its texts are read before any of them is
 * decoded, so that the next one is read behind one that is damaged. @throws EngineError `corruption`
 */
export function readExecution(
  answer: AnswerReader,
  executionId: string,
  leaseExpiresAt: number,
  ids: ClaimIds,
): ClaimedExecution {
  const how = answer.text();
  const naming = answer.text();
  const given = answer.text();
  const inputPayload = answer.bytes();
  if (how === PLAIN_CLAIM) {
    // One literal, because every claim reads one.
    return {
      executionId,
      leaseId: ids.leaseId,
      leaseEpoch: 1,
      attemptIndex: 0,
      attemptId: ids.attemptId,
      claimKind: 'fresh',
      attemptType: 'initial',
      leaseExpiresAt,
      attemptTimeoutAt: undefined,
      attemptTimeoutRemainingMs: undefined,
      executionDeadlineAt: undefined,
      executionKind: kindIn(naming),
      priority: priorityIn(given),
      payloadEncoding: encodingIn(given),
      tags: {},
      payloadBytes: payloadBytesIn(given),
      inputPayload,
      earlier: undefined,
    };
  }
  const fence = answer.text();
  const attemptIndex = answer.number();
  const attemptTimeoutAt = answer.optionalNumber();
  const attemptTimeoutRemainingMs = answer.optionalNumber();
  const bounds = answer.text();
  const tags = answer.text();
  const earlier = answer.beside(executionId) as Earlier | undefined;
  const results = readGiven(answer);
  const claimKind = present(CLAIM_KIND_OF.get(how.slice(0, 1)));
  const attemptType = TYPE_OF.get(how.slice(1)) ?? 'initial';
  return {
    executionId,
    leaseId: present(leaseIn(fence)),
    leaseEpoch: epochIn(fence),
    attemptIndex,
    attemptId: present(attemptIn(fence)),
    claimKind,
    attemptType: claimKind === 'resumed' ? undefined : attemptType,
    leaseExpiresAt,
    attemptTimeoutAt,
    attemptTimeoutRemainingMs,
    executionDeadlineAt: deadlineIn(bounds),
    executionKind: kindIn(naming),
    priority: priorityIn(given),
    payloadEncoding: encodingIn(given),
    tags: tags === '' ? {} : (TAGS.decode(tags) as Record<string, string>),
    payloadBytes: payloadBytesIn(given),
    inputPayload,
    earlier,
    ...results,
  };
}

/** Results of upstreams: their number, whether there are more, a line about each, and the results. */
function readGiven(answer: AnswerReader): Pick<ClaimedExecution, 'upstreamResults' | 'moreUpstreamResults'> {
  const count = answer.optionalNumber();
  if (count === undefined) return {};
  const moreUpstreamResults = answer.text() !== '';
  const headings = count === 0 ? [] : answer.text().split('\n');
  const upstreamResults = headings.map((heading) => {
    const [edgeId = '', dataPassingRef = '', resultEncoding = ''] = heading.split('\t');
    return {
      edgeId: uuidOf(edgeId),
      dataPassingRef,
      resultEncoding: resultEncoding || undefined,
      result: answer.bytes(),
    };
  });
  return { upstreamResults, moreUpstreamResults };
}
