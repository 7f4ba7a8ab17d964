/** Calls by a name that is known only when they are made. */
import type { OperationName, QueryName } from '../model/machine.js';

/**
 * A backend for such calls. The compiler would combine the arguments of all methods, of which many have two forms: with
 * a handle and without.
 */
export type AnyCall = Readonly<Record<OperationName | QueryName, (args: never) => Promise<unknown>>>;
