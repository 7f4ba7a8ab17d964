/** Invariants of suspensions, waitpoints and signals. Source: spec 06, the section named Invariants. */
import { ownMember } from '../core/own-member.js';
import { present } from '../core/present.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { foldSignals } from './condition.js';
import type { ExecutionInvariant } from '../specification/invariant.js';
import { isAcquisition } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { LIMITS } from '../limits.js';
import { MATCHING, signalKeyOf, TIMEOUT_SIGNAL, type Signal, type Suspension } from './facts.js';

const suspensionOf = ({ waiting }: ReadonlyExecution): Suspension | undefined => waiting?.suspension;
const isOpen = (it: ReadonlyExecution): boolean => {
  const suspension = suspensionOf(it);
  return suspension !== undefined && suspension.closing === undefined;
};

const isOfTime = ({ signalName }: Signal): boolean => signalName === TIMEOUT_SIGNAL;

/** Signals that were evaluated for the last suspension, in the order of their acceptance. */
function signalsOf({ waiting }: ReadonlyExecution): [string, Signal][] {
  const ids = new Set(waiting?.suspension?.waitpointIds);
  return Object.entries(waiting?.signals ?? {}).filter(
    ([, signal]) =>
      ids.has(signal.waitpointId) && !isOfTime(signal) && signal.effect !== 'buffered_for_pending_waitpoint',
  );
}

/** Whether signals satisfy a condition, by definition: node by node from the root down, each over all signals. */
function isSatisfiedBy(it: ReadonlyExecution, signals: readonly [string, Signal][]): boolean {
  const { waiting } = it;
  const nodes = (suspensionOf(it)?.condition ?? '').split('\n').map((line) => line.split('\t'));
  const keyOf = ({ waitpointId }: Signal): string => waiting?.waitpoints[waitpointId]?.waitpointKey ?? '';
  const distinct: Readonly<Record<string, (id: string, signal: Signal) => string>> = {
    s: () => 'one',
    w: (_, { waitpointId }) => waitpointId,
    g: (id) => id,
    r: (_, { sourceType, sourceIdentity }) => JSON.stringify([sourceType, sourceIdentity]),
  };
  const holds = (place: number): boolean => {
    const [type = '', , n, name, ...keys] = present(nodes[place - 1]);
    if (type === 'a') return nodes.every(([, parent], i) => Number(parent) !== place || holds(i + 1));
    const satisfier = distinct[type];
    if (satisfier === undefined) return false;
    const taken = signals.filter(
      ([, signal]) => keys.includes(keyOf(signal)) && (name === '' || name === signal.signalName),
    );
    return new Set(taken.map(([id, signal]) => satisfier(id, signal))).size >= Number(n);
  };
  return holds(1);
}

/** Whether the ends that it waits for have not all come, and can still come. */
function isShortOfChildren(it: ReadonlyExecution): boolean {
  const { awaitedChildren = 0 } = suspensionOf(it) ?? {};
  return it.endedChildren < awaitedChildren && awaitedChildren <= it.endedChildren + it.openChildren;
}

