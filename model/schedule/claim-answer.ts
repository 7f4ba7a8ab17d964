/** How what a claim took is read from a server's answer: facets as they are stored, and what the claim made of them. */
import { facetCodec, type FacetCodec } from '../core/codec.js';
import type { AnswerReader } from '../core/wire-form.js';
import { executionFacts, type ReadonlyExecution } from '../execution/facts.js';
import { executionIdIn } from '../ids.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import type { Earlier } from './earlier.js';
import { CLAIM_KINDS, type ClaimedExecution, type ClaimIds } from './claimed.js';

/** What is told of a claim of which the caller knows the rest: the first one of an execution without anything special. */
export const PLAIN_CLAIM = 'p';

/** What every such claim is. */
const PLAIN = {
  leaseEpoch: 1,
  attemptIndex: 0,
  claimKind: 'fresh',
  attemptType: 'initial',
  attemptTimeoutAt: undefined,
  attemptTimeoutRemainingMs: undefined,
  executionDeadlineAt: undefined,
} as const;

const NAMING = facetCodec(executionFacts.naming);
const GIVEN = facetCodec(executionFacts.given);
const BOUNDS = facetCodec(executionFacts.bounds);
const FENCE = facetCodec(executionFacts.fence);

const wordsOf = (letters: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(letters).map(([word, letter]) => [letter, word]));
/** Kinds of claims by their letters. */
export const CLAIM_KIND_OF = wordsOf(CLAIM_KINDS);
const TYPE_OF = wordsOf(ATTEMPT_TYPES);

/** Ids that an answer ends with, after how many they are. */
export function readIds(answer: AnswerReader): string[] {
  return Array.from({ length: answer.number() }, () => executionIdIn(answer.partition, answer.text()));
}

/** The facets of an execution, as they are stored, and what the claim made of them. `ids` are those of the next claim. */
export function readExecution(answer: AnswerReader, leaseExpiresAt: number, ids: ClaimIds): ClaimedExecution {
  const executionId = executionIdIn(answer.partition, answer.text());
  const how = answer.text();
  const { executionKind } = decoded(NAMING, answer.text());
  const { priority, payloadEncoding } = decoded(GIVEN, answer.text());
  const common = {
    executionId,
    leaseExpiresAt,
    executionKind,
    priority,
    payloadEncoding,
    inputPayload: answer.bytes() as Uint8Array,
  };
  if (how === PLAIN_CLAIM) return { ...common, ...PLAIN, leaseId: ids.leaseId, attemptId: ids.attemptId, tags: {} };
  const fence = decoded(FENCE, answer.text());
  const attemptIndex = answer.number();
  const attemptTimeoutAt = answer.optionalNumber();
  const attemptTimeoutRemainingMs = answer.optionalNumber();
  const { executionDeadlineAt } = decoded(BOUNDS, answer.text());
  const tags = answer.text();
  const earlier = answer.beside(executionId) as Earlier | undefined;
  const claimKind = CLAIM_KIND_OF.get(how.slice(0, 1)) as ClaimedExecution['claimKind'];
  const attemptType = (TYPE_OF.get(how.slice(1)) ?? 'initial') as ClaimedExecution['attemptType'];
  return {
    ...common,
    leaseId: fence.currentLeaseId as string,
    leaseEpoch: fence.currentLeaseEpoch,
    attemptIndex,
    attemptId: fence.currentAttemptId as string,
    claimKind,
    attemptType: claimKind === 'resumed' ? undefined : attemptType,
    attemptTimeoutAt,
    attemptTimeoutRemainingMs,
    executionDeadlineAt,
    tags: tags === '' ? {} : (JSON.parse(tags) as Record<string, string>),
    earlier,
  };
}

function decoded(codec: FacetCodec, text: string): ReadonlyExecution {
  const facts: Record<string, unknown> = {};
  codec.decode(text, facts);
  return facts as unknown as ReadonlyExecution;
}
