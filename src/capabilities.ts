/** What a backend can do, as data: for programs that have to work on several backends, and for operators. */
import { reservedIn } from '../model/core/reserved.js';
import type { BackendLabel } from '../model/handle.js';
import { OPERATIONS, QUERIES, type OperationName, type QueryName } from '../model/machine.js';

/** Calls of a backend that are no operation and no read of the registry, and that not every backend can carry out. */
const OTHER_CALLS = ['verifyPartition', 'onNotice'] as const;

/** Everything that a backend can be asked for and that another one may lack. */
export type SupportedCall = OperationName | QueryName | (typeof OTHER_CALLS)[number];

/** What a backend on a server found there. */
export interface ServerCapabilities {
  /** Version of the server, as it reports it: `8.0.1`. Of a cluster, that of the node that answered first. */
  readonly version: string;
  /** Whether it is a cluster. */
  readonly cluster: boolean;
  /**
   * Whether the user may use the channels of the deployment: wakes and announcements of other processes arrive within
   * milliseconds. Without, only those of this process do, and everything else is found by polling.
   */
  readonly wakes: boolean;
  /** The contract between client and function library; one data set belongs to one contract. */
  readonly contract: number;
  /** The build of the function library that this process brings; the server may run a newer one. */
  readonly libraryBuild: number;
}

/** What a backend can do. It is as of the call: an operator can change the rights of a user while a backend is open. */
export interface Capabilities {
  /** The kind of backend; `label` of the backend, and part of every handle it issues. */
  readonly family: BackendLabel;
  /** Every operation and read, and the calls that only some backends offer: whether this one carries it out. */
  readonly supports: Readonly<Record<SupportedCall, boolean>>;
  /**
   * Arguments that the contracts have and that are refused with `not_supported_yet` on every backend, by operation and path:
   * `createExecution.policy.fallbackPolicy`.
   */
  readonly reserved: readonly string[];
  /** Whether several processes can use the same store at once. */
  readonly shared: boolean;
  /**
   * What answered calls survive. `none`: not the end of the process. `always`, `everysec`, `never`: what `fsync` of
   * `embedded()` says. `server`: what the persistence and the replicas of the server make of it.
   */
  readonly durability: 'none' | 'always' | 'everysec' | 'never' | 'server';
  /** Absent without a server. */
  readonly server?: ServerCapabilities | undefined;
}

/** What differs from backend to backend. */
export interface OwnCapabilities extends Omit<Capabilities, 'supports' | 'reserved'> {
  /** Calls that it cannot carry out. */
  readonly lacks?: readonly SupportedCall[] | undefined;
}

let reserved: readonly string[] | undefined;

/** Every reserved argument of the registry; looked for once. */
const reservedArguments = (): readonly string[] =>
  (reserved ??= Object.freeze(
    Object.entries({ ...OPERATIONS, ...QUERIES }).flatMap(([name, { args }]) => reservedIn(args, [name])),
  ));

/** All of it: the calls and reserved arguments of the registry, and what the backend says of itself. */
export function capabilitiesOf({ lacks = [], ...own }: OwnCapabilities): Capabilities {
  const calls = [...Object.keys(OPERATIONS), ...Object.keys(QUERIES), ...OTHER_CALLS] as SupportedCall[];
  const supports = Object.fromEntries(calls.map((call) => [call, !lacks.includes(call)]));
  return { ...own, supports: supports as Capabilities['supports'], reserved: reservedArguments() };
}
