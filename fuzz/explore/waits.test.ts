import { expect, test } from 'vitest';
import type { AnyDecision } from '../../model/machine.js';
import { decide } from './node.js';
import { exploreWaits, type Decider } from './waits.js';

/** Number of moves after the first claim. */
const DEPTH = 4;

test('one waiting execution: in every order of events no signal is lost and everything ends', {
  timeout: 60_000,
}, () => {
  const { states, reached, broken } = exploreWaits(DEPTH);
  console.log(`${states} states`);
  expect(broken).toBeUndefined();
  for (const answer of [
    'closeWaitpoint closed',
    'closeWaitpoint waitpoint_not_pending',
    'createPendingWaitpoint waitpoint_already_exists',
    'deliverApprovalSignal accepted appended_to_waitpoint',
    'deliverApprovalSignal accepted appended_to_waitpoint_duplicate',
    'deliverApprovalSignal accepted resume_condition_satisfied',
    'deliverSignal accepted buffered_for_pending_waitpoint',
    'deliverSignal accepted resume_condition_satisfied',
    'deliverSignal duplicate',
    'deliverSignal pending_waitpoint_expired',
    'deliverSignal target_not_signalable',
    'deliverSignal token_expired',
    'deliverSignal waitpoint_closed',
    'expirePendingWaitpoint waitpoint_expired',
    'expireSuspension expired',
    'resumeExecution resumed',
    'rotateWaitpointHmacSecret rotated',
    'signalExecution accepted kept_for_a_wait',
    'signalExecution accepted resume_condition_satisfied',
    'signalExecution signal_limit_exceeded',
    'suspendExecution already_satisfied',
    'suspendExecution idempotency_conflict',
    'suspendExecution pending_waitpoint_expired',
    'suspendExecution signals_arrived',
    'suspendExecution stale_lease',
  ])
    expect(reached).toContain(answer);
});

const withoutClosing = (decision: AnyDecision): AnyDecision =>
  decision.ok ? { ...decision, events: decision.events.filter(({ type }) => type !== 'suspension_closed') } : decision;

test.each<[string, Decider, string, string[]]>([
  [
    'a suspension that does not ask what came meanwhile',
    (state, command) =>
      decide(
        state,
        command.name === 'suspendExecution'
          ? { ...command, args: { ...command.args, seenSignals: undefined } }
          : command,
      ),
    'no wake-up is lost',
    ['a caller sends a signal by name -> accepted', 'the owner suspends and has seen no signal -> suspended'],
  ],
  [
    'a signal that is enough and wakes nobody',
    (state, command) => {
      const decision = decide(state, command);
      return command.name === 'signalExecution' ? withoutClosing(decision) : decision;
    },
    'a condition is satisfied by its meaning if and only if a signal closed its suspension',
    ['the owner suspends for a while -> suspended', 'a caller sends a signal by name -> accepted'],
  ],
])('%s is found by a shortest path', { timeout: 60_000 }, (_, decider, name, path) => {
  const { broken } = exploreWaits(2, decider);
  expect(broken?.name).toBe(name);
  expect(broken?.path.slice(-2)).toEqual(path);
});
