/** Finds the answer of a pass over due work in the entries of the log. */
import type { EventType, LoggedEvent } from '../../model/events.js';
import type { OutcomeOf } from '../../model/machine.js';

type Applied = Extract<OutcomeOf<'applyDue'>, { kind: 'applied' }>;

/** The part of a pass's outcome that follows from its events. */
export type PassSummary = Pick<
  Applied,
  'promoted' | 'leasesExpired' | 'grantsLapsed' | 'purged' | 'attemptsTimedOut' | 'expired' | 'suspensionsTimedOut'
>;

/** The answer of a pass that made these entries. */
export function summaryOfRun(run: readonly LoggedEvent[]): PassSummary {
  const events = run.map(({ event }) => event);
  const count = (type: EventType): number => events.filter((event) => event.type === type).length;
  return {
    promoted: count('execution_promoted'),
    leasesExpired: count('lease_expired'),
    grantsLapsed: count('grant_lapsed'),
    purged: count('execution_purged'),
    attemptsTimedOut: events.flatMap((event) => (event.type === 'retry_scheduled' ? [event.executionId] : [])),
    expired: events.flatMap((event) =>
      event.type === 'execution_expired' && event.expireReason !== 'suspension_timeout:expire'
        ? [{ executionId: event.executionId, expireReason: event.expireReason }]
        : [],
    ),
    suspensionsTimedOut: events.flatMap((event) => {
      const goesOn = event.type === 'suspension_closed' && event.closeReason === 'timed_out_auto_resume';
      return goesOn ? [{ executionId: event.executionId, behaviorApplied: 'auto_resume' as const }] : [];
    }),
  };
}

/** The counts in the answer of a pass. */
export function summaryOfAnswer(applied: Applied): PassSummary {
  const { promoted, leasesExpired, grantsLapsed, purged, attemptsTimedOut, expired, suspensionsTimedOut } = applied;
  return { promoted, leasesExpired, grantsLapsed, purged, attemptsTimedOut, expired, suspensionsTimedOut };
}

/** Number of entries of a pass, from its answer. */
export function entriesOf(pass: PassSummary): number {
  const { promoted, leasesExpired, grantsLapsed, purged, attemptsTimedOut, expired, suspensionsTimedOut } = pass;
  const lists = [attemptsTimedOut, expired, suspensionsTimedOut];
  return promoted + leasesExpired + grantsLapsed + purged + lists.reduce((sum, { length }) => sum + length, 0);
}
