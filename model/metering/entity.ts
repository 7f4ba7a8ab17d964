/**
 * Admissions that metered claims used. An admission is a lease id that its claimer minted and had admitted by every quota
 * policy of a meter set before it claimed with it: so a claim needs no further argument, and an execution no further fact.
 * From the claim to the loss of the ownership it is bound; then it is returned, and stands in the outbox of its partition
 * until the policies were told. One that was voided is good for no claim (ruling 19).
 *
 * Known here under the short form of the lease id, under which leases are stored.
 */
import { changes, entity, makes, removes, type EntityState } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';
import { memberOf } from '../ids.js';
import { OFFER_AGAIN_MS, VOID_MEMORY_MS } from '../limits.js';
import { shortIdOf, uuidOf } from '../short-id.js';

export const ADMISSION = subject('admission', 'admissionId');

/** What an admission is, and the letter under which that is stored. */
export const ADMISSION_STATES = {
  /** An execution is owned by it. */
  bound: 'b',
  /** Its execution was let go, and its policies are not known to know. */
  returned: 'r',
  /** No claim may use it. */
  void: 'v',
} as const;

const about = {
  /** The execution that was claimed with it; nothing of one that was voided. */
  owner: fact.optionalId(),
  /** What the execution is metered by, once it is returned. */
  meters: fact.list(),
};

export const admissionFacts = fact.factTable({
  holding: {
    admissionState: fact.word(ADMISSION_STATES),
    ...about,
    /** When its policies are to be told, or when it is forgotten that it is void; unset while it is bound. */
    dueAt: fact.optionalNumber(),
  },
});

export type Admission = EntityState<typeof ADMISSION, typeof admissionFacts>;

export const meteringEvents = {
  /** The ownership that an admission was for has ended: its slots are to be free again, and from when on the loop is told. */
  admission_returned: event('admission_returned', 'qm', ADMISSION, { about, offer: { offerAt: fact.number() } }),
  /** The loop that applies due work was told to tell the policies. It is told again until they are known to know. */
  admission_offered: event('admission_offered', 'qd', ADMISSION, {}),
  /** The policies know: nothing is left to be done. */
  admission_settled: event('admission_settled', 'qs', ADMISSION, {}),
  /** A slot lapsed unused: a claim that comes later with it is refused. */
  admission_voided: event('admission_voided', 'qv', ADMISSION, {}),
  admission_forgotten: event('admission_forgotten', 'qg', ADMISSION, {}),
} as const;

/** A claim of metered work binds the admission that it came with. */
function bound(event: EventNamed<'execution_claimed' | 'execution_resumed'>): Admission | undefined {
  if (!event.admitted) return undefined;
  return {
    admissionId: shortIdOf(event.leaseId),
    admissionState: 'bound',
    owner: uuidOf(memberOf(event.executionId)),
    meters: [],
    dueAt: undefined,
  };
}

export const admissionEntity = entity({
  subject: ADMISSION,
  facts: admissionFacts,
  recipes: {
    execution_claimed: makes(bound),
    execution_resumed: makes(bound),
    admission_returned: changes((admission: Admission, event: EventNamed<'admission_returned'>) => {
      admission.admissionState = 'returned';
      admission.meters = event.meters;
      admission.dueAt = event.offerAt;
    }),
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
