/** Waits that block a handler: their conditions, and the times at which they end by themselves. */
import { LIMITS } from '../../../model/limits.js';
import type { StepKind } from '../../../model/step/facts.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import type { Decided } from '../children/outcome.js';
import type { WaitCondition } from './conditions.js';
import type { WaitId, WaitKey } from './keys.js';
import type { KnownWaits } from './known.js';
import type { Received } from './signals.js';

/** A wait that blocks its handler. */
export interface Blocked {
  /** Its place in the order in which the waits began. */
  readonly place: number;
  /** One for each channel that it listens to; empty for children. */
  readonly keys: readonly WaitKey[];
  /** Undefined for anything but children. */
  readonly children?: ChildrenWait | undefined;
  /** Undefined for a sleep and for children. */
  readonly condition: WaitCondition | undefined;
  /** When it ends by itself, ms since the epoch; undefined if it does not. */
  readonly until: number | undefined;
  /** When an operator ended a sleep, ms since the epoch; undefined if none did. */
  readonly endedAt?: number | undefined;
  /** Whether it is a sleep that was over when it was called. */
  readonly isInstant?: boolean;
  /** Undefined for children and for a waitpoint that was created before, whose end is stored with it. */
  readonly end?: End | undefined;
  readonly go: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

/** The end of a wait, from the call of the wait on, and where later runs find it. */
export interface End {
  readonly kind: StepKind;
  readonly wait: WaitId;
  /** As the call computed it, ms since the epoch; undefined if the wait does not end by itself. */
  readonly asked: number | undefined;
  /** Undefined until it is being read. */
  reading?: Promise<Earlier>;
  /** Whether it is stored; undefined until it was read. */
  isKept?: boolean;
  /** Undefined until it is being stored. */
  storing?: Promise<void>;
}

/** What earlier runs left of a wait. */
export interface Earlier {
  readonly known: KnownWaits;
  /** When it ends by itself: as an earlier run stored it, or as the call computed it. */
  readonly until: number | undefined;
}

/** A wait for children, as far as this run has read. */
export interface ChildrenWait {
  /** The end that decided them; undefined while they are not decided. */
  readonly decided: () => Pick<Decided, 'at' | 'order'> | undefined;
  /** How many ends of children of the execution were read, of all waits. */
  readonly seenCount: () => number;
  /** How many more of these children must complete. */
  readonly neededCount: () => number;
  /** Whether the group of the execution is about these children alone. */
  readonly isGroup: () => boolean;
  /** Reads the ends of all children of the execution again. */
  readonly look: () => Promise<void>;
}

/** The outcome of a wait for signals: the signals that its handler gets, in the order of acceptance, or a timeout. */
export type Outcome = { readonly signals: readonly Received[] } | { readonly timedOutAt: number };

/** The error if a run cannot be suspended on these waits together. */
export function misuseOf(waits: readonly Blocked[]): InvalidDefinitionError | undefined {
  const keys = waits.flatMap((blocked) => blocked.keys);
  if (keys.length > 1 && keys.some(({ pendingId }) => pendingId !== undefined))
    return new InvalidDefinitionError(
      'The handler waits at a waitpoint and elsewhere at once',
      'Wait at one waitpoint alone, or use waitFor and send with run.signal.',
    );
  if (keys.length > LIMITS.maxWaitpoints)
    return new InvalidDefinitionError(
      `The handler waits at ${keys.length} places at once; ${LIMITS.maxWaitpoints} are possible`,
      'Wait for some of them first, or wait in runs of their own.',
    );
  return undefined;
}
