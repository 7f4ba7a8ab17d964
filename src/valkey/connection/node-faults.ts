/**
 * The errors of calls whose connection ends. The client library gives all of them the same error, without the node,
 * whether or not they were sent. Here they get one of two errors, with the node and the reason: a call that was not
 * sent did not run; a call that was sent may have run.
 */
import type { Valkey } from 'iovalkey';
import { EngineError } from '../../../model/errors.js';
import { isReply } from '../../../model/safe-cause.js';

/** The connection to a node ended. */
export abstract class NodeFault extends Error {
  constructor(
    readonly node: string,
    /** The reason, if known. Never shown unchanged, because it can contain a command. */
    readonly reason: unknown,
    message: string,
  ) {
    super(message);
  }
}

/** The call waited for a connection that was not established: it did not run. */
export class CallNotSent extends NodeFault {
  constructor(node: string, reason: unknown) {
    super(node, reason, `${node}: not sent`);
  }
}

/** The call was in flight when the connection ended: it may have run. */
export class CallLost extends NodeFault {
  constructor(node: string, reason: unknown) {
    super(node, reason, `${node}: lost`);
  }
}

/** Which calls get an error. */
interface Flushed {
  readonly offlineQueue?: boolean;
  readonly commandQueue?: boolean;
}

/** Members that the types of the client library hide. */
interface Inner {
  flushQueue(error: unknown, which?: Flushed): void;
  info(...args: unknown[]): Promise<unknown>;
}

const reasons = new WeakMap<object, unknown>();

/** The name of a node in errors: `host:port`, or its name at the Sentinels. */
export function nameOf(node: Valkey): string {
  const { sentinels, name, host, port } = node.options;
  return sentinels && name ? `the primary "${name}"` : `${host ?? 'localhost'}:${port ?? 6379}`;
}

/** Why a client has no connection, if an error has occurred since the last one. */
export function connectionFault(client: object): unknown {
  return reasons.get(client);
}

/** Records why a client has no connection; for a node of a cluster, with its name. */
export function noteFault(client: object, error: unknown): void {
  if (reasonOf(error) !== undefined) reasons.set(client, error);
}

/** The reason of a NodeFault; any other error unchanged. */
export function reasonOf(error: unknown): unknown {
  return error instanceof NodeFault ? error.reason : error;
}

/** Call this when the client has a connection: earlier faults are over. */
export function forgetFault(client: object): void {
  reasons.delete(client);
}

/** Makes calls on this node fail with one of the errors above when its connection ends. */
export function nameFaults(node: Valkey): Valkey {
  // Without a listener, the library would print the error; calls get the fault.
  node.on('error', (error: unknown) => {
    noteFault(node, error);
    // Otherwise the library would continue in database 0.
    if (isRefusedDatabase(error)) node.disconnect(true);
  });
  node.on('ready', () => {
    // A connection whose login was refused is closing, although the library calls it ready.
    if (node.stream.writable) forgetFault(node);
  });
  const inner = node as unknown as Inner;
  const flush = inner.flushQueue.bind(node);
  inner.flushQueue = (error, which = {}) => {
    const reason = reasonOf(connectionFault(node) ?? error);
    if (which.offlineQueue !== false)
      flush(new CallNotSent(nameOf(node), reason), { offlineQueue: true, commandQueue: false });
    if (which.commandQueue !== false)
      flush(new CallLost(nameOf(node), reason), { offlineQueue: false, commandQueue: true });
  };
  watchReadyCheck(node, inner);
  return node;
}

/** Whether the server refused to select the database of the address. */
function isRefusedDatabase(error: unknown): boolean {
  const { command } = error as { readonly command?: { readonly name?: string } };
  return isReply(error) && command?.name === 'select';
}

/**
 * The library checks whether the server is loading its data, and waits in silence until it is done. Without the right to
 * INFO it would print that it cannot check.
 */
function watchReadyCheck(node: Valkey, inner: Inner): void {
  const info = inner.info.bind(node);
  inner.info = (...args) => {
    const done = args[0];
    if (typeof done !== 'function') return info(...args);
    return info((error: Error | null, text: unknown) => {
      if (typeof text === 'string' && /^loading:1/m.test(text))
        noteFault(node, new EngineError('server_not_ready', `${nameOf(node)} is loading its data.`));
      return error?.message.startsWith('NOPERM') ? done(null, '') : done(error, text);
    });
  };
}
