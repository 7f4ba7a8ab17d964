/**
 * What entities of one partition owe to others, carried there by the loop that applies due work: at least once, and safe to
 * repeat. What fails is owed again a little later, so a fault is reported and holds nothing up.
 *
 * Admissions that were given back are released by their quota policies; slots that were not heard of for a while are asked
 * for where their claims were to be made (ruling 19).
 */
import { EngineError } from '../../model/errors.js';
import type { OutcomeOf } from '../../model/machine.js';
import { partsOfMeterSet } from '../../model/metering/meters.js';
import { uuidOf } from '../../model/short-id.js';
import type { Backend } from '../backend.js';

type Delivery = Extract<OutcomeOf<'applyDue'>, { kind: 'applied' }>['deliveries'][number];

/** How what an entity of a kind owes is carried. */
type Carrier = (backend: Backend, partition: string, deliveries: readonly Delivery[]) => Promise<void>;

/** Every quota policy that a meter set names. */
export const policiesOf = (meters: string): string[] => {
  const { quotaPolicyIds, keyedQuotas } = partsOfMeterSet(meters);
  return [...quotaPolicyIds, ...keyedQuotas.map(({ quotaPolicyId }) => quotaPolicyId)].sort();
};

/** Releases admissions; a policy that is gone holds nothing. */
export async function released(
  backend: Backend,
  quotaPolicyId: string,
  admissionIds: string[],
  unused = false,
): Promise<void> {
  try {
    await backend.releaseAdmission({ quotaPolicyId, admissionIds, unused });
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'quota_policy_not_found')) throw error;
  }
}

/** Admissions that executions gave back: first their policies are told, then their partition that they were. */
const returnAdmissions: Carrier = async (backend, partition, deliveries) => {
  const byPolicy = new Map<string, string[]>();
  for (const { id, text } of deliveries) {
    for (const policy of policiesOf(text)) byPolicy.set(policy, [...(byPolicy.get(policy) ?? []), uuidOf(id)]);
  }
  await Promise.all([...byPolicy].map(([policy, ids]) => released(backend, policy, ids)));
  await backend.settleAdmissions({ partition, admissionIds: deliveries.map(({ id }) => uuidOf(id)) });
};

/** Slots of a policy: those that no claim used, and none will, are free. */
const askForSlots: Carrier = async (backend, _, deliveries) => {
  const free = new Map<string, string[]>();
  await Promise.all(
    deliveries.map(async ({ id, text }) => {
      const [short = '', holder = ''] = text.split('\t');
      const admissionId = uuidOf(short);
      const { kind } = await backend.voidAdmission({ partition: holder, admissionId });
      if (kind === 'voided') free.set(id, [...(free.get(id) ?? []), admissionId]);
    }),
  );
  await Promise.all([...free].map(([policy, ids]) => released(backend, policy, ids, true)));
};

const CARRIERS: Readonly<Record<string, Carrier>> = { admission: returnAdmissions, quota_policy: askForSlots };

/** Carries what a pass over a partition found to be owed. @throws EngineError what the backend throws */
export async function deliver(backend: Backend, partition: string, deliveries: readonly Delivery[]): Promise<void> {
  for (const [kind, carry] of Object.entries(CARRIERS)) {
    const own = deliveries.filter((delivery) => delivery.kind === kind);
    if (own.length > 0) await carry(backend, partition, own);
  }
}
