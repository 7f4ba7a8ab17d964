/** Calls of user code whose failures must not reach the caller, nor end the process. */
import { LIMITS } from '../../model/limits.js';
import { reasonOf } from './failure-text.js';
import { boundText } from './text.js';
import { propertyOf } from './thrown.js';

const ignore = (): void => undefined;

/** Calls `fn`. An error that it throws, or that its returned promise rejects with, only goes to `onError`. */
export function quietly(fn: () => unknown, onError: (error: unknown) => void = ignore): void {
  try {
    const returned = fn();
    // Adoption reads `then`; if reading it throws, the promise rejects too.
    if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}

/** A warning of the process, for what has no log. */
export const warnOfProcess = (message: string, detail?: string): void =>
  process.emitWarning(message, { type: 'FlowFabricWarning', ...(detail && { detail }) });

/** Calls a listener that has no log: its error becomes a warning of the process. @param what names it in the warning */
export function orWarn(what: string, fn: () => unknown): void {
  quietly(fn, (error) => {
    const stack = propertyOf(error, 'stack');
    const detail = typeof stack === 'string' ? boundText(stack, LIMITS.maxReasonBytes) : undefined;
    warnOfProcess(`${what} failed: ${reasonOf(error)}`, detail);
  });
}

/** Takes the rejection of a promise that a function returned where only a value is of use. */
export function disown(returned: unknown): void {
  quietly(() => returned);
}
