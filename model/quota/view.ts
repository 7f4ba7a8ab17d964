/** What decisions and reads see of quota policies. */
import type { Partition } from '../state.js';
import type { ReadonlyQuotaPolicy } from './facts.js';

export interface QuotaView {
  policy(quotaPolicyId: string): ReadonlyQuotaPolicy | undefined;
}

/** The view by definition. */
export const quotasByDefinition = ({ state: { tables } }: Pick<Partition, 'state'>): QuotaView => ({
  policy: (quotaPolicyId) => tables.quota_policy.get(quotaPolicyId),
});
