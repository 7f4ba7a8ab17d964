/**
 * The faults of servers and of the way to them: which error of the interface each is, and whether the call that met it
 * is made again within its time. A call is made again only when it is known not to have run.
 */
import { EngineError, type ErrorCode } from '../../../model/errors.js';
import { CallLost, CallNotSent, NodeFault, reasonOf } from './node-faults.js';
import { isCertificateFault, isCoded, isReply, serverWords } from '../../../model/safe-cause.js';

/** A fault that the server tells. */
interface ServerFault {
  /** What its reply looks like, or the error inside the function. */
  readonly says: RegExp;
  readonly code: ErrorCode;
  /** The call did not run and can in a moment: it is made again. */
  readonly passes: boolean;
  /** Every further call would meet it too, so no connection is worth waiting for. */
  readonly lasts?: boolean;
}

/** In this order: the first that fits. */
const SERVER_FAULTS: readonly ServerFault[] = [
  // A replica without the library takes none; a new primary without it gets it from the next call.
  { says: /function not found/i, code: 'server_not_ready', passes: true },
  { says: /max number of clients/i, code: 'server_clients_full', passes: true },
  { says: /^OOM\b/, code: 'server_memory_full', passes: false },
  { says: /^MISCONF\b/, code: 'server_cannot_persist', passes: true },
  {
    says: /^(NOAUTH|WRONGPASS|NOPERM|DENIED)\b|\bACL failure\b|can't run this command/,
    code: 'server_refused',
    passes: false,
    lasts: true,
  },
  {
    says: /^(TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|MOVED|ASK|NOREPLICAS|BUSY)\b|Too many Cluster redirections/,
    code: 'server_not_ready',
    passes: true,
  },
  {
    says: /DB index is out of range|SELECT is not allowed/i,
    code: 'invalid_input',
    passes: false,
    lasts: true,
  },
  // The partition has seen newer settings of the deployment (lua/core/call.lua): the call did not run.
  { says: /^SETTINGS\b/, code: 'settings_changed', passes: true },
  { says: /^MISMATCH\b/, code: 'library_mismatch', passes: false },
  // An index, a log or a header that is none (lua/core/call.lua): nothing was written.
  { says: /^(WRONGTYPE|DAMAGED)\b/, code: 'corruption', passes: false },
  { says: /unknown (command|subcommand)/i, code: 'unsupported_server', passes: false },
];

/** The client library's words for: no connection, not sent. */
const NOT_CONNECTED = /enableOfflineQueue options is false|^Connection is closed|^Cluster is ended/;

/** A call got no answer within its time, or its time was over before it could be sent. */
export class CallTimeout extends Error {
  /** `sent` says whether the call may have run. */
  constructor(readonly sent: boolean) {
    super('No answer in time');
  }
}

