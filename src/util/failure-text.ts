/**
 * Failures as text. The engine stores one text per failure, its reason. It begins with a summary, the messages of the
 * error and its causes. After a divider line follow the details: classes, the first frames of stacks, and inner errors.
 * Any thrown value has a valid text within the engine's limits.
 */
import { LIMITS } from '../../model/limits.js';
import { brandOf } from './brand.js';
import { asEngineError, asInvalidDefinition } from './engine-error.js';
import { boundText } from './text.js';
import { errorName, isErrorLike, messageOf, propertyOf } from './thrown.js';

/** Most causes in the text; a chain can be a circle. */
const MAX_CAUSES = 8;
/** Most inner errors of an aggregate in the text. */
const MAX_INNER = 5;
const MAX_FRAMES = 8;
const MAX_INNER_FRAMES = 2;
/** Half of the limit; the details get the rest. */
const MAX_SUMMARY_BYTES = LIMITS.maxReasonBytes / 2;
const DIVIDER = '\n\n--- details ---\n';
/** In the details of a failure that is stored as the outcome of a step. */
const STORED = 'Stored: later runs find this failure again.';
/** Stands in a message that contains the divider. */
const DIVIDED = '\n\n- -- details ---\n';

/** The error and its causes, outermost first, at most eight. */
function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let current = error; chain.length < MAX_CAUSES && current !== undefined && current !== null; ) {
    if (chain.includes(current)) break;
    chain.push(current);
    current = isErrorLike(current) ? propertyOf(current, 'cause') : undefined;
  }
  return chain;
}

/** The messages of an error and of its causes, joined by ": ", within the limit of a failure reason. */
export function reasonOf(error: unknown): string {
  const messages: string[] = [];
  for (const each of chainOf(error)) {
    const message = boundText(messageOf(each), LIMITS.maxReasonBytes);
    // Wrappers often repeat the message of their cause.
    if (message !== '' && !messages.at(-1)?.includes(message)) messages.push(message);
  }
  const reason = messages.join(': ') || 'unknown error';
  return boundText(reason.replaceAll(DIVIDER, DIVIDED), LIMITS.maxReasonBytes);
}

/** The hint of the first engine error among the error and its causes; messages do not contain hints. */
export function hintOf(error: unknown): string | undefined {
  for (const each of chainOf(error)) {
    const hint = ownHintOf(each);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

/** The hint of an engine error, or of an error that represents one: see `failureHint` of `StepError`. */
function ownHintOf(error: unknown): string | undefined {
  const hint =
    (asEngineError(error) ?? asInvalidDefinition(error))?.hint ?? (brandOf(error) && propertyOf(error, 'failureHint'));
  return typeof hint === 'string' ? hint : undefined;
}

/** The stored text of a failure: the summary, and for errors the details. */
export function failureTextOf(error: unknown): string {
  const details = detailsOf(error);
  if (details === '') return reasonOf(error);
  return boundText(boundText(reasonOf(error), MAX_SUMMARY_BYTES) + DIVIDER + details, LIMITS.maxReasonBytes);
}

/** The two parts of a stored failure; the details may be empty. */
export function partsOfFailure(stored: string): { readonly summary: string; readonly details: string } {
  const at = stored.indexOf(DIVIDER);
  if (at === -1) return { summary: stored, details: '' };
  return { summary: stored.slice(0, at), details: stored.slice(at + DIVIDER.length) };
}

/** Whether the details are of a failure that every later run finds again, unless its handler or its steps change. */
export const isStoredFailure = (details: string): boolean => details.split('\n').includes(STORED);

function detailsOf(error: unknown): string {
  const sections: string[] = [];
  chainOf(error).forEach((each, depth) => {
    if (!isErrorLike(each)) return;
    sections.push((depth === 0 ? '' : 'Caused by ') + sectionOf(each, MAX_FRAMES));
    const inner = propertyOf(each, 'errors');
    if (!Array.isArray(inner)) return;
    inner.slice(0, MAX_INNER).forEach((one: unknown, index) => {
      sections.push(`Inner error ${index + 1} of ${inner.length}: ${sectionOf(one, MAX_INNER_FRAMES)}`);
    });
  });
  return sections.join('\n');
}

/** Class, message and the first frames of the stack. */
function sectionOf(error: unknown, maxFrames: number): string {
  if (!isErrorLike(error)) return boundText(messageOf(error), MAX_SUMMARY_BYTES);
  const stack = propertyOf(error, 'stack');
  const lines = typeof stack === 'string' ? stack.slice(0, LIMITS.maxReasonBytes * 8).split('\n') : [];
  const frames = lines.filter((line) => /^\s+at /.test(line)).slice(0, maxFrames);
  const name = boundText(errorName(error), 128);
  const message = boundText(messageOf(error), MAX_SUMMARY_BYTES / 4);
  const hint = ownHintOf(error);
  const remedy = hint === undefined ? [] : [`Hint: ${hint}`];
  const stored = brandOf(error) !== undefined && propertyOf(error, 'isStored') === true ? [STORED] : [];
  return [message === name ? name : `${name}: ${message}`, ...remedy, ...stored, ...frames].join('\n');
}
