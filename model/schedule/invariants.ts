/** What holds for waiting work: its order, and that nothing waits for ever. Source: spec 02, 04 and 05, the sections named Invariants. */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import {
  isBlocked,
  isClaimable,
  isGranted,
  isHeld,
  isQueued,
  isReclaimable,
  isTerminal,
} from '../execution/situation.js';
import { meterSetOf } from '../metering/meters.js';
import type { ExecutionInvariant, Invariant } from '../specification/invariant.js';
import { isAcquisition } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { covers, needsOf, queueScore } from './queue.js';
import { nextTimer } from './timers.js';

/** The order of service in words: lapsed work first, longest lapsed first; then higher priority; then older; then by id. */
function inServiceOrder(a: ReadonlyExecution, b: ReadonlyExecution): boolean {
  const [lapsedA, lapsedB] = [isReclaimable(a.situation), isReclaimable(b.situation)];
  if (lapsedA !== lapsedB) return lapsedA;
  const [firstA, firstB] = lapsedA ? [a.lastTransitionAt, b.lastTransitionAt] : [-a.priority, -b.priority];
  if (firstA !== firstB) return firstA < firstB;
  if (!lapsedA && a.createdAt !== b.createdAt) return a.createdAt < b.createdAt;
  return compareBytes(a.executionId, b.executionId) < 0;
}

const byScore = (a: ReadonlyExecution, b: ReadonlyExecution): number =>
  queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId);

/** The order of claims is checked up to this number of executions, because each claim checks all of them. */
const MAX_LOOKED_AT = 256;

export const scheduleInvariants: readonly (Invariant | ExecutionInvariant)[] = [
  {
    name: 'nothing is stuck: an execution that has not ended can be claimed, has a timer, waits for signals, or is held or blocked',
    holds: (it) =>
      isTerminal(it.situation) ||
      isQueued(it) ||
      nextTimer(it) !== undefined ||
      it.situation === 'suspended' ||
      isHeld(it) ||
      // `flow/invariants.ts` covers its dependencies.
      it.situation === 'blocked_dependencies' ||
      isBlocked(it.situation),
  },
  {
    name: 'a timer is armed for every time that matters',
    holds(it) {
      if (isTerminal(it.situation)) return nextTimer(it) === undefined;
      const times = [
        it.executionDeadlineAt,
        it.attemptTimeoutAt,
        it.pendingExpiresAt,
        isClaimable(it.situation) ? undefined : it.dueAt,
        it.grantExpiresAt === undefined ? undefined : it.grantExpiresAt + 1,
      ].filter((at) => at !== undefined);
      return nextTimer(it)?.at === (times.length === 0 ? undefined : Math.min(...times));
    },
  },
  { name: 'queue scores are exact', holds: (it) => !isQueued(it) || Number.isSafeInteger(queueScore(it)) },
  {
    name: 'the order of scores is the order of service',
    check({ state }) {
      const waiting = [...state.tables.execution.values()].filter(isQueued).sort(byScore);
      for (let i = 1; i < waiting.length; i++) {
        const [a, b] = [present(waiting[i - 1]), present(waiting[i])];
        if (!inServiceOrder(a, b)) return `${b.executionId} should be served before ${a.executionId}`;
      }
      return undefined;
    },
  },
];

export const scheduleRules: readonly LogRule[] = [
  {
    name: 'a claim takes the lowest score of the lane that its worker can serve',
    holds({ event, before }) {
      if (!isAcquisition(event) || before.tables.execution.size > MAX_LOOKED_AT) return true;
      const taken = before.tables.execution.get(event.executionId);
      // A granted execution is taken by id.
      if (taken === undefined || isGranted(taken)) return true;
      // The worker's terms are not logged, but they cover the kind and the capabilities of the work that it took.
      const offered = new Set(taken.requiredCapabilities);
      for (const other of before.tables.execution.values()) {
        if (
          other === taken ||
          other.laneId !== taken.laneId ||
          other.executionKind !== taken.executionKind ||
          meterSetOf(other.meters) !== meterSetOf(taken.meters) ||
          !isQueued(other) ||
          byScore(other, taken) > 0
        )
          continue;
        if (covers(offered, needsOf(other))) return false;
      }
      return true;
    },
  },
  {
    name: 'a draining lane takes no new executions',
    holds: ({ event, before }) =>
      event.type !== 'execution_created' || before.tables.lane.get(event.laneId)?.laneState !== 'draining',
  },
  {
    name: 'only work that stands in its queue, or that is granted, is claimed',
    holds({ event, before }) {
      const taken = isAcquisition(event) ? before.tables.execution.get(event.executionId) : undefined;
      return taken === undefined || isQueued(taken) || isGranted(taken);
    },
  },
];
