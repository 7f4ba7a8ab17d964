/**
 * Failures as text. The engine stores one text per failure, its reason. It begins with a summary, the messages of the
 * error and of its causes; below a line of its own follow the details: classes, stacks (their first frames) and inner
 * errors. Whatever was thrown, and however long it is, there is a text that the engine takes.
 */
import { LIMITS } from '../../model/limits.js';
import { brandOf } from './brand.js';
import { asEngineError, asInvalidDefinition } from './engine-error.js';
import { boundText } from './text.js';
import { errorName, isErrorLike, messageOf, propertyOf } from './thrown.js';

/** Causes that are named; a chain can be a circle. */
const MAX_CAUSES = 8;
/** Inner errors of an aggregate that are named. */
const MAX_INNER = 5;
const MAX_FRAMES = 8;
const MAX_INNER_FRAMES = 2;
/** The summary leaves as much for the details. */
const MAX_SUMMARY_BYTES = LIMITS.maxReasonBytes / 2;
const DIVIDER = '\n\n--- details ---\n';

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
    // Wrappers often repeat what they wrap.
    if (message !== '' && !messages.at(-1)?.includes(message)) messages.push(message);
  }
  return boundText(messages.join(': ') || 'unknown error', LIMITS.maxReasonBytes);
}

/** What to do about it, where an error of the engine is in it or caused it; that is not in its message. */
export function hintOf(error: unknown): string | undefined {
  for (const each of chainOf(error)) {
    const hint = ownHintOf(each);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

/** Of an error of the engine, or of one that stands for it: see `failureHint` of a `StepError`. */
function ownHintOf(error: unknown): string | undefined {
  const hint =
    (asEngineError(error) ?? asInvalidDefinition(error))?.hint ?? (brandOf(error) && propertyOf(error, 'failureHint'));
  return typeof hint === 'string' ? hint : undefined;
}

/** The text under which a failure is stored: the summary, and the details of what is an error. */
export function failureTextOf(error: unknown): string {
  const details = detailsOf(error);
  if (details === '') return reasonOf(error);
  return boundText(boundText(reasonOf(error), MAX_SUMMARY_BYTES) + DIVIDER + details, LIMITS.maxReasonBytes);
}

/** The two parts of a stored failure; the details are empty when there are none. */
export function partsOfFailure(stored: string): { readonly summary: string; readonly details: string } {
  const at = stored.indexOf(DIVIDER);
  if (at === -1) return { summary: stored, details: '' };
  return { summary: stored.slice(0, at), details: stored.slice(at + DIVIDER.length) };
}

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
  return [message === name ? name : `${name}: ${message}`, ...remedy, ...frames].join('\n');
}
