/** The suspension that ends the run of a waiting handler. */
import type { ArgsOf } from '../../../model/machine.js';
import type { ResumeCondition } from '../../../model/suspension/condition.js';
import { labelOf } from '../../shared/awaited-signals.js';
import type { WaitCondition } from './conditions.js';
import { LIMITS } from '../../../model/limits.js';
import { awaitedOf } from './evaluate.js';
import { keyText, SLEEP_ALONE, type WaitKey } from './keys.js';
import type { KnownWaits } from './known.js';

type Asked = ArgsOf<'suspendExecution'>;

/** The arguments of the suspension without the execution. The same in every repetition of the call. */
export type SuspensionRequest = Pick<
  Asked,
  | 'suspensionId'
  | 'waitpoints'
  | 'resumeCondition'
  | 'timeoutAt'
  | 'seenSignals'
  | 'reasonCode'
  | 'seenChildren'
  | 'awaitedChildren'
  | 'continuationMetadataPointer'
>;

/** The end of a run whose handler waits for signals, time or children, in place of the handler's value. */
export class Suspension {
  constructor(readonly request: SuspensionRequest | 'children') {}
}

interface AwaitedChildren {
  readonly decided: () => unknown;
  readonly seenCount: () => number;
  readonly neededCount: () => number;
}

/** A wait of the suspension. */
interface Waiting {
  readonly keys: readonly WaitKey[];
  /** Undefined for a sleep and for children. */
  readonly condition: WaitCondition | undefined;
  readonly children?: AwaitedChildren | undefined;
}

/** The waitpoint of a suspension that only children end. A handler cannot give a wait this name. */
const FOR_CHILDREN: WaitKey = { channel: '', name: '__children', use: 0, until: undefined };

/**
 * The suspension for several waits: the execution resumes as soon as one of them may be over. `called` are ends of other
 * waits, stored as far as there is room: a waitpoint that was created before has no room for others. `known` has
 * the signals that the waits have read.
 */
export function requestFor(
  waits: readonly Waiting[],
  called: readonly WaitKey[],
  known: KnownWaits | undefined,
  ids: () => string,
): SuspensionRequest {
  const own = waits.flatMap((wait) => wait.keys);
  const keys = own.length === 0 ? [FOR_CHILDREN] : own;
  const children = waits.flatMap((wait) => wait.children ?? []).filter(({ decided }) => decided() === undefined);
  const ends = keys.flatMap(({ until }) => (until === undefined ? [] : [until]));
  const isListening = keys.some(({ channel }) => channel !== '');
  const room = keys.some(({ pendingId }) => pendingId !== undefined) ? 0 : LIMITS.maxWaitpoints - keys.length;
  const all = [...keys, ...called.slice(0, room)];
  const textOf = (key: WaitKey): string =>
    keyText(isListening || key.channel !== '' ? key : { ...key, channel: SLEEP_ALONE });
  const isApproval = waits.some(({ condition }) => condition?.type === 'approval');
  return {
    suspensionId: ids(),
    waitpoints: all.map((key) =>
      key.pendingId === undefined
        ? { waitpointId: ids(), waitpointKey: textOf(key) }
        : { waitpointId: key.pendingId, usePending: true },
    ),
    resumeCondition: wakeOn(all, textOf),
    timeoutAt: ends.length === 0 ? undefined : Math.min(...ends),
    ...(isListening && { seenSignals: known?.keptSignals ?? 0 }),
    ...(children.length > 0 && awaiting(children)),
    ...(waits.some(countsSignals) && { continuationMetadataPointer: labelOf(waits.flatMap(awaitedBy(known))) }),
    ...(isApproval && { reasonCode: 'waiting_for_approval' }),
  };
}

/** Whether the number of signals that have come says more than that the wait is not over. */
const countsSignals = ({ condition }: Waiting): boolean =>
  condition !== undefined && condition.type !== 'name' && condition.type !== 'any';

const awaitedBy =
  (known: KnownWaits | undefined) =>
  ({ condition, keys: [key] }: Waiting) =>
    condition === undefined || key === undefined ? [] : awaitedOf(condition, known?.open(key, key.until) ?? []);

/**
 * Resumes when any of the uses may be decided: as many more children have ended as one of them needs, or one did not
 * complete.
 */
function awaiting(children: readonly AwaitedChildren[]) {
  const seenChildren = Math.max(...children.map(({ seenCount }) => seenCount()));
  const neededCount = Math.min(...children.map((each) => each.neededCount()));
  return { seenChildren, awaitedChildren: seenChildren + neededCount };
}

/** Resumes on any signal to any of the waitpoints; the next run of the handler decides which wait is over. */
function wakeOn(keys: readonly WaitKey[], textOf: (key: WaitKey) => string): ResumeCondition {
  const [first] = keys;
  if (keys.length === 1 && first?.channel === '')
    return { type: first === FOR_CHILDREN ? 'operator_only' : 'timeout_only' };
  return { type: 'count', n: 1, countKind: 'distinct_signals', waitpoints: keys.map(textOf) };
}
