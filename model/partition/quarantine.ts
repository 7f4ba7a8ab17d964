/**
 * Quarantine: what could not be read is set aside, so that it keeps nothing else waiting (rulings 35 and 40). Only the
 * server can hold such records: in the model, and in memory, nothing is ever set aside, and that is what these answer.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, query } from '../core/operation.js';
import { withWireForm } from '../core/wire-form.js';
import { executionIdIn, memberOf } from '../ids.js';
import { PUBLIC_STATES } from '../execution/situation.js';

/** An entity that was set aside. */
export interface Quarantined {
  /** `<kind>:<id>`, as `applyDue` names it. */
  readonly name: string;
  /** When it was set aside last, ms since the epoch. */
  readonly at: number;
  /** What is wrong with it. */
  readonly reason: string;
}

export interface QuarantinedPage {
  readonly entries: readonly Quarantined[];
  /** Present when more may follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

export interface QuarantineView {
  /** At least a few entries, from a cursor on; the order is free, and one that came meanwhile may be told twice. */
  list(cursor: string | undefined, limit: number): QuarantinedPage;
}

/** The view by definition: whatever the model holds can be read. */
export const quarantineByDefinition = (): QuarantineView => ({
  list: () => ({ entries: [], nextCursor: undefined }),
});

const MAX_NAME_BYTES = 512;
const EXECUTION = 'execution:';

/** The name of an entity. The id of an execution travels in its short form. */
const entityName = withWireForm(
  z.string().refine((name) => name.length <= MAX_NAME_BYTES && isEntityName(name), {
    error: 'must be the name of an entity, like "execution:{fp:0}:<uuid>"',
  }),
  { encode: (name) => [memberNameOf(name as string)] },
);

function isEntityName(name: string): boolean {
  if (!name.startsWith(EXECUTION)) return /^[a-z_]+:[\x20-\x7e]+$/.test(name);
  return field.executionId.safeParse(name.slice(EXECUTION.length)).success;
}

/** The name that an entity of a partition has outside of it. */
export function entityNameIn(partition: string, member: string): string {
  return member.startsWith(EXECUTION) ? EXECUTION + executionIdIn(partition, member.slice(EXECUTION.length)) : member;
}

/** The name of an entity inside its partition. */
function memberNameOf(name: string): string {
  return name.startsWith(EXECUTION) ? EXECUTION + memberOf(name.slice(EXECUTION.length)) : name;
}

const args = z.object({
  partition: field.anyPartitionKey,
  name: entityName,
});

const notQuarantined = z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_quarantined']) });

export const listQuarantined = query({
  name: 'listQuarantined',
  family: 'any',
  args: z.object({
    partition: field.anyPartitionKey,
    cursor: z
      .string()
      .refine((text) => /^\d{1,20}$/.test(text), { error: 'must be a cursor that a page answered' })
      .optional(),
    limit: field.pageSize,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { cursor, limit }) {
    return accept<QuarantinedPage>(view.quarantine.list(cursor, limit));
  },
});

/** retryQuarantined: the record was mended; what can be read now takes its places in queues, timers and lists again. */
export const retryQuarantined = operation({
  name: 'retryQuarantined',
  family: 'any',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('retried'), publicState: z.enum(PUBLIC_STATES).optional() }),
    /** It stays where it is. */
    z.object({ kind: z.literal('still_damaged'), damage: z.string() }),
    notQuarantined,
  ]),
  rejects: [],
  partition: ({ partition }) => partition,
  wire: { shared: [], each: ['name'] },
  memory: 'frees',
  ofDamage: ['retried', 'still_damaged'],
  decide: () => accept({ kind: 'already_satisfied', reason: 'not_quarantined' }),
});

/**
 * dropQuarantined: what was set aside is given up, with all that is left of it: its record, its places in lists and timers,
 * and of a flow its members, a bounded number a call. Members of a flow that wait for an execution that is dropped are told
 * that it failed; while their flow cannot be read, nobody can tell them: the call fails with `corruption` and changes nothing,
 * and the flow is mended or dropped first. What is about it and cannot go on without it is set aside by itself, like the
 * open reservations of a budget.
 *
 * While the answer is `dropped_in_part`, some of those that wait have been told already, and stay told: call again until it is
 * `dropped`, and retry neither the entry nor what waits for it meanwhile. An execution that is retried then runs for those
 * alone that were not told; one that waits for it and is retried then still waits for it.
 */
export const dropQuarantined = operation({
  name: 'dropQuarantined',
  family: 'any',
  args: args.extend({
    /** Why, for the log. */
    reason: field.reason.default(''),
    /** Who asks for it. */
    requestedBy: field.requester,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('dropped') }),
    /** Of a flow with many members, or a member that many wait for: so many are left. Call it again. */
    z.object({ kind: z.literal('dropped_in_part'), left: field.count }),
    notQuarantined,
  ]),
  rejects: [],
  partition: ({ partition }) => partition,
  wire: { shared: [], each: ['name', 'reason', 'requestedBy'] },
  memory: 'frees',
  ofDamage: ['dropped', 'dropped_in_part'],
  decide: () => accept({ kind: 'already_satisfied', reason: 'not_quarantined' }),
});
