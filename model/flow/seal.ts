/**
 * sealFlow: ends the building of a flow: from now on its members wait only for their dependencies. It is refused when
 * the members were cancelled, as they are after the build deadline: otherwise the caller would take the flow for
 * running. closeFlow: the flow accepts no further members and edges, so a group that needs more edges than it has
 * becomes impossible. Each member is checked again; checks beyond the bound of the call are left to `applyDue`.
 * Ruling 29.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { evaluationOf } from './tasks.js';

const declared = {
  args: z.strictObject({ flowId: field.flowId }),
  partition: ({ flowId }: { flowId: string }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId'] },
  memory: 'frees',
} as const;

export const sealFlow = operation({
  ...declared,
  name: 'sealFlow',
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('sealed'), flowId: echoed(field.flowId) }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_sealed']) }),
  ]),
  rejects: ['flow_not_found', 'flow_already_terminal'],
  decide(view, { flowId }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    if (!known.isBuilding) return accept({ kind: 'already_satisfied', reason: 'already_sealed' });
    if (known.isPurging || (known.flowState === 'cancelled' && known.cancellationPolicy !== 'flow_only')) {
      return reject('flow_already_terminal');
    }
    return {
      ...accept({ kind: 'sealed', flowId }, { type: 'flow_sealed', flow, at: now }),
      aftermath: { flow, tasks: [evaluationOf(flowId)] },
    };
  },
});

export const closeFlow = operation({
  ...declared,
  name: 'closeFlow',
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('closed'), flowId: echoed(field.flowId) }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_closed']) }),
  ]),
  rejects: ['flow_not_found'],
  decide(view, { flowId }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    if (known.isClosed) return accept({ kind: 'already_satisfied', reason: 'already_closed' });
    return {
      ...accept({ kind: 'closed', flowId }, { type: 'flow_closed', flow, at: now }),
      aftermath: { flow, tasks: known.isBuilding ? [] : [evaluationOf(flowId)] },
    };
  },
});
