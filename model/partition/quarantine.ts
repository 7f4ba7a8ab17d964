/**
 * Quarantine: records that cannot be read are set aside, so that they do not block others (rulings 35 and 40). Only a
 * server can have such records; the model and the memory backend answer that there are none.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, query } from '../operation.js';
import { withWireForm } from '../core/wire-form.js';
import { executionIdIn, memberOf } from '../ids.js';
import { PUBLIC_STATES } from '../execution/situation.js';

/** A quarantined entity. */
export interface Quarantined {
  /** `<kind>:<id>`, as `applyDue` names it. */
  readonly name: string;
  /** When it was last set aside, ms since the epoch. */
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
  /**
   * A few entries from a cursor on, in any order. An entry added meanwhile may appear twice, and each may after a
   * failover, because the list then begins anew.
   */
  list(cursor: string | undefined, limit: number): QuarantinedPage;
}

/** The definition: the model holds no unreadable record. */
export const quarantineByDefinition = (): QuarantineView => ({
  list: () => ({ entries: [], nextCursor: undefined }),
});

const MAX_NAME_BYTES = 512;
/** A page is a step of a scan of the server: when its process began to scan, and a cursor of 64 bits. */
const SCAN_CURSOR = /^\d{1,16}\.(\d{1,20})$/;
const MAX_SCAN_CURSOR = 2n ** 64n - 1n;

function isScanCursor(text: string): boolean {
  const [, at] = SCAN_CURSOR.exec(text) ?? [];
  return at !== undefined && BigInt(at) <= MAX_SCAN_CURSOR;
}
const EXECUTION = 'execution:';

/** The name of an entity. Ids of executions are in their short form. */
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

/** The name of an execution as an entity. */
export const nameOfExecution = (executionId: string): string => EXECUTION + executionId;

/** The execution that a name is of; undefined for another entity. */
export const executionNamed = (name: string): string | undefined =>
  name.startsWith(EXECUTION) ? name.slice(EXECUTION.length) : undefined;

/** The name of an entity as callers see it. */
export function entityNameIn(partition: string, member: string): string {
  return member.startsWith(EXECUTION) ? EXECUTION + executionIdIn(partition, member.slice(EXECUTION.length)) : member;
}

/** The name of an entity inside its partition. */
function memberNameOf(name: string): string {
  return name.startsWith(EXECUTION) ? EXECUTION + memberOf(name.slice(EXECUTION.length)) : name;
}

const args = z.strictObject({
  partition: field.anyPartitionKey,
  name: entityName,
});

const notQuarantined = z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_quarantined']) });

export const listQuarantined = query({
  name: 'listQuarantined',
  family: 'any',
  args: z.strictObject({
    partition: field.anyPartitionKey,
    cursor: z.string().refine(isScanCursor, { error: 'must be a cursor that a page answered' }).optional(),
    limit: field.pageSize,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<QuarantinedPage>({ entries: [], nextCursor: undefined });
    return accept<QuarantinedPage>(view.quarantine.list(cursor, limit));
  },
});

/** retryQuarantined: the record was repaired; if it can be read, it returns to its queues, timers and lists. */
export const retryQuarantined = operation({
  name: 'retryQuarantined',
  family: 'any',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('retried'), publicState: z.enum(PUBLIC_STATES).optional() }),
    /** It stays in quarantine. */
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
 * dropQuarantined: gives up a quarantined entity: its record, its places in lists and timers, and the members of a
 * flow, a bounded number per call. Members that wait for a dropped execution are told that it failed. While their flow
 * cannot be read they cannot be told: the call fails with `corruption` and changes nothing, and the flow must be
 * repaired or dropped first. Records that depend on the entity, such as open reservations of a budget, are quarantined
 * themselves. While the answer is `dropped_in_part`, some waiting members have been told already, which is final: call
 * again until the answer is `dropped`, and meanwhile retry neither this entry nor a member that waits for it. A retried
 * execution would run for the untold members only, and a retried member would still wait for it.
 */
export const dropQuarantined = operation({
  name: 'dropQuarantined',
  family: 'any',
  args: args.extend({
    /** The reason, for the log. */
    reason: field.reason.default(''),
    /** The requester, for the log. */
    requestedBy: field.requester,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('dropped') }),
    /** A flow with many members, or an execution that many wait for: this many remain. Call again. */
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
