/**
 * How the end of a connection reaches the calls on it. The client library gives all of them one error, whether they were
 * sent or only waited for the connection, and names no node. Here they get one of two errors, with the node and the
 * reason: a call that was not sent did not run, one that was may have.
 */
import type { Valkey } from 'iovalkey';
import { isReply } from '../../../model/safe-cause.js';

/** The connection to a node ended. */
export abstract class NodeFault extends Error {
  constructor(
    readonly node: string,
    /** Why, when that is known. Never shown as it is: it can carry a command. */
    readonly reason: unknown,
    message: string,
  ) {
    super(message);
  }
}

/** The call waited for a connection that did not come about: it did not run. */
export class CallNotSent extends NodeFault {
  constructor(node: string, reason: unknown) {
    super(node, reason, `${node}: not sent`);
  }
}

/** The call was under way when the connection ended: it may have run. */
export class CallLost extends NodeFault {
  constructor(node: string, reason: unknown) {
    super(node, reason, `${node}: lost`);
  }
}

/** Which of the waiting calls get an error. */
interface Flushed {
  readonly offlineQueue?: boolean;
  readonly commandQueue?: boolean;
}

/** What the client library has and its types hide. */
interface Inner {
  flushQueue(error: unknown, which?: Flushed): void;
  info(...args: unknown[]): Promise<unknown>;
}

const reasons = new WeakMap<object, unknown>();

/** `host:port` of a node, or the name by which Sentinel knows it: what an error may say of it. */
export function nameOf(node: Valkey): string {
  const { sentinels, name, host, port } = node.options;
  return sentinels && name ? `the primary "${name}"` : `${host ?? 'localhost'}:${port ?? 6379}`;
}

/** Why a client has no connection, if it met an error since it last had one. */
export function connectionFault(client: object): unknown {
  return reasons.get(client);
}

/** Remembers why a client has no connection; of a cluster's node, with its name. */
export function noteFault(client: object, error: unknown): void {
  if (reasonOf(error) !== undefined) reasons.set(client, error);
}

/** What is behind the end of a connection. */
export function reasonOf(error: unknown): unknown {
  return error instanceof NodeFault ? error.reason : error;
}

/** The client has a connection: what was is over. */
export function forgetFault(client: object): void {
  reasons.delete(client);
}

/** From now on, calls on this node end with one of the errors above when its connection does. */
export function nameFaults(node: Valkey): Valkey {
  // With a listener the library prints nothing; the calls are told of the fault.
  node.on('error', (error: unknown) => {
    noteFault(node, error);
    // The library would go on in database 0.
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
  skipReadyCheckInSilence(node, inner);
  return node;
}

/** Whether the server refused to go to the database of the address. */
function isRefusedDatabase(error: unknown): boolean {
  const { command } = error as { readonly command?: { readonly name?: string } };
  return isReply(error) && command?.name === 'select';
}

/** Without the right to INFO, the library would print that it does not know whether the server is loading. */
function skipReadyCheckInSilence(node: Valkey, inner: Inner): void {
  const info = inner.info.bind(node);
  inner.info = (...args) => {
    const done = args[0];
    if (typeof done !== 'function') return info(...args);
    return info((error: Error | null, text: unknown) =>
      error?.message.startsWith('NOPERM') ? done(null, '') : done(error, text),
    );
  };
}
