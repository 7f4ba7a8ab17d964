/** Stored bytes of signal payloads: the id of the signal, then the payload. Their subject is the execution. */
import { EngineError } from '../../model/errors.js';
import { isUuid } from '../../model/ids.js';

/** Slot of signal payloads, besides those of executions. */
export const PAYLOAD_SLOT = 'payload';

const ID_LENGTH = 36;

export function writePayload(signalId: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(signalId, 'latin1'), bytes]);
}

/** @throws EngineError `corruption` */
export function readPayload(bytes: Uint8Array): { readonly signalId: string; readonly bytes: Uint8Array } {
  const signalId = Buffer.from(bytes.subarray(0, ID_LENGTH)).toString('latin1');
  if (!isUuid(signalId)) throw new EngineError('corruption', 'The payload of a signal lacks the id of its signal.');
  return { signalId, bytes: bytes.subarray(ID_LENGTH) };
}