/** A condition of ours that passes by itself: the call is made again, and this is its error when its time is over. */
export class NotYet extends Error {
  constructor(readonly fault: EngineError) {
    super(fault.message);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const faultIn = (words: string): ServerFault | undefined => SERVER_FAULTS.find(({ says }) => says.test(words));

const serverFault = (error: unknown): ServerFault | undefined => faultIn(messageOf(error));

/** What the words of a server mean, where a function met them inside; nothing when they are not known. */
export const codeOfWords = (words: string): ErrorCode | undefined => faultIn(words)?.code;

export function isFunctionMissing(error: unknown): boolean {
  return isReply(error) && /function not found/i.test(error.message);
}

/** The version of the settings that a partition has seen, where the call knew older ones; nothing otherwise. */
export function settingsSeen(error: unknown): number | undefined {
  const version = isReply(error) ? /^SETTINGS are of version (\d+)/.exec(error.message)?.[1] : undefined;
  return version === undefined ? undefined : Number(version);
}

/** Whether the client library had no connection to send the call on. */
export function isUnconnected(error: unknown): boolean {
  return error instanceof Error && NOT_CONNECTED.test(error.message);
}

/** Why a connection cannot come about until something is changed: a refused login or certificate. */
function lastingReason(fault: unknown): ErrorCode | undefined {
  const reason = reasonOf(fault);
  if (isCertificateFault(reason)) return 'certificate_refused';
  const said = isReply(reason) ? serverFault(reason) : undefined;
  return said?.lasts === true ? said.code : undefined;
}

/** Whether nobody listens at the address of a server, nor at any other of its name. */
export function isRefused(fault: unknown): boolean {
  const reason = reasonOf(fault);
  const each = reason instanceof AggregateError ? reason.errors : [reason];
  return each.every((error) => (error as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED');
}

/** Whether waiting for the connection is in vain. */
export function isLasting(reason: unknown): boolean {
  return lastingReason(reason) !== undefined;
}

/**
 * Whether the call did not run, for want of a connection or by the server's refusal, and can run in a moment.
 * `connection` is why the client has no connection, if that is known.
 */
export function isNotNow(error: unknown, connection?: unknown): boolean {
  if (error instanceof EngineError || error instanceof CallLost || error instanceof CallTimeout) return false;
  if (error instanceof NotYet) return true;
  if (error instanceof CallNotSent) return !isLasting(error.reason);
  if (!(error instanceof Error)) return false;
  if (NOT_CONNECTED.test(error.message)) return !isLasting(connection);
  return serverFault(error)?.passes === true;
}

/**
 * The error of the interface for whatever a call met. `node` is what the server is called; `connection` is why the
 * client has no connection, if that is known.
 */
export function faultOf(error: unknown, node: string, connection?: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof NotYet) return error.fault;
  if (error instanceof CallTimeout)
    return new EngineError('call_timeout', `${node} did not answer in time.${because(connection)}`);
  if (error instanceof CallLost)
    return new EngineError('transport_failed', `The connection to ${error.node} was lost during the call.`, {
      cause: error.reason,
    });
  if (error instanceof CallNotSent) return unreachable(error.node, error);
  if (NOT_CONNECTED.test(messageOf(error))) return unreachable(node, connection ?? error);
  if (isCoded(error)) return unreachable(node, error);
  const isWords = isReply(error) || (error instanceof Error && error.constructor === Error);
  if (isWords) return serverFaultOf(error as Error, node);
  // Not the server's fault: a reply or a stored value that this version cannot read.
  return new EngineError('corruption', `What ${node} answered does not decode.`, { cause: error });
}

/** What a function wrote before it met a command that its caller may not run stays. */
const LEFT_HALF_DONE =
  ' Once the user has this permission again, run `verifyPartition`: what the call had begun may be half done.';

/** The error for the words of a server, or of a function in it. */
function serverFaultOf(error: Error, node: string): EngineError {
  const code = serverFault(error)?.code ?? 'function_failed';
  const left = /\bACL failure in script\b/.test(error.message) ? LEFT_HALF_DONE : '';
  return new EngineError(code, `${node} answered: ${serverWords(error.message)}.${left}`, { cause: error });
}

function unreachable(label: string, fault: unknown): EngineError {
  const reason = reasonOf(fault);
  const node = fault instanceof NodeFault ? fault.node : label;
  const lasting = lastingReason(reason);
  if (lasting === 'certificate_refused')
    return new EngineError(lasting, `TLS with ${node} failed: ${serverWords(messageOf(reason))}.`, { cause: reason });
  const said = isReply(reason) ? serverFault(reason) : undefined;
  if (said !== undefined)
    return new EngineError(said.code, `${node} answered: ${serverWords(messageOf(reason))}.`, { cause: reason });
  return new EngineError('transport_failed', `${node} cannot be reached; the call did not run.${because(reason)}`, {
    cause: reason,
  });
}

function because(fault: unknown): string {
  const reason = reasonOf(fault);
  return isCoded(reason) ? ` The last try to connect met ${serverWords(reason.message)}.` : '';
}
