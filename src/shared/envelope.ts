/**
 * What lets its holder send one signal to one run: a text that can stand in a URL. It names the execution, its waitpoint,
 * the name of the signal and the token. The token proves who may send; a sum shows that nothing was changed.
 */
import { EngineError } from '../../model/errors.js';
import { fingerprintOf } from '../../model/signing/token.js';

export interface SignalAddress {
  readonly executionId: string;
  readonly waitpointId: string;
  readonly signalName: string;
  readonly token: string;
}

/** Longest envelope that is read, characters: ids, a name of 256 bytes, a token. */
const MAX_LENGTH = 2_048;

/** Shows that something was changed on the way; who may send is shown by the token. */
const sumOf = (parts: readonly string[]): string => fingerprintOf(Buffer.from(JSON.stringify(parts)));

export function envelopeOf({ executionId, waitpointId, signalName, token }: SignalAddress): string {
  const parts = [executionId, waitpointId, signalName, token];
  return Buffer.from(JSON.stringify([...parts, sumOf(parts)])).toString('base64url');
}

/** The refusal of what is no envelope. It does not quote it. */
export const noEnvelope = (): EngineError =>
  new EngineError('invalid_token', 'What was given is no envelope of a signal.');

/** @throws EngineError `invalid_token` for what is no envelope */
export function addressIn(envelope: unknown): SignalAddress {
  const parts = typeof envelope === 'string' && envelope.length <= MAX_LENGTH ? partsOf(envelope) : undefined;
  const isWhole = Array.isArray(parts) && parts.length === 5 && parts.every((part) => typeof part === 'string');
  const [executionId, waitpointId, signalName, token] = (isWhole ? parts : []) as [string, string, string, string];
  const address = { executionId, waitpointId, signalName, token };
  // What decodes alike and is written otherwise is none either: one address has one envelope.
  if (!isWhole || envelopeOf(address) !== envelope) throw noEnvelope();
  return address;
}

function partsOf(envelope: string): unknown {
  try {
    return JSON.parse(Buffer.from(envelope, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A text that lets its holder do something: it prints redacted, and gives itself away only when it is asked to. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: whoever has it can send the signal. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return `<REDACTED:len=${this.#text.length}>`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
