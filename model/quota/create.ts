/** createQuotaPolicy: limits on how many admissions there are at once, and in any window of time. Spec 09 section 5.1. */
import { z } from 'zod';
import { accept, operation } from '../operation.js';
import { keysOf } from '../core/tables.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfId } from '../families.js';
import type { QuotaLimits, ReadonlyQuotaPolicy } from './facts.js';
import { givenLimits, limitsOf, LIMIT_NAMES, quotaPolicyId, windowForRate } from './fields.js';

/** Whether two sets of limits differ. */
const differs = (policy: ReadonlyQuotaPolicy, wanted: QuotaLimits): boolean =>
  keysOf(wanted).some((name) => policy[name] !== wanted[name]);

export const createQuotaPolicy = operation({
  name: 'createQuotaPolicy',
  family: 'quota',
  args: z.strictObject({ quotaPolicyId, ...givenLimits }).refine(...windowForRate),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('created'), quotaPolicyId: echoed(quotaPolicyId) }),
    /** The policy exists and stays as it is. */
    z.object({
      kind: z.literal('already_satisfied'),
      quotaPolicyId: echoed(quotaPolicyId),
      reason: z.enum(['already_exists', 'definition_differs']),
    }),
  ]),
  rejects: [],
  partition: (args, counts) => partitionOfId('quota', args.quotaPolicyId, counts),
  wire: { shared: [], each: ['quotaPolicyId', ...LIMIT_NAMES] },
  memory: 'adds',
  decide(view, args, { now }) {
    const { quotaPolicyId } = args;
    const wanted = limitsOf(args, false);
    const known = view.quotas.policy(quotaPolicyId);
    if (known !== undefined) {
      const reason = differs(known, wanted) ? 'definition_differs' : 'already_exists';
      return accept({ kind: 'already_satisfied', quotaPolicyId, reason });
    }
    const event = { type: 'quota_policy_created', quotaPolicyId, at: now, ...wanted } as const;
    return accept({ kind: 'created', quotaPolicyId }, event);
  },
});
