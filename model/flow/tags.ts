/** setFlowTags, getFlowTag: labels of a flow, which are part of it. Allowed in every state. Spec 08 section 12. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, query, reject } from '../operation.js';
import { mergedTags } from '../execution/tags.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';

export const setFlowTags = operation({
  name: 'setFlowTags',
  args: z.strictObject({ flowId: field.flowId, tags: field.someTags }),
  outcome: z.object({
    kind: z.literal('ok'),
    /** Number of tags in the call. */
    count: field.count,
  }),
  rejects: ['flow_not_found', 'too_many_tags'],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId', 'tags'] },
  memory: 'adds',
  decide(view, { flowId, tags }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    const total = Object.keys(mergedTags(known.tags, tags)).length;
    if (total > LIMITS.maxTags) return reject('too_many_tags', { maxTags: String(LIMITS.maxTags) });
    const outcome = { kind: 'ok', count: Object.keys(tags).length } as const;
    const isKnown = Object.entries(tags).every(([key, value]) => known.tags[key] === value);
    return isKnown ? accept(outcome) : accept(outcome, { type: 'flow_tags_set', flow, at: now, tags });
  },
});

export const getFlowTag = query({
  name: 'getFlowTag',
  args: z.strictObject({ flowId: field.flowId, key: field.tagKey }),
  rejects: [],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  /** Undefined when the flow does not exist or has no such tag. */
  read: (view, { flowId, key }) => accept<string | undefined>(view.flows.get(uuidOfExecution(flowId))?.tags[key]),
});
