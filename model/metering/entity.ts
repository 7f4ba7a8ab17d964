/**
 * Admissions used by metered claims. An admission is a lease id that the claimer minted and had admitted by every quota
 * policy of a meter set before it claimed with it, so that neither the claim nor the execution needs another fact. It
 * is bound from the claim until the ownership ends; then it is returned, and stays in the outbox of its partition until
 * the policies are told. A voided one is good for no claim (ruling 19). It is stored under the short form of the lease
 * id.
 */
import { changes, entity, makes, makesOrChanges, removes, type EntityState } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';
import { memberOf } from '../ids.js';
import { OFFER_AGAIN_MS, RETURN_GRACE_MS, VOID_MEMORY_MS } from '../limits.js';
import { shortIdOf, uuidOf } from '../short-id.js';

export const ADMISSION = subject('admission', 'admissionId');

/** The states of an admission and their stored letters. */
export const ADMISSION_STATES = {
  /** An execution is owned with it. */
  bound: 'b',
  /** The ownership ended; its policies may not know yet. */
  returned: 'r',
  /** No claim may use it. */
  void: 'v',
} as const;

export const admissionFacts = fact.factTable({
  holding: {
    admissionState: fact.word(ADMISSION_STATES),
    /** The execution that was claimed with it; absent for a voided one. */
    owner: fact.optionalId(),
    /** The meters of that execution. */
    meters: fact.list(),
    /** When the policies are to be told, or the void entry is forgotten; unset while bound. */
    dueAt: fact.optionalNumber(),
  },
});

export type Admission = EntityState<typeof ADMISSION, typeof admissionFacts>;

export const meteringEvents = {
  /** The ownership ended, other than by a completion of its worker: the timer loop must have the slots freed. */
  admission_returned: event('admission_returned', 'qm', ADMISSION, {}),
  /** The timer loop was asked to tell the policies. It is asked again until they confirm. */
  admission_offered: event('admission_offered', 'qd', ADMISSION, {}),
  /** The policies confirmed; the admission is forgotten. */
  admission_settled: event('admission_settled', 'qs', ADMISSION, {}),
  /** A slot lapsed unused; a later claim with it is refused. */
  admission_voided: event('admission_voided', 'qv', ADMISSION, {}),
  admission_forgotten: event('admission_forgotten', 'qg', ADMISSION, {}),
} as const;

/** A claim of metered work binds its admission. */
function bound(event: EventNamed<'execution_claimed' | 'execution_resumed'>): Admission | undefined {
  if (event.meters.length === 0) return undefined;
  return {
    admissionId: shortIdOf(event.leaseId),
    admissionState: 'bound',
    owner: uuidOf(memberOf(event.executionId)),
    meters: event.meters,
    dueAt: undefined,
  };
}

/** The ownership ended: the slots must be freed, by the timer loop from that time on. */
function give(admission: Admission, offerAt: number): void {
  admission.admissionState = 'returned';
  admission.dueAt = offerAt;
}

export const admissionEntity = entity({
  subject: ADMISSION,
  facts: admissionFacts,
  recipes: {
    execution_claimed: makes(bound),
    execution_resumed: makes(bound),
    // A worker frees the slots of completed work itself, many at a time, before the grace period ends.
    execution_completed: makesOrChanges(
      () => undefined,
      (admission: Admission, { at }: EventNamed<'execution_completed'>) => give(admission, at + RETURN_GRACE_MS),
    ),
    admission_returned: changes((admission: Admission, { at }: EventNamed<'admission_returned'>) =>
      give(admission, at),
    ),
    admission_offered: changes((admission: Admission, event: EventNamed<'admission_offered'>) => {
      admission.dueAt = event.at + OFFER_AGAIN_MS;
    }),
    admission_settled: removes,
    admission_voided: makes(
      ({ admissionId, at }: EventNamed<'admission_voided'>): Admission => ({
        admissionId,
        admissionState: 'void',
        owner: undefined,
        meters: [],
        dueAt: at + VOID_MEMORY_MS,
      }),
      'replace',
    ),
    admission_forgotten: removes,
  },
  timerOf: ({ dueAt }: Readonly<Admission>) => dueAt,
});
