/** The suspension that ends the run of a waiting handler. */
import type { ArgsOf } from '../../../model/machine.js';
import type { ResumeCondition } from '../../../model/suspension/condition.js';
import type { WaitCondition } from './conditions.js';
import { keyText, type WaitKey } from './keys.js';

type Asked = ArgsOf<'suspendExecution'>;

/** The arguments of the suspension without the execution. The same in every repetition of the call. */
export type SuspensionRequest = Pick<
  Asked,
  'suspensionId' | 'waitpoints' | 'resumeCondition' | 'timeoutAt' | 'seenSignals' | 'reasonCode'
>;

/** The end of a run whose handler waits for signals, time or children, in place of the handler's value. */
export class Suspension {
  constructor(readonly request: SuspensionRequest | 'children') {}
}

/** A wait of the suspension. */
interface Waiting {
  readonly keys: readonly WaitKey[];
  /** Undefined for a sleep. */
  readonly condition: WaitCondition | undefined;
}

/**
 * The suspension for several waits: the execution resumes as soon as one of them may be over. `seenSignals` is the
 * number
 * of kept signals that the waits have read.
 */
export function requestFor(waits: readonly Waiting[], seenSignals: number, ids: () => string): SuspensionRequest {
  const keys = waits.flatMap((wait) => wait.keys);
  const ends = keys.flatMap(({ until }) => (until === undefined ? [] : [until]));
  const isListening = keys.some(({ channel }) => channel !== '');
  const isApproval = waits.some(({ condition }) => condition?.type === 'approval');
  return {
    suspensionId: ids(),
    waitpoints: keys.map((key) =>
      key.pendingId === undefined
        ? { waitpointId: ids(), waitpointKey: keyText(key) }
        : { waitpointId: key.pendingId, usePending: true },
    ),
    resumeCondition: wakeOn(keys),
    timeoutAt: ends.length === 0 ? undefined : Math.min(...ends),
    ...(isListening && { seenSignals }),
    ...(isApproval && { reasonCode: 'waiting_for_approval' }),
  };
}

/** Resumes on any signal to any of the waitpoints; the next run of the handler decides which wait is over. */
function wakeOn(keys: readonly WaitKey[]): ResumeCondition {
  if (keys.length === 1 && keys[0]?.channel === '') return { type: 'timeout_only' };
  return { type: 'count', n: 1, countKind: 'distinct_signals', waitpoints: keys.map(keyText) };
}
