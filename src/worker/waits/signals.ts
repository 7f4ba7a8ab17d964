/** Signals as handlers receive them. */
import { channelOf } from '../../../model/suspension/channel.js';
import type { SignalSummary } from '../../../model/suspension/reads.js';
import { decode } from '../../shared/codec.js';
import { propertyOf, tried } from '../../util/thrown.js';
import type { EvaluatedSignal } from './evaluate.js';

/** A received signal. */
export interface Signal<Payload = unknown, Name extends string = string> {
  readonly id: string;
  /** Its name. */
  readonly name: Name;
  /** The payload; `undefined` if there was none. */
  readonly payload: Payload;
  /** The sender, by its own claim; empty if not given. */
  readonly from: string;
  /** When it was accepted, ms since the epoch. */
  readonly at: number;
}

/** A signal of the execution. */
export interface Received extends EvaluatedSignal {
  readonly at: number;
  readonly from: string;
  /** Whether it came while no wait listened to it. */
  readonly isKept: boolean;
  /** How many ends of children were recorded before it. */
  readonly endedChildren: number;
  /** The decoded payload. @throws EngineError `corruption` when it does not match its declared encoding */
  readonly payload: () => unknown;
}

/** A signal of the engine in the form of waits. */
export function receivedOf(summary: SignalSummary): Received {
  const { signalId: id, signalName, waitpointKey, sourceType, sourceIdentity: from, acceptedAt: at } = summary;
  const payload = (): unknown =>
    summary.payload === undefined ? undefined : decode({ bytes: summary.payload, encoding: summary.payloadEncoding });
  const approved = propertyOf(tried(payload), 'approved');
  return {
    id,
    name: waitpointKey === '' ? signalName : channelOf(waitpointKey),
    source: JSON.stringify([sourceType, from]),
    // An operator's decision is in the name of the signal.
    approved: typeof approved === 'boolean' ? approved : DECISIONS.get(signalName),
    at,
    from,
    isKept: summary.waitpointId === '',
    endedChildren: summary.endedChildren,
    payload,
  };
}

const DECISIONS: ReadonlyMap<string, boolean> = new Map([
  ['approved', true],
  ['rejected', false],
]);
