/**
 * Faults of servers and connections: the EngineError of each, and whether the call is retried within its time. A call
 * is retried only if it certainly did not run.
 */
import { BROKE_OFF, BROKE_OFF_UNMARKED } from '../../../lua/layout.js';
import { EngineError, type ErrorCode } from '../../../model/errors.js';
import type { ConnectionOptions } from './address.js';
import { CallLost, CallNotSent, NodeFault, reasonOf } from './node-faults.js';
import {
  codedWords,
  isCertificateFault,
  isCoded,
  isReply,
  serverWords,
  type CodedError,
} from '../../../model/safe-cause.js';
import { propertyOf } from '../../util/thrown.js';

/** A fault that the server reports. */
interface ServerFault {
  /** Matches its reply, or the error inside the function. */
  readonly says: RegExp;
  readonly code: ErrorCode;
  /** Whether the call did not run and may run soon, so that it is retried. */
  readonly passes: boolean;
  /** Whether every further call would meet the fault, so that waiting for a connection is useless. */
  readonly lasts?: boolean;
  /** The option of `valkey()` that is wrong. */
  readonly option?: keyof ConnectionOptions;
}

/** The first match counts. */
const SERVER_FAULTS: readonly ServerFault[] = [
  // A replica without the library cannot load it; a new primary without it gets it from the next retry.
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
    option: 'database',
  },
  // The partition has seen newer settings of the deployment (lua/core/call.lua): the call did not run.
  { says: /^SETTINGS\b/, code: 'settings_changed', passes: true },
  { says: /^MISMATCH\b/, code: 'library_mismatch', passes: false },
  // An index, a log or a header of the wrong type (lua/core/call.lua): nothing was written.
  { says: /^(WRONGTYPE|DAMAGED)\b/, code: 'corruption', passes: false },
  { says: /unknown (command|subcommand)/i, code: 'unsupported_server', passes: false },
];

/** The client library's messages for calls that were not sent. */
const NOT_CONNECTED = /enableOfflineQueue options is false|^Connection is closed|^Cluster is ended/;

/** A call got no answer in time, or could not be sent in time. */
export class CallTimeout extends Error {
  /** @param sent whether the call may have run */
  constructor(readonly sent: boolean) {
    super('No answer in time');
  }
}

/**
 * A condition of the client that passes by itself: the call is retried, and `fault` is its error when its time is over.
 */
export class TransientFault extends Error {
  constructor(readonly fault: EngineError) {
    super(fault.message);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const faultIn = (words: string): ServerFault | undefined => SERVER_FAULTS.find(({ says }) => says.test(words));

const serverFault = (error: unknown): ServerFault | undefined => faultIn(messageOf(error));

export function isFunctionMissing(error: unknown): boolean {
  return isReply(error) && /function not found/i.test(error.message);
}

export function isMemoryFull(error: unknown): boolean {
  return isReply(error) && serverFault(error)?.code === 'server_memory_full';
}

/** The version of the settings that a partition has seen, if the call was refused for older ones. */
export function settingsSeen(error: unknown): number | undefined {
  const version = isReply(error) ? /^SETTINGS are of version (\d+)/.exec(error.message)?.[1] : undefined;
  return version === undefined ? undefined : Number(version);
}

/** Whether the client library had no connection to send the call on. */
export function isUnconnected(error: unknown): boolean {
  return error instanceof Error && NOT_CONNECTED.test(error.message);
}

/** A failure of TLS. */
interface TlsFault {
  readonly code: ErrorCode;
  readonly message: (node: string, words: string) => string;
}

/** Failures of TLS that no certificate mends, by the code and the words of Node. */
const TLS_FAULTS: readonly (TlsFault & { readonly says: RegExp })[] = [
  {
    says: /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|wrong version number|packet length too long/,
    code: 'tls_mismatch',
    message: (node) => `${node} does not speak TLS, and was addressed with it.`,
  },
  {
    says: /NO_PROTOCOLS_AVAILABLE/,
    code: 'invalid_input',
    message: () => 'tls: `minVersion` and `maxVersion` leave no version of TLS.',
  },
];

const CERTIFICATE_FAULT: TlsFault = {
  code: 'certificate_refused',
  message: (node, words) => `TLS with ${node} failed: ${words}.`,
};

const tlsFault = ({ code, message }: CodedError): TlsFault =>
  TLS_FAULTS.find(({ says }) => says.test(`${code} ${message}`)) ?? CERTIFICATE_FAULT;

/**
 * The code of a fault that lasts until an operator changes something: a refused login or certificate, an option that
 * cannot be used, another kind of server.
 */
function permanentCode(fault: unknown): ErrorCode | undefined {
  const reason = reasonOf(fault);
  if (reason instanceof EngineError) return reason.retryable ? undefined : reason.code;
  if (isCertificateFault(reason)) return tlsFault(reason).code;
  const known = isReply(reason) ? serverFault(reason) : undefined;
  return known?.lasts === true ? known.code : undefined;
}

/** Whether the connection was refused at every address of the server. */
export function isRefused(fault: unknown): boolean {
  const reason = reasonOf(fault);
  const each = reason instanceof AggregateError ? reason.errors : [reason];
  return each.every((error) => propertyOf(error, 'code') === 'ECONNREFUSED');
}

/** Whether waiting for the connection is useless. */
export function isPermanent(reason: unknown): boolean {
  return permanentCode(reason) !== undefined;
}

/**
 * Whether the call did not run, because of a missing connection or a refusal of the server, and may run soon.
 * `connection` is the known reason why the client has no connection.
 */
export function mayRunSoon(error: unknown, connection?: unknown): boolean {
  if (error instanceof EngineError || error instanceof CallLost || error instanceof CallTimeout) return false;
  if (error instanceof TransientFault) return true;
  if (error instanceof CallNotSent) return !isPermanent(error.reason);
  if (!(error instanceof Error)) return false;
  if (NOT_CONNECTED.test(error.message)) return !isPermanent(connection);
  return serverFault(error)?.passes === true;
}

/**
 * The EngineError for a fault of a call. `node` is the name of the server; `connection` is the known reason why the
 * client has no connection.
 */
export function faultOf(error: unknown, node: string, connection?: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof TransientFault) return error.fault;
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
  if (isWords) return errorOfWords((error as Error).message, `${node} answered`, { cause: error });
  // The client could not read a reply or a stored value.
  return new EngineError('corruption', `What ${node} answered does not decode.`, { cause: error });
}

/** A call that broke off between two writes. The partition is verified because of it (src/valkey/verify/mending.ts). */
export class BrokeOff extends EngineError {
  readonly #isMarked: boolean;

