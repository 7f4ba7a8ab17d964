/** How the run of a handler ends that waits: what its execution is suspended on. */
import type { ArgsOf } from '../../../model/machine.js';
import type { ResumeCondition } from '../../../model/suspension/condition.js';
import type { WaitCondition } from './conditions.js';
import { keyText, type WaitKey } from './keys.js';

type Asked = ArgsOf<'suspendExecution'>;

/** What the engine is asked for, without whose execution it is. The same for every time that it is asked. */
export type SuspensionRequest = Pick<
  Asked,
  'suspensionId' | 'waitpoints' | 'resumeCondition' | 'timeoutAt' | 'seenSignals' | 'reasonCode'
>;

/** The end of a run whose handler waits, for what it asks or for its children: it takes the place of what the handler gives. */
export class Suspension {
  constructor(readonly request: SuspensionRequest | 'children') {}
}

/** A wait that an execution is to be suspended on. */
interface Waiting {
  readonly keys: readonly WaitKey[];
  /** Nothing for a sleep. */
  readonly condition: WaitCondition | undefined;
}

/**
 * What all of the waits together ask for: the execution goes on as soon as one of them may be over. `seenSignals` are the
 * kept signals that the waits have looked at.
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

/** Any signal to any of them: whether a wait is over, the next run of the handler looks by itself. */
function wakeOn(keys: readonly WaitKey[]): ResumeCondition {
  if (keys.length === 1 && keys[0]?.channel === '') return { type: 'timeout_only' };
  return { type: 'count', n: 1, countKind: 'distinct_signals', waitpoints: keys.map(keyText) };
}
