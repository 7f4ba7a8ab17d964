/**
 * What lets its holder send one signal to one run: a text that can stand in a URL. It names the execution, its waitpoint,
 * the name of the signal and the token. The token proves the rest, so what was changed is refused by the engine.
 */
import { EngineError } from '../../model/errors.js';

export interface SignalAddress {
  readonly executionId: string;
  readonly waitpointId: string;
  readonly signalName: string;
  readonly token: string;
}

/** Longest envelope that is read, characters: ids, a name of 256 bytes, a token. */
const MAX_LENGTH = 2_048;

export function envelopeOf({ executionId, waitpointId, signalName, token }: SignalAddress): string {
  return Buffer.from(JSON.stringify([executionId, waitpointId, signalName, token])).toString('base64url');
}

/** @throws EngineError `invalid_token` for what is no envelope; it does not quote it */
export function addressIn(envelope: unknown): SignalAddress {
  const parts = typeof envelope === 'string' && envelope.length <= MAX_LENGTH ? partsOf(envelope) : undefined;
  const isWhole = Array.isArray(parts) && parts.length === 4 && parts.every((part) => typeof part === 'string');
  if (!isWhole) throw new EngineError('invalid_token', 'What was given is no envelope of a signal.');
  const [executionId, waitpointId, signalName, token] = parts as [string, string, string, string];
  return { executionId, waitpointId, signalName, token };
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
