/** The moves of the small world of waits: those of an owner, senders, operators and the engine. */
import type { FullFence } from '../../model/lease/fence.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import { digestOf, messageOf } from '../../model/signing/token.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import { idOf, PARTITION, SECRETS } from './node.js';
import { claimOf, WAITER, waiterOf, type WaitState } from './wait-state.js';

/** A move in words, and its command. */
export type WaitMove = readonly [words: string, command: Command];

/** The waitpoint created before its suspension, and its key, which others share. */
const EARLY = idOf(600);
const KEY = 'go';
/** Lifetimes of a pending waitpoint, a suspension and an old key, ms. */
const PENDING_MS = 500;
const WAIT_MS = 400;
const GRACE_MS = 300;
/** Maximum number of suspensions and signals. */
const MAX_SUSPENSIONS = 2;
const MAX_SIGNALS = 4;

const any = { type: 'wildcard' } as const;
const on = (waitpointKey: string): ResumeCondition => ({ type: 'single', waitpointKey, matcher: any });

/** The moves of a state. */
export function waitMoves(state: WaitState): readonly WaitMove[] {
  return [...ownersMoves(state), ...sendersMoves(state), ...operatorsMoves(state)];
}

function ownersMoves(state: WaitState): readonly WaitMove[] {
  const [former, fence] = state.fences.slice(-2).length === 2 ? state.fences.slice(-2) : [undefined, state.fences[0]];
  const owner = { executionId: WAITER, fence };
  const made = { waitpointId: EARLY, waitpointKey: KEY, expiresInMs: PENDING_MS };
  return [
    ['the owner makes a waitpoint', { name: 'createPendingWaitpoint', args: { ...owner, ...made } }],
    ['the owner gives it up', { name: 'closeWaitpoint', args: { ...owner, waitpointId: EARLY } }],
    ['the owner completes', { name: 'completeExecution', args: owner }],
    ...suspensions(state, fence, 'the owner'),
    ...(former === undefined ? [] : suspensions(state, former, 'the owner before').slice(0, 1)),
    ...(state.asked === undefined ? [] : [['the same again', state.asked] as const]),
  ];
}

/** The ways to suspend: on one new waitpoint, on two, or on the pending one. */
function suspensions(state: WaitState, fence: FullFence | undefined, who: string): readonly WaitMove[] {
  const { waiting, keptSignalCount = 0 } = waiterOf(state) ?? {};
  const n = Object.keys(waiting?.waitpoints ?? {}).length;
  if (n > 2 * MAX_SUSPENSIONS) return [];
  const fresh = { waitpointId: idOf(400 + n), waitpointKey: KEY };
  const other = { waitpointId: idOf(500 + n), waitpointKey: 'other' };
  const timeoutAt = state.now + WAIT_MS;
  const by = (words: string, args: Partial<ArgsOf<'suspendExecution'>>): WaitMove => [
    `${who} suspends ${words}`,
    {
      name: 'suspendExecution',
      args: {
        ...{ executionId: WAITER, fence, suspensionId: idOf(300 + n), seenSignals: keptSignalCount },
        ...{ waitpoints: [fresh], resumeCondition: on(KEY), ...args },
      },
    },
  ];
  return [
    by('for a while', { timeoutAt, timeoutBehavior: 'auto_resume_with_timeout_signal' }),
    by('and has seen no signal', { seenSignals: 0 }),
    by('on two, with a name', {
      ...{ waitpoints: [fresh, other], resumeCondition: { type: 'all_of', members: [on(KEY), on('other')] } },
      ...{ idempotencyKey: 'name', timeoutAt, timeoutBehavior: 'escalate' },
    }),
    by('at the waitpoint', { waitpoints: [{ waitpointId: EARLY, usePending: true }], timeoutAt }),
  ];
}

function sendersMoves(state: WaitState): readonly WaitMove[] {
  const { waiting } = waiterOf(state) ?? {};
  const sent = Object.keys(waiting?.signals ?? {});
  const early = waiting?.waitpoints[EARLY];
  const moves: WaitMove[] = [];
  const ids = sent.length < MAX_SIGNALS ? [idOf(700 + sent.length), ...sent.slice(-1)] : sent.slice(-1);
  for (const signalId of ids) {
    const again = sent.includes(signalId) ? ' again' : '';
    const what = { executionId: WAITER, signalId, signalName: KEY };
    if (early !== undefined) {
      // Signed at the creation of the waitpoint, with the key of that time.
      const digest = digestOf(SECRETS.get('k1') as Uint8Array, messageOf({ waitpointId: EARLY, ...early }));
      const args = { ...what, waitpointId: EARLY, waitpointToken: `k1:${digest}`, idempotencyKey: 'key' };
      moves.push([`the holder of the token sends a signal${again}`, { name: 'deliverSignal', args }]);
    }
    moves.push([`a caller sends a signal by name${again}`, { name: 'signalExecution', args: what }]);
    for (const [i, waitpointId] of (waiting?.suspension?.waitpointIds ?? []).entries())
      moves.push([
        `a person approves at ${i + 1}${again}`,
        { name: 'deliverApprovalSignal', args: { ...what, waitpointId, idempotencySuffix: signalId } },
      ]);
  }
  return moves;
}

function operatorsMoves(state: WaitState): readonly WaitMove[] {
  const it = { executionId: WAITER };
  const rotated = { partition: PARTITION, newKid: 'k2', newSecret: SECRETS.get('k2') as Uint8Array, graceMs: GRACE_MS };
  return [
    ['an operator resumes it', { name: 'resumeExecution', args: it }],
    [
      'an operator cancels it',
      { name: 'cancelExecution', args: { ...it, reason: 'no more', source: 'operator_override' } },
    ],
    ['the suspension expires', { name: 'expireSuspension', args: it }],
    ['the waitpoint expires', { name: 'expirePendingWaitpoint', args: { ...it, waitpointId: EARLY } }],
    ['the engine applies', { name: 'applyDue', args: { partition: PARTITION } }],
    ['a worker claims', claimOf(state)],
    ['keys rotate', { name: 'rotateWaitpointHmacSecret', args: rotated }],
  ];
}
