/** How the run of a handler ends that waits: what its execution is suspended on. */
import type { ArgsOf } from '../../../model/machine.js';
import { keyText, type WaitKey } from './keys.js';

type Asked = ArgsOf<'suspendExecution'>;

/** What the engine is asked for, without whose execution it is. The same for every time that it is asked. */
export type SuspensionRequest = Pick<Asked, 'suspensionId' | 'waitpoints' | 'resumeCondition' | 'timeoutAt'>;

/** The end of a run whose handler waits: it takes the place of what the handler gives. */
export class Suspension {
  constructor(readonly request: SuspensionRequest) {}
}

/** What all of the waits together ask for: the execution goes on as soon as one of them may be over. */
export function requestFor(keys: readonly WaitKey[], ids: () => string): SuspensionRequest {
  const waitpoints = keys.map((key) => ({ waitpointId: ids(), waitpointKey: keyText(key) }));
  const ends = keys.flatMap(({ until }) => (until === undefined ? [] : [until]));
  const isAsleep = keys.length === 1 && keys[0]?.channel === '';
  return {
    suspensionId: ids(),
    waitpoints,
    resumeCondition: isAsleep
      ? { type: 'timeout_only' }
      : {
          type: 'count',
          n: 1,
          countKind: 'distinct_signals',
          waitpoints: waitpoints.map(({ waitpointKey }) => waitpointKey),
        },
    timeoutAt: ends.length === 0 ? undefined : Math.min(...ends),
  };
}
