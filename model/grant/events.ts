/** What can happen to a grant: a permission for one worker to take one execution (spec 05 section 8.1). */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION } from '../execution/facts.js';

export const grantEvents = {
  /** One worker may claim the execution until the grant lapses; all other claims pass over it. Its claim is logged like any claim. */
  grant_issued: event('grant_issued', 'M', EXECUTION, {
    grant: {
      grantExpiresAt: fact.number(),
      grantId: fact.id(),
      grantWorkerId: fact.text(),
      grantWorkerInstanceId: fact.text(),
      grantIsStrict: fact.flag(),
    },
    /** The scheduler's note for the log. */
    long: {
      capabilityHash: fact.optionalText(),
      routeSnapshotJson: fact.optionalText(),
      admissionSummary: fact.optionalText(),
    },
  }),
  /** The grant was not used in time; the execution returns to its queue. */
  grant_lapsed: event('grant_lapsed', 'N', EXECUTION, {}),
} as const;
