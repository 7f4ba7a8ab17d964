/** The facts that a flow stores in its tags, for later callers and for other processes. */
import { createHash } from 'node:crypto';
import { LIMITS } from '../../../model/limits.js';
import { encode, VALUES_HINT } from '../../shared/codec.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { TEMPLATE_LEVELS, templateOf, type Template } from '../../shared/template.js';
import { OWN_ID_TAG, RESERVED_TAGS } from '../runs/tags.js';

const OUTPUT = `${RESERVED_TAGS}output`;
const INPUT = `${RESERVED_TAGS}input`;

export interface StoredOfFlow {
  readonly output: Template | undefined;
  /** A digest of the input; inputs with the same digest count as equal. */
  readonly input: string;
  readonly ownId: string | undefined;
}

/** @throws InvalidDefinitionError if the output cannot be written as JSON, or is too large for a tag */
export function tagsOf(where: string, { output, input, ownId }: StoredOfFlow): Record<string, string> {
  const tags: Record<string, string> = { [INPUT]: input };
  if (ownId !== undefined) tags[OWN_ID_TAG] = ownId;
  if (output === undefined) return tags;
  const { bytes } = encode(
    output,
    (problem) => new InvalidDefinitionError(`${where}: the value that its builder returns: ${problem}`, VALUES_HINT),
    TEMPLATE_LEVELS,
  );
  if (bytes === undefined || bytes.byteLength > LIMITS.maxTagValueBytes)
    throw new InvalidDefinitionError(
      `${where}: the value that its builder returns takes more than ${LIMITS.maxTagValueBytes} bytes`,
      'Join the results in a last task, and return its node.',
    );
  return { ...tags, [OUTPUT]: Buffer.from(bytes).toString() };
}

/** Whether an app started the flow with these tags; the children of a handler are a flow too. */
export const isOfApp = (tags: Readonly<Record<string, string>>): boolean => Object.hasOwn(tags, INPUT);

/** @throws EngineError `corruption` if the stored output is no template */
export function storedIn(tags: Readonly<Record<string, string>>): StoredOfFlow {
  const text = tags[OUTPUT];
  return {
    output: text === undefined ? undefined : templateOf(JSON.parse(text)),
    input: tags[INPUT] ?? '',
    ownId: tags[OWN_ID_TAG],
  };
}

/** A digest of an input: the order of members does not matter. */
export function inputDigest(json: string): string {
  const canonical = JSON.stringify(JSON.parse(json), inKeyOrder);
  return createHash('sha256').update(canonical).digest('base64url').slice(0, 22);
}

function inKeyOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
