/** Capabilities of backends, as data for operators and for programs that run on several backends. */
import { reservedIn } from '../../model/core/reserved.js';
import { tableOf } from '../../model/core/tables.js';
import type { BackendLabel } from '../../model/handle.js';
import {
  OPERATION_NAMES,
  OPERATIONS,
  QUERIES,
  QUERY_NAMES,
  type OperationName,
  type QueryName,
} from '../../model/machine.js';

/** Optional calls of a backend that are not in the registry of operations and reads. */
const OTHER_CALLS = ['verifyPartition', 'onNotice'] as const;

/** Calls that a backend may or may not support. */
export type SupportedCall = OperationName | QueryName | (typeof OTHER_CALLS)[number];

/** Facts about the server of a backend. */
export interface ServerCapabilities {
  /** Version that the server reports: `8.0.1`. In a cluster, that of the node that answered first. */
  readonly version: string;
  /** Whether it is a cluster. */
  readonly cluster: boolean;
  /**
   * Whether the user may use the channels of the deployment, so that wakes and announcements of other processes arrive
   * within milliseconds. Otherwise only those of this process arrive, and everything else is found by polling.
   */
  readonly wakes: boolean;
  /**
   * Whether every primary had an append-only file (`appendonly yes`) at boot. Without one, a restart loses all that was
   * written since its last snapshot. `undefined` if the server did not say.
   */
  readonly appendOnly: boolean | undefined;
  /** The contract between client and function library; one data set belongs to one contract. */
  readonly contract: number;
  /** The build of this process's function library; the server may run a newer one. */
  readonly libraryBuild: number;
}

/** What a backend can do, at the time of the call: an operator can change the rights of a user later. */
export interface Capabilities {
  /** The kind of backend: its `label`, which is part of every handle that it issues. */
  readonly family: BackendLabel;
  /** Whether this backend supports each operation, each read, and each optional call. */
  readonly supports: Readonly<Record<SupportedCall, boolean>>;
  /**
   * Arguments of the contracts that every backend refuses with `not_supported_yet`, by operation and path:
   * `createExecution.policy.fallbackPolicy`.
   */
  readonly reserved: readonly string[];
  /** Whether several processes can use the same store at once. */
  readonly shared: boolean;
  /**
   * What answered calls survive. `none`: nothing, not even the end of the process. `always`, `everysec`, `never`: see
   * `fsync` of `embedded()`. `server`: depends on the persistence and the replicas of the server.
   */
  readonly durability: 'none' | 'always' | 'everysec' | 'never' | 'server';
  /** Absent without a server. */
  readonly server?: ServerCapabilities | undefined;
}

/** The capabilities that differ between backends. */
export interface OwnCapabilities extends Omit<Capabilities, 'supports' | 'reserved'> {
  /** Calls that it does not support. */
  readonly lacks?: readonly SupportedCall[] | undefined;
}

let reserved: readonly string[] | undefined;

/** Every reserved argument of the registry; computed once. */
const reservedArguments = (): readonly string[] =>
  (reserved ??= Object.freeze(
    Object.entries({ ...OPERATIONS, ...QUERIES }).flatMap(([name, { args }]) => reservedIn(args, [name])),
  ));

/** The full capabilities: calls and reserved arguments of the registry, and those of the backend. */
export function capabilitiesOf({ lacks = [], ...own }: OwnCapabilities): Capabilities {
  const calls: SupportedCall[] = [...OPERATION_NAMES, ...QUERY_NAMES, ...OTHER_CALLS];
  return { ...own, supports: tableOf(calls, (call) => !lacks.includes(call)), reserved: reservedArguments() };
}
