/** Reads of signing keys, and of a waitpoint's token. They never return a secret. Spec 06 sections 13 and 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import type { SigningKey } from './entity.js';
import { currentTokenOf, type WaitpointToken } from './token.js';

/** A key as operators see it. Times are ms since the epoch. */
export interface KidSummary {
  readonly kid: string;
  /** Fingerprint of the secret. */
  readonly fingerprint: string;
  readonly installedAt: number;
}

/** The keys of a partition whose tokens verify now. */
export interface WaitpointHmacKids {
  /** The key that signs new tokens; absent while there is none. */
  readonly currentKid: string | undefined;
  readonly current: KidSummary | undefined;
  /** Earlier keys, by the end of their grace period, then by id. */
  readonly verifying: readonly (KidSummary & { readonly expiresAt: number })[];
}

export const listWaitpointHmacKids = query({
  name: 'listWaitpointHmacKids',
  args: z.strictObject({ partition: field.partitionKey }),
  rejects: [],
  partition: (args) => args.partition,
  read(view, _, { now }) {
    const keys = view.signing.all();
    const current = keys.find(({ expiresAt }) => expiresAt === undefined);
    return accept<WaitpointHmacKids>({
      currentKid: current?.kid,
      current: current && summaryOf(current),
      verifying: keys
        .flatMap((key) => (key.expiresAt === undefined ? [] : [{ ...summaryOf(key), expiresAt: key.expiresAt }]))
        .filter(({ expiresAt }) => expiresAt >= now)
        .sort((a, b) => a.expiresAt - b.expiresAt),
    });
  },
});

const summaryOf = ({ kid, fingerprint, installedAt }: SigningKey): KidSummary => ({ kid, fingerprint, installedAt });

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