export const suspensionInvariants: readonly ExecutionInvariant[] = [
  {
    name: 'an execution is suspended if and only if it has an open suspension',
    holds: (it) => (it.situation === 'suspended') === isOpen(it),
  },
  {
    name: 'a waitpoint is active if and only if it is of the open suspension',
    holds(it) {
      const open = isOpen(it) ? (suspensionOf(it)?.waitpointIds ?? []) : [];
      const active = Object.entries(it.waiting?.waitpoints ?? {}).flatMap(([id, { waitpointState }]) =>
        waitpointState === 'active' ? [id] : [],
      );
      return active.length === open.length && open.every((id) => active.includes(id));
    },
  },
  {
    name: 'a closed or expired waitpoint has the time and the reason',
    holds: (it) =>
      Object.values(it.waiting?.waitpoints ?? {}).every(
        ({ waitpointState, closedAt, closeReason }) =>
          (waitpointState === 'closed' || waitpointState === 'expired') === (closedAt !== undefined) &&
          (closedAt !== undefined) === (closeReason !== undefined),
      ),
  },
  {
    name: 'a waitpoint is pending if and only if it waits for a suspension to use it, until a time',
    holds({ waiting, pendingExpiresAt }) {
      const pending = Object.entries(waiting?.waitpoints ?? {}).filter(([, it]) => it.waitpointState === 'pending');
      const times = pending.map(([, { expiresAt }]) => expiresAt ?? Number.NaN);
      const ids = waiting?.pendingIds ?? [];
      return (
        ids.length === pending.length &&
        pending.every(([id]) => ids.includes(id)) &&
        pendingExpiresAt === (times.length === 0 ? undefined : Math.min(...times))
      );
    },
  },
  {
    name: 'a waitpoint is activated only if it was created before its suspension',
    holds: (it) =>
      Object.values(it.waiting?.waitpoints ?? {}).every(({ waitpointState, expiresAt, activatedAt }) =>
        waitpointState === 'active'
          ? (expiresAt !== undefined) === (activatedAt !== undefined)
          : activatedAt === undefined || (waitpointState === 'closed' && expiresAt !== undefined),
      ),
  },
  {
    name: 'waitpoints are counted, and stay within their limits',
    holds: ({ waiting }) =>
      waiting === undefined ||
      (waiting.waitpointCount === Object.keys(waiting.waitpoints).length &&
        waiting.waitpointCount <= LIMITS.maxWaitpointsOfExecution &&
        waiting.pendingIds.length <= LIMITS.maxPendingWaitpoints),
  },
  {
    name: 'signals of a pending waitpoint are buffered',
    holds: (it) =>
      Object.values(it.waiting?.signals ?? {}).every(
        ({ waitpointId, effect }) =>
          it.waiting?.waitpoints[waitpointId]?.waitpointState !== 'pending' ||
          effect === 'buffered_for_pending_waitpoint',
      ),
  },
  {
    name: 'every signal has a number of its own',
    holds({ waiting }) {
      const places = Object.values(waiting?.signals ?? {}).map(({ place }) => place);
      return places.sort((a, b) => a - b).every((place, i) => place === i + 1);
    },
  },
  {
    name: 'signals and ends of children are in one order',
    holds({ waiting, endedChildren }) {
      const inOrder = Object.values(waiting?.signals ?? {}).sort((a, b) => a.place - b.place);
      const ends = [...inOrder.map((signal) => signal.endedChildren), endedChildren];
      return ends.every((count, i) => i === 0 || count >= present(ends[i - 1]));
    },
  },
  {
    name: 'a suspension times out at the time that its worker set, or never',
    holds: (it) => it.situation !== 'suspended' || it.dueAt === suspensionOf(it)?.timeoutAt,
  },
  {
    name: 'a suspended execution has the reason of its suspension',
    holds: (it) => it.situation !== 'suspended' || it.suspendReason === suspensionOf(it)?.reasonCode,
  },
  {
    name: 'a suspension that also awaits children stays open only while too few of them have ended',
    holds: (it) => !isOpen(it) || (suspensionOf(it)?.awaitedChildren ?? 0) === 0 || isShortOfChildren(it),
  },
  {
    name: 'a condition is satisfied by its meaning if and only if a signal closed its suspension',
    holds(it) {
      const suspension = suspensionOf(it);
      if (suspension === undefined) return true;
      return isSatisfiedBy(it, signalsOf(it)) === (suspension.closing?.resumeTrigger === 'signal');
    },
  },
  {
    name: 'the closer is the last of the satisfiers: without it the condition is not satisfied',
    holds(it) {
      const suspension = suspensionOf(it);
      if (suspension?.closing?.resumeTrigger !== 'signal') return true;
      const { closerSignalId } = suspension.closing;
      return (
        suspension.satisfierSignalIds.at(-1) === closerSignalId &&
        !isSatisfiedBy(
          it,
          signalsOf(it).filter(([id]) => id !== closerSignalId),
        )
      );
    },
  },
  {
    name: 'the stored progress of a condition equals an evaluation of all its signals, and is gone once the suspension is closed',
    holds(it) {
      const suspension = suspensionOf(it);
      if (suspension === undefined) return true;
      if (suspension.closing !== undefined) return suspension.progress.length === 0;
      const evidence = signalsOf(it)
        .sort(([, { place: a }], [, { place: b }]) => a - b)
        .map(([signalId, signal]) => ({
          signalId,
          waitpointKey: it.waiting?.waitpoints[signal.waitpointId]?.waitpointKey ?? '',
          ...signal,
        }));
      const { effects, progress } = foldSignals(suspension.condition, evidence);
      return (
        progress.join('\n') === suspension.progress.join('\n') &&
        effects.every(([id, effect]) => it.waiting?.signals[id]?.effect === effect)
      );
    },
  },
  {
    name: 'a signal is for a waitpoint of its execution, or for none',
    holds: ({ waiting }) =>
      Object.values(waiting?.signals ?? {}).every(
        ({ waitpointId }) => waitpointId === '' || waiting?.waitpoints[waitpointId] !== undefined,
      ),
  },
  {
    name: 'the number of accepted signals is within the policy',
    holds({ waiting, policy }) {
      const sent = Object.values(waiting?.signals ?? {}).filter((signal) => !isOfTime(signal));
      return sent.length <= (policy?.maxSignalsPerExecution ?? LIMITS.maxSignals);
    },
  },
  {
    name: 'satisfiers are signals of the suspension, each once, in the order of their acceptance',
    holds(it) {
      const suspension = suspensionOf(it);
      const ids = suspension?.satisfierSignalIds ?? [];
      const places = ids.map((id) => it.waiting?.signals[id]?.place ?? Number.NaN);
      const accepted = new Set(suspension?.waitpointIds);
      return (
        places.every((place, i) => i === 0 || place > present(places[i - 1])) &&
        ids.every((id) => accepted.has(it.waiting?.signals[id]?.waitpointId ?? ''))
      );
    },
  },
  {
    name: 'signals are counted, by execution and by waitpoint',
    holds({ waiting }) {
      if (waiting === undefined) return true;
      const signals = Object.values(waiting.signals);
      return (
        waiting.signalCount === signals.length &&
        Object.entries(waiting.waitpoints).every(([id, { signalCount, matchedSignalCount }]) => {
          const own = signals.filter(({ waitpointId }) => waitpointId === id);
          const matched = own.filter(({ effect }) => MATCHING.has(effect));
          return signalCount === own.length && matchedSignalCount === matched.length;
        })
      );
    },
  },
  {
    name: 'signals without a listener are kept, and counted',
    holds: ({ waiting, keptSignalCount }) =>
      keptSignalCount === Object.values(waiting?.signals ?? {}).filter(({ waitpointId }) => waitpointId === '').length,
  },
  {
    name: "a sender's key names the last signal that came with it",
    holds({ waiting }) {
      const last = new Map<string, string>();
      for (const [id, { waitpointId, signalKey }] of Object.entries(waiting?.signals ?? {}))
        if (signalKey !== '') last.set(signalKeyOf(waitpointId, signalKey), id);
      const keys = Object.entries(waiting?.signalKeys ?? {});
      return keys.length === last.size && keys.every(([key, id]) => last.get(key) === id);
    },
  },
  {
    name: 'an execution that has ended has no suspension and no open waitpoint',
    holds: (it) => !isTerminal(it.situation) || (!isOpen(it) && it.pendingExpiresAt === undefined),
  },
];

