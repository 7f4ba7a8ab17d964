/** Where user code called a function of this package, for errors that name the place. */
import { propertyOf } from './thrown.js';

/** A frame in a file: the name of the file, perhaps a query behind it, line and column. */
const FRAME = /[/\\]([^/\\():?]+)(?:\?[^/\\():]*)?:(\d+):\d+\)?$/;

/**
 * Remembers the caller of a function. The stack is made into text only when the place is asked for.
 * @param called the function, which must be running
 * @returns a function that gives the place; see `placeIn`
 */
export function callSiteOf(called: (...args: never) => unknown): () => string | undefined {
  const site = {};
  // Leaves out the frames up to and including the function, so that this package need not know its own files: user code
  // can be bundled with it.
  Error.captureStackTrace(site, called);
  return () => placeIn(propertyOf(site, 'stack'));
}

/**
 * The first place of a stack that is in a file, like `orders.ts:12`; undefined if there is none. It has no folders,
 * because failures that show it are stored.
 */
export function placeIn(stack: unknown): string | undefined {
  if (typeof stack !== 'string') return undefined;
  for (const frame of stack.split('\n')) {
    const [, file, line] = (!frame.includes('node:') && FRAME.exec(frame)) || [];
    if (file !== undefined) return `${file}:${line}`;
  }
  return undefined;
}
