/**
 * Delivers what entities of one partition owe to other partitions, for the loop that applies due work: at least once,
 * safe to repeat. A failed delivery becomes due again a little later, so a fault is reported and delays nothing. Quota
 * policies release returned admissions; partitions are asked whether silent slots are in use (ruling 19).
 */
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { OutcomeOf } from '../../model/machine.js';
import { partsOfMeterSet } from '../../model/metering/meters.js';
import { uuidOf } from '../../model/short-id.js';
import type { Backend } from '../backend/backend.js';

type Delivery = Extract<OutcomeOf<'applyDue'>, { kind: 'applied' }>['deliveries'][number];

/** How deliveries of a kind are made. */
type Carrier = (backend: Backend, partition: string, deliveries: readonly Delivery[]) => Promise<void>;

/** Every quota policy in a meter set. */
export const policiesOf = (meters: string): string[] => {
  const { quotaPolicyIds, keyedQuotas } = partsOfMeterSet(meters);
  return [...quotaPolicyIds, ...keyedQuotas.map(({ quotaPolicyId }) => quotaPolicyId)].sort();
};

/** Makes a call for each page of as many admissions as a call can name. */
async function byPage(ids: readonly string[], call: (admissionIds: string[]) => Promise<unknown>): Promise<void> {
  const { maxAdmissions } = LIMITS;
  const pages = Array.from({ length: Math.ceil(ids.length / maxAdmissions) }, (_, page) =>
    ids.slice(page * maxAdmissions, (page + 1) * maxAdmissions),
  );
  await Promise.all(pages.map(call));
}

/** Releases any number of admissions; a policy that is gone holds nothing. */
export async function released(
  backend: Backend,
  quotaPolicyId: string,
  ids: readonly string[],
  unused = false,
): Promise<void> {
  try {
    await byPage(ids, (admissionIds) => backend.releaseAdmission({ quotaPolicyId, admissionIds, unused }));
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'quota_policy_not_found')) throw error;
  }
}

/** Settles any number of returned admissions. */
export const settled = (backend: Backend, partition: string, ids: readonly string[]): Promise<void> =>
  byPage(ids, (admissionIds) => backend.settleAdmissions({ partition, admissionIds }));

/** Returned admissions: first their policies release them, then their partition settles them. */
const returnAdmissions: Carrier = async (backend, partition, deliveries) => {
  const byPolicy = new Map<string, string[]>();
  for (const { id, text } of deliveries) {
    for (const policy of policiesOf(text)) byPolicy.set(policy, [...(byPolicy.get(policy) ?? []), uuidOf(id)]);
  }
  await Promise.all([...byPolicy].map(([policy, ids]) => released(backend, policy, ids)));
  await settled(
    backend,
    partition,
    deliveries.map(({ id }) => uuidOf(id)),
  );
};

/** Frees the slots of a policy that no claim has used or will use, and those whose ownership has ended meanwhile. */
const askForSlots: Carrier = async (backend, _, deliveries) => {
  const unused = new Map<string, string[]>();
  const ended = new Map<string, string[]>();
  await Promise.all(
    deliveries.map(async ({ id, text }) => {
      const [short = '', holder = ''] = text.split('\t');
      const admissionId = uuidOf(short);
      const { kind } = await backend.voidAdmission({ partition: holder, admissionId });
      if (kind === 'in_use') return;
      // Its own return can be far away: it was dated by a clock that has stepped back since.
      const free = kind === 'voided' ? unused : ended;
      free.set(id, [...(free.get(id) ?? []), admissionId]);
    }),
  );
  await Promise.all([
    ...[...unused].map(([policy, ids]) => released(backend, policy, ids, true)),
    ...[...ended].map(([policy, ids]) => released(backend, policy, ids)),
  ]);
};

const CARRIERS: Readonly<Record<string, Carrier>> = { admission: returnAdmissions, quota_policy: askForSlots };

/** Makes the deliveries found by a pass over a partition. @throws EngineError what the backend throws */
export async function deliver(backend: Backend, partition: string, deliveries: readonly Delivery[]): Promise<void> {
  for (const [kind, carry] of Object.entries(CARRIERS)) {
    const own = deliveries.filter((delivery) => delivery.kind === kind);
    if (own.length > 0) await carry(backend, partition, own);
  }
}