export const suspensionRules: readonly LogRule[] = [
  {
    name: 'a suspended execution is not claimed',
    holds: ({ event, past }) => !isAcquisition(event) || past?.suspension === undefined,
  },
  {
    name: 'only an open suspension is closed, escalated, or signalled; other signals are kept',
    holds({ event, past }) {
      if (event.type === 'suspension_closed' || event.type === 'suspension_escalated')
        return past?.suspension !== undefined;
      if (event.type !== 'signal_accepted' || event.effect === 'buffered_for_pending_waitpoint') return true;
      if (event.effect === 'kept_for_a_wait') return event.waitpointId === '';
      return past?.suspension !== undefined;
    },
  },
  {
    name: 'a signal closes one suspension at most, and one that its waitpoint is of',
    holds({ event, past, before }) {
      if (event.type !== 'suspension_closed' || event.closerSignalId === '') return true;
      const { waiting } = before.tables.execution.get(event.executionId) ?? {};
      const waitpointId = waiting?.signals[event.closerSignalId]?.waitpointId ?? '';
      return (
        past?.closers.has(event.closerSignalId) === false &&
        waiting?.suspension?.waitpointIds.includes(waitpointId) === true
      );
    },
  },
  {
    name: "a sender's key is one signal as long as it is known",
    ofTime: true,
    holds({ event, before }) {
      if (event.type !== 'signal_accepted' || event.signalKey === '') return true;
      const { waiting } = before.tables.execution.get(event.executionId) ?? {};
      const known = waiting?.signals[waiting.signalKeys[signalKeyOf(event.waitpointId, event.signalKey)] ?? ''];
      return (known?.signalKeyExpiresAt ?? 0) <= event.at;
    },
  },
  {
    name: 'the name of a suspension is one suspension as long as it is known',
    ofTime: true,
    holds({ event, before }) {
      if (event.type !== 'execution_suspended' && event.type !== 'suspension_skipped') return true;
      const { waiting } = before.tables.execution.get(event.executionId) ?? {};
      const known = ownMember(waiting?.suspendKeys, event.suspendKey);
      return (known?.keyExpiresAt ?? 0) <= event.at;
    },
  },
  {
    name: 'only the owner creates and closes pending waitpoints, and only its suspension is skipped',
    holds: ({ event, past }) =>
      (event.type !== 'pending_waitpoint_created' &&
        event.type !== 'pending_waitpoint_closed' &&
        event.type !== 'suspension_skipped') ||
      past?.ownership === 'held',
  },
  {
    name: 'a suspension times out when it is due',
    holds({ event, past }) {
      const isTimeout =
        event.type === 'suspension_escalated' ||
        (event.type === 'suspension_closed' && event.closeReason.startsWith('timed_out_'));
      return !isTimeout || event.at >= (past?.suspension?.dueAt ?? Infinity);
    },
  },
];