  constructor(code: ErrorCode, message: string, isMarked: boolean, options: { cause?: unknown } = {}) {
    super(
      code,
      `${message} The call broke off halfway: what it had begun may be half done, and is repaired once the cause is gone.`,
      options,
    );
    this.#isMarked = isMarked;
  }

  /** Whether the function could mark the partition. */
  get isMarked(): boolean {
    return this.#isMarked;
  }
}

/** The words of an error without those about a break, and whether the partition is marked; undefined without a break. */
export function breakIn(words: string): { readonly said: string; readonly isMarked: boolean | undefined } {
  const suffix = [BROKE_OFF, BROKE_OFF_UNMARKED].find((each) => words.includes(each));
  if (suffix === undefined) return { said: words, isMarked: undefined };
  return { said: words.replace(suffix, ''), isMarked: suffix === BROKE_OFF };
}

/** What a function says of damage, without its code word and its place in the library: the operator needs neither. */
const ownWords = (words: string): string => /^DAMAGED (.*?)(?: script: .*)?$/s.exec(words)?.[1] ?? words;

/**
 * The error for words of the server, or of a function on it.
 * @param who names who says it
 */
export function errorOfWords(words: string, who: string, options: { cause?: unknown } = {}): EngineError {
  const { said, isMarked } = breakIn(words);
  const code = faultIn(said)?.code ?? 'function_failed';
  const message = `${who}: ${serverWords(ownWords(said))}.`;
  if (isMarked === undefined) return new EngineError(code, message, options);
  return new BrokeOff(code, message, isMarked, options);
}

function unreachable(label: string, fault: unknown): EngineError {
  const reason = reasonOf(fault);
  if (reason instanceof EngineError) return reason;
  const node = fault instanceof NodeFault ? fault.node : label;
  const { code, message } = lossOf(node, reason, '; the call did not run');
  return new EngineError(code, message, { cause: reason });
}

/** Why nodes cannot be reached: a code and words. `effect` follows the words if the reason may pass by itself. */
export function lossOf(
  nodes: string,
  fault: unknown,
  effect = '',
): { readonly code: ErrorCode; readonly message: string } {
  const reason = reasonOf(fault);
  if (reason instanceof EngineError)
    return { code: reason.code, message: reason.message.slice(reason.code.length + 2) };
  if (isCertificateFault(reason)) {
    const { code, message } = tlsFault(reason);
    return { code, message: message(nodes, codedWords(reason)) };
  }
  const said = isReply(reason) ? serverFault(reason) : undefined;
  if (said === undefined)
    return { code: 'transport_failed', message: `${nodes} cannot be reached${effect}.${because(reason)}` };
  const option = said.option === undefined ? '' : `${said.option}: `;
  return { code: said.code, message: `${option}${nodes} answered: ${serverWords(messageOf(reason))}.` };
}

function because(fault: unknown): string {
  const reason = reasonOf(fault);
  if (isCoded(reason)) return ` The last try to connect met ${codedWords(reason)}.`;
  return isReply(reason) ? ` The last try to connect met ${serverWords(reason.message)}.` : '';
}
