/** The caller's function that resolves host names. */
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isCoded } from '../../../model/safe-cause.js';

/**
 * A `lookup` whose failures all arrive as an error of the connection: also when the caller's function throws, rejects or
 * gives no address. The words of its errors are its own, and can quote anything, so only errors of Node are passed on.
 * Only its first answer counts: a socket can do nothing with another one.
 */
export function guardedLookup(lookup: LookupFunction): LookupFunction {
  return (name, options, callback) => {
    let isAnswered = false;
    const done: typeof callback = (...answer) => {
      if (isAnswered) return;
      isAnswered = true;
      callback(...answer);
    };
    const fail = (how: string): void => {
      const error = new Error(`the function \`lookup\` of the options ${how} for "${name}"`);
      done(Object.assign(error, { code: 'ENOTFOUND' }), '', 0);
    };
    try {
      // An asynchronous function satisfies the type too.
      const returned: unknown = lookup(name, options, (error: unknown, found, family) => {
        if (error === null || error === undefined) {
          if (areAddresses(found)) done(null, ...inForm(found, family, options.all === true));
          else fail('gave no IP address');
        } else if (isCoded(error)) done(error, '', 0);
        else fail('failed');
      });
      Promise.resolve(returned).then(
        (value) => value === undefined || fail('returned a promise instead of calling back'),
        () => fail('failed'),
      );
    } catch {
      // A socket expects the answer later.
      process.nextTick(fail, 'threw an error');
    }
  };
}

/** A socket that asked for a list takes nothing else, and one that asked for an address no list. */
function inForm(found: string | LookupAddress[], family: number | undefined, all: boolean) {
  if (Array.isArray(found))
    return all ? ([found, family] as const) : ([found[0]?.address ?? '', found[0]?.family] as const);
  return [all ? [{ address: found, family: isIP(found) }] : found, family] as const;
}

/** Whether a `lookup` has answered with an address, or with a list of them. */
function areAddresses(found: unknown): boolean {
  if (!Array.isArray(found)) return typeof found === 'string' && isIP(found) !== 0;
  return found.length > 0 && found.every((each: { address?: unknown } | null) => isIP(String(each?.address)) !== 0);
}
