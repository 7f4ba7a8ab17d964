/**
 * voidAdmission: no claim may use this admission from now on, unless one has used it already. It makes sure that a slot
 * without news is free, however late its claim arrives (ruling 19). Safe to repeat.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { shortIdOf } from '../short-id.js';
import type { View } from '../view.js';

export const voidAdmission = operation({
  name: 'voidAdmission',
  args: z.strictObject({ partition: field.partitionKey, admissionId: field.uuid }),
  outcome: z.discriminatedUnion('kind', [
    /** No claim used it or will use it. */
    z.object({ kind: z.literal('voided') }),
    /** An execution is owned by it. */
    z.object({ kind: z.literal('in_use'), executionId: field.executionId }),
    /** It was used and is in the outbox; its policies will be told. */
    z.object({ kind: z.literal('returned') }),
  ]),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['admissionId'] },
  memory: 'frees',
  decide(view, { partition, admissionId }, { now }) {
    const id = shortIdOf(admissionId);
    const admission = view.metering.admission(id);
    if (admission?.admissionState === 'void') return accept({ kind: 'voided' });
    if (admission?.admissionState === 'returned') return accept({ kind: 'returned' });
    const executionId = admission?.owner === undefined ? undefined : `${partition}:${admission.owner}`;
    if (executionId !== undefined && isOwnedBy(view, executionId, admissionId)) {
      return accept({ kind: 'in_use', executionId });
    }
    // The admission of a lost execution holds no slot any more.
    return accept({ kind: 'voided' }, { type: 'admission_voided', admissionId: id, at: now });
  },
});

function isOwnedBy(view: View, executionId: string, leaseId: string): boolean {
  const execution = view.executions.get(executionId);
  return execution?.situation === 'running' && execution.currentLeaseId === leaseId;
}
