/** The caller's function that resolves host names. */
import { isIP, type LookupFunction } from 'node:net';
import { isCoded } from '../../../model/safe-cause.js';

/**
 * A `lookup` whose failures all arrive as an error of the connection: also when the caller's function throws or gives
 * no address. The words of its errors are its own, and can quote anything, so only errors of Node are passed on.
 */
export function guardedLookup(lookup: LookupFunction): LookupFunction {
  return (name, options, done) => {
    const fail = (how: string): void => {
      const error = new Error(`the function \`lookup\` of the options ${how} for "${name}"`);
      done(Object.assign(error, { code: 'ENOTFOUND' }), '', 0);
    };
    try {
      lookup(name, options, (error: unknown, found, family) => {
        if (error === null || error === undefined) {
          if (areAddresses(found)) done(null, found, family);
          else fail('gave no IP address');
        } else if (isCoded(error)) done(error, '', 0);
        else fail('failed');
      });
    } catch {
      // A socket expects the answer later.
      process.nextTick(fail, 'threw an error');
    }
  };
}

/** Whether a `lookup` has answered with an address, or with a list of them. */
function areAddresses(found: unknown): boolean {
  if (!Array.isArray(found)) return typeof found === 'string' && isIP(found) !== 0;
  return found.length > 0 && found.every((each: { address?: unknown } | null) => isIP(String(each?.address)) !== 0);
}
