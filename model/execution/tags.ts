/**
 * setExecutionTags, getExecutionTags: labels that users put on an execution. Tags are merged: given ones replace those
 * with the same key, the others stay. Possible in every situation. Spec 04 section 4.12, spec 01 section 10.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, query, reject } from '../operation.js';
import { present } from '../core/present.js';
import { compareBytes, partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { namesOf } from './facts.js';

type Tags = Readonly<Record<string, string>>;

/** Tags merged with newer ones, in key order. */
export function mergedTags(known: Tags, given: Tags): Tags {
  const merged = { ...known, ...given };
  return Object.fromEntries(
    Object.keys(merged)
      .sort(compareBytes)
      .map((key) => [key, present(merged[key])]),
  );
}

export const setExecutionTags = operation({
  name: 'setExecutionTags',
  args: z.strictObject({ executionId: field.executionId, tags: field.someTags }),
  outcome: z.object({
    kind: z.literal('ok'),
    /** Number of tags in the call. */
    count: field.count,
  }),
  rejects: ['execution_not_found', 'too_many_tags'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'tags'] },
  memory: 'adds',
  decide(view, { executionId, tags }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const merged = mergedTags(execution.tags, tags);
    const total = Object.keys(merged).length;
    if (total > LIMITS.maxTags) return reject('too_many_tags', { maxTags: String(LIMITS.maxTags) });
    const outcome = { kind: 'ok', count: Object.keys(tags).length } as const;
    const isKnown = Object.entries(tags).every(([key, value]) => execution.tags[key] === value);
    return isKnown
      ? accept(outcome)
      : accept(outcome, { type: 'tags_set', executionId, at: now, tags, ...namesOf(execution) });
  },
});

export const getExecutionTags = query({
  name: 'getExecutionTags',
  args: z.strictObject({ executionId: field.executionId }),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  /** In key order; undefined when there is no such execution. */
  read(view, { executionId }) {
    return accept<Tags | undefined>(view.executions.get(executionId)?.tags);
  },
});
