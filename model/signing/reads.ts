/** Reads of signing keys, and of a waitpoint's token. They never return a secret. Spec 06 sections 13 and 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import { currentTokenOf, type WaitpointToken } from './token.js';

/** A key as operators see it. */
export interface KidSummary {
  readonly kid: string;
  /** Fingerprint of the secret. */
  readonly fingerprint: string;
  readonly current: boolean;
  readonly installedAt: number;
  /** Until when its tokens verify, ms since the epoch; absent while it is current. */
  readonly expiresAt: number | undefined;
}

export const listWaitpointHmacKids = query({
  name: 'listWaitpointHmacKids',
  args: z.strictObject({ partition: field.partitionKey }),
  rejects: [],
  partition: (args) => args.partition,
  /** Keys whose tokens verify now: the current one, then by the end of their grace period, then by id. */
  read(view, _, { now }) {
    return accept<readonly KidSummary[]>(
      view.signing
        .all()
        .filter(({ expiresAt }) => expiresAt === undefined || expiresAt >= now)
        .sort((a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0))
        .map(({ kid, fingerprint, installedAt, expiresAt }) => ({
          kid,
          fingerprint,
          current: expiresAt === undefined,
          installedAt,
          expiresAt,
        })),
    );
  },
});

export const readWaitpointToken = query({
  name: 'readWaitpointToken',
  args: z.strictObject({ executionId: field.executionId, waitpointId: field.plainUuid }),
  rejects: ['hmac_secret_not_initialized'],
  partition: (args) => partitionOfExecution(args.executionId),
  /** The token of an open waitpoint under the current key; undefined when there is no open waitpoint of this id. */
  read(view, { executionId, waitpointId }) {
    const waitpoint = view.executions.get(executionId)?.waiting?.waitpoints[waitpointId];
    if (waitpoint === undefined || waitpoint.closedAt !== undefined)
      return accept<WaitpointToken | undefined>(undefined);
    const token = currentTokenOf(view, { waitpointId, ...waitpoint });
    return token === undefined ? reject('hmac_secret_not_initialized') : accept<WaitpointToken | undefined>(token);
  },
});
