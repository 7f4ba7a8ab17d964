/** Signals by envelope, and the keys that sign envelopes. */
import { kid as kidField, looseLabel, secret as secretField } from '../../../model/core/fields.js';
import { EngineError } from '../../../model/errors.js';
import { partitionKeyOf } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { checkDuration, checkField, needField } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { addressIn, noEnvelope } from '../../shared/envelope.js';
import { knownOnly } from '../../shared/known-only.js';
import {
  checkKey,
  effectOf,
  encodePayload,
  receiptOf,
  signalIdOf,
  type SignalOptions,
  type SignalReceipt,
} from './signalling.js';

export interface RotateKeyOptions {
  /** The name of the key; use a new name for a new secret. */
  readonly kid: string;
  /** At least 32 random bytes. Store it with your other secrets: you need it again if you rebuild the store. */
  readonly secret: Uint8Array;
  /** How long envelopes signed with the previous key stay valid. Default 24 hours. */
  readonly grace?: Duration | undefined;
}

/** Signals from senders that do not know the id of the run. */
export interface AppSignals {
  /**
   * Delivers a signal to the waitpoint of an envelope that a handler handed out (`waitpoint`). The envelope is the only
   * proof that the sender needs. An invalid one and one of a purged run get the same refusal.
   * @throws EngineError `invalid_token`, `token_expired`, `waitpoint_closed`, `pending_waitpoint_expired`,
   *   `target_not_signalable`, `payload_too_large`
   * @example await app.signals.deliver(request.params.envelope, { paid: true }, { idempotencyKey: event.id });
   */
  deliver(envelope: string, payload?: unknown, options?: SignalOptions): Promise<SignalReceipt>;
  /**
   * Installs the key that signs envelopes from now on, in every partition. Can be repeated; repeat it after a failure.
   * @throws EngineError `rotation_conflict` if the name belongs to another secret
   */
  rotateKey(options: RotateKeyOptions): Promise<void>;
}

export interface AppSignalsSource {
  readonly backend: () => Promise<Backend>;
  readonly call: <T>(command: () => Promise<T>) => Promise<T>;
  readonly ids: () => string;
}

/** Refusals of an envelope that was good once, with what to answer: senders that hear of no success send again. */
const DONE_WITH = 'Sending it again cannot succeed: answer the sender 200 if it may forget it, or 410.';
const TOO_LATE: Readonly<Partial<Record<string, string>>> = {
  target_not_signalable: `The run has ended, so it takes no more signals. ${DONE_WITH}`,
  waitpoint_closed: `The run no longer waits for this signal. ${DONE_WITH}`,
  pending_waitpoint_expired: `The time in which the run could wait for this signal is over. ${DONE_WITH}`,
  token_expired: 'The key that signed the envelope was replaced. If the run still waits, `run.signal` reaches it.',
};

/** Refusals of arguments. All others of a delivery are checked before: these are of an envelope that no handler made. */
const OF_ENVELOPE: ReadonlySet<string> = new Set(['invalid_input', 'missing_token']);

function inWords(error: unknown): unknown {
  if (error instanceof EngineError && OF_ENVELOPE.has(error.code)) return noEnvelope();
  const message = error instanceof EngineError ? TOO_LATE[error.code] : undefined;
  if (message === undefined) return error;
  const { code, detail } = error as EngineError;
  return new EngineError(code, message, { detail, cause: error });
}

const OPTIONS = { from: true, idempotencyKey: true } as const;
const KEY_OPTIONS = { kid: true, secret: true, grace: true } as const;

export const appSignalsOf = ({ backend, call, ids }: AppSignalsSource): AppSignals => ({
  async deliver(envelope, payload, options = {}) {
    knownOnly<SignalOptions>('deliver', options, OPTIONS);
    const { executionId, waitpointId, signalName, token } = addressIn(envelope);
    const { from = '', idempotencyKey } = options;
    checkField('deliver', 'from', looseLabel, from);
    checkKey('deliver', idempotencyKey);
    const { bytes, encoding } = encodePayload(signalName, payload);
    const store = await backend();
    const id =
      idempotencyKey === undefined
        ? ids()
        : signalIdOf(executionId, signalName, idempotencyKey, 'waitpoint', waitpointId);
    const answer = await call(() =>
      store.deliverSignal({
        ...{ executionId, waitpointId, signalName, waitpointToken: token, signalId: id, sourceIdentity: from },
        ...{ payload: bytes, payloadEncoding: encoding },
      }),
    ).catch((error: unknown) => {
      throw inWords(error);
    });
    if (answer.kind !== 'duplicate') return { id, effect: effectOf(answer.effect) };
    const sent = { runId: executionId, id: answer.existingSignalId, isNamed: idempotencyKey !== undefined };
    return receiptOf(sent, (page) => call(() => store.listSignals(page)));
  },

  async rotateKey(options) {
    knownOnly<RotateKeyOptions>('rotateKey', options, KEY_OPTIONS);
    const { kid, secret, grace = '24h' } = options;
    needField('rotateKey', 'kid', kidField, kid);
    // The text is never shown: it may be a secret in another form.
    if (!secretField.safeParse(secret).success)
      throw new InvalidDefinitionError(
        `rotateKey: secret must be a Uint8Array of ${LIMITS.minSecretBytes} to ${LIMITS.maxSecretBytes} bytes`,
      );
    checkDuration('rotateKey', 'grace', grace, 0, LIMITS.maxTokenGraceMs);
    // A copy: its caller may erase the secret after the call.
    const newSecret = Uint8Array.from(secret);
    const store = await backend();
    const graceMs = durationMs(grace);
    for (let index = 0; index < store.partitions.count; index++)
      await call(() =>
        store.rotateWaitpointHmacSecret({ partition: partitionKeyOf(index), newKid: kid, newSecret, graceMs }),
      );
  },
});
