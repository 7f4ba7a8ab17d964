/**
 * "Sometimes" properties: what must be reachable, because otherwise the machine (or this explorer) does less than it
 * claims.
 */
import { variantsOf } from '../../model/core/kinds.js';
import { isOfExecution, type Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isTerminal, SITUATION_NAMES } from '../../model/execution/situation.js';
import {
  operationNamed,
  OPERATIONS,
  type AnyDecision,
  type OperationName,
  OPERATION_NAMES,
} from '../../model/machine.js';
import type { CommandMove } from './moves.js';
import type { Node } from './node.js';

/** One move: the state before it, the answer, and the state after it. */
export interface Transition {
  readonly from: Node;
  readonly move: CommandMove;
  readonly decision: AnyDecision;
  readonly to: Node;
}

const targetOf = ({ from, move: { command } }: Transition): ReadonlyExecution | undefined =>
  'executionId' in command.args && command.args.executionId !== undefined
    ? from.state.tables.execution.get(command.args.executionId)
    : undefined;

const eventsOf = ({ decision }: Transition): readonly Event[] => (decision.ok ? decision.events : []);

const happens = (step: Transition, ...types: Event['type'][]): boolean =>
  eventsOf(step).some(({ type }) => types.includes(type));

const refuses = ({ decision }: Transition, code: string): boolean => !decision.ok && decision.code === code;

const answersAgain = (step: Transition): boolean =>
  step.move.fenced && step.decision.ok && step.decision.events.length === 0;

/** Situations of interest to a person. */
const STORIES: Readonly<Record<string, (step: Transition) => boolean>> = {
  'an owner that paused too long is refused before anybody noticed': (step) =>
    step.move.proof === 'newest' && refuses(step, 'lease_expired') && targetOf(step)?.situation === 'running',
  'an owner is refused in the very millisecond in which its lease ends': (step) =>
    step.move.proof === 'newest' && refuses(step, 'lease_expired') && targetOf(step)?.dueAt === step.from.now,
  'an owner acts in the last millisecond of its lease': (step) =>
    step.move.proof === 'newest' && happens(step, 'execution_completed') && targetOf(step)?.dueAt === step.from.now + 1,
  'the owner before is refused while the next one works': (step) =>
    step.move.words.includes('the owner before') && refuses(step, 'stale_lease'),
  'lapsed work is reclaimed by the other worker': (step) =>
    eventsOf(step).some((event) => event.type === 'execution_claimed' && event.attemptType === 'reclaim') &&
    new Set(newHolders(step)).size === 2,
  'work that was handed back is resumed by the other worker': (step) =>
    happens(step, 'execution_resumed') && new Set(newHolders(step)).size === 2,
  'work that lapsed too often ends failed in the claim that finds it': (step) =>
    step.move.command.name === 'claimForWorker' && happens(step, 'execution_failed'),
  'a claim ends one execution at its cap and takes the next': (step) =>
    happens(step, 'execution_failed') && happens(step, 'execution_claimed'),
  'one claim takes two executions': (step) =>
    eventsOf(step).filter(({ type }) => type === 'execution_claimed').length === 2,
  'a claim passes over an older execution for a more urgent one': (step) =>
    eventsOf(step).some(
      (event) =>
        event.type === 'execution_claimed' &&
        [...step.from.state.tables.execution.values()].some(
          (it) =>
            it.situation === 'ready' &&
            it.createdAt <= (step.from.state.tables.execution.get(event.executionId)?.createdAt ?? 0) &&
            it.executionId < event.executionId,
        ),
    ),
  'a worker that paused gives up by cancelling, though its lease lapsed': (step) =>
    step.move.proof === 'newest' &&
    happens(step, 'execution_cancelled') &&
    (targetOf(step)?.dueAt ?? 0) <= step.from.now,
  'a final call that is repeated gets its first answer': (step) =>
    answersAgain(step) && step.move.command.name === 'completeExecution',
  'a failure that is repeated gets its first answer': (step) =>
    answersAgain(step) && step.move.command.name === 'failExecution' && targetOf(step)?.situation === 'retry_backoff',
  'a parking that is repeated gets its first answer': (step) =>
    answersAgain(step) && step.move.command.name === 'delayExecution',
  'a handing back that is repeated gets its first answer': (step) =>
    answersAgain(step) && step.move.command.name === 'releaseLease',
  'an attempt times out after its lease lapsed, and is retried': (step) =>
    happens(step, 'retry_scheduled') && targetOf(step)?.situation === 'lease_expired',
  'the last retry fails for good': (step) => happens(step, 'execution_failed') && (targetOf(step)?.retryCount ?? 0) > 0,
  'a deadline ends work that waits': (step) =>
    happens(step, 'execution_expired') && targetOf(step)?.situation === 'ready',
  'a resumed attempt has no time left': (step) =>
    eventsOf(step).some((event) => event.type === 'execution_resumed' && event.attemptTimeoutAt === step.from.now),
  'a claim passes over work of a kind that its worker cannot run': (step) =>
    eventsOf(step).some(
      (event) =>
        event.type === 'execution_claimed' &&
        executionsOf(step.from).some((it) => it.situation === 'ready' && it.executionId < event.executionId),
    ) &&
    step.move.command.name === 'claimForWorker' &&
    step.move.command.args.kinds?.length === 1,
  'work that was claimed ahead lapsed before it began': (step) =>
    eventsOf(step).some((event) => event.type === 'lease_expired' && isAhead(executionIn(step.from, event))),
  'the handler of work that was claimed ahead begins later than its claim': (step) =>
    eventsOf(step).some(
      (event) => event.type === 'attempt_begun' && event.at > (targetOf(step)?.lastTransitionAt ?? 0),
    ),
  'a beginning that is repeated gets its first answer': (step) =>
    answersAgain(step) &&
    step.move.command.name === 'beginAttempt' &&
    step.from.log.some(({ event }) => event.type === 'attempt_begun'),
  'work that was claimed ahead is handed back with all of its time': (step) =>
    happens(step, 'lease_released') && isAhead(targetOf(step)),
  'an attempt timed out before its owner reported, and nobody noticed': (step) =>
    step.move.proof === 'newest' && refuses(step, 'attempt_timed_out'),
  'the deadline passed before its owner reported, and nobody noticed': (step) =>
    step.move.proof === 'newest' && refuses(step, 'execution_deadline_passed'),
  'an owner hands back an attempt that timed out': (step) =>
    happens(step, 'lease_released') && (targetOf(step)?.attemptTimeoutAt ?? Infinity) <= step.from.now,
  'an owner gives up by cancelling after its attempt timed out': (step) =>
    step.move.proof === 'newest' &&
    happens(step, 'execution_cancelled') &&
    (targetOf(step)?.attemptTimeoutAt ?? Infinity) <= step.from.now,
  'an ended execution is kept for good': ({ decision }) =>
    decision.ok &&
    decision.outcome.kind === 'not_yet_due' &&
    'purgeAt' in decision.outcome &&
    decision.outcome.purgeAt === undefined,
  'one pass applies what is due for two executions': (step) =>
    step.move.command.name === 'applyDue' && eventsOf(step).length === 2,
  'a pass purges when nothing else is due': (step) =>
    step.move.command.name === 'applyDue' && happens(step, 'execution_purged'),
  'a loop goes on where another one was at it for too long': (step) => {
    const { applier, now } = step.from;
    const { name, args } = step.move.command;
    return name === 'applyDue' && applier !== undefined && applier.until <= now && applier.owner !== args.owner;
  },
  'a loop that is at it goes on': (step) =>
    step.move.command.name === 'applyDue' &&
    eventsOf(step).length > 0 &&
    step.from.applier?.owner === step.move.command.args.owner,
  'a key that lapsed makes a second execution': (step) =>
    happens(step, 'execution_created') && step.from.created === 1 && step.from.state.tables.idempotency_key.size === 1,
  'a grant lapses unused, and the work returns to its queue': (step) => happens(step, 'grant_lapsed'),
  'a grant is used in its last millisecond': (step) =>
    step.move.command.name === 'claimExecution' &&
    happens(step, 'execution_claimed') &&
    targetOf(step)?.grantExpiresAt === step.from.now,
  'a worker that waited too long for its grant is told so before anybody noticed': (step) =>
    refuses(step, 'claim_grant_expired') && (targetOf(step)?.grantExpiresAt ?? 0) < step.from.now,
  'a hold takes a grant away': (step) =>
    happens(step, 'execution_held') && targetOf(step)?.grantExpiresAt !== undefined,
  'a block takes a grant away': (step) =>
    happens(step, 'execution_blocked') && targetOf(step)?.grantExpiresAt !== undefined,
  'a scheduler notices a lapse and grants in one step': (step) =>
    happens(step, 'lease_expired', 'grant_issued') && eventsOf(step).length === 2,
  'granted work that was lost is claimed by nobody else': (step) =>
    step.move.command.name === 'claimForWorker' &&
    step.decision.ok &&
    step.decision.outcome.kind === 'no_work' &&
    executionsOf(step.from).some((it) => it.situation === 'lease_expired' && it.grantExpiresAt !== undefined),
  'an attempt times out while its execution is granted': (step) =>
    happens(step, 'retry_scheduled') && targetOf(step)?.grantExpiresAt !== undefined,
  'an operator takes up a parked attempt before its time': (step) =>
    step.move.command.name === 'issueGrantAndClaim' &&
    targetOf(step)?.situation === 'delayed' &&
    happens(step, 'execution_resumed'),
  'a claim by a grant that is repeated gets its lease again': ({ move, decision }) =>
    move.words.startsWith('the claim comes again') && decision.ok && decision.events.length === 0,
  'a step that is recorded again after a lost reply gets its first answer': (step) =>
    answersAgain(step) && step.move.command.name === 'recordStep',
  'the owner after meets the steps of the owner before': (step) =>
    step.move.command.name === 'recordStep' &&
    (targetOf(step)?.stepCount ?? 0) > 0 &&
    (targetOf(step)?.leaseReclaimCount ?? 0) > 0 &&
    step.decision.ok,
  'a replay discards the steps, and the run after it records anew': (step) =>
    happens(step, 'step_recorded') && (targetOf(step)?.replayCount ?? 0) > 0 && (targetOf(step)?.stepCount ?? 0) === 0,
  'the end of an execution closes what its owner said': ({ to }) =>
    [...to.state.tables.stream.values()].some(({ closedReason }) => closedReason === 'attempt_success'),
  'an attempt that runs out of its time closes its stream, and another one is due': (step) =>
    happens(step, 'retry_scheduled') &&
    [...step.to.state.tables.stream.values()].some(({ closedReason }) => closedReason === 'attempt_failure'),
  'both executions have ended': ({ to }) =>
    to.created === 2 && [...to.state.tables.execution.values()].every(({ situation }) => isTerminal(situation)),
};

const executionsOf = ({ state }: Node): ReadonlyExecution[] => [...state.tables.execution.values()];

const executionIn = ({ state }: Node, event: Event): ReadonlyExecution | undefined =>
  isOfExecution(event) ? state.tables.execution.get(event.executionId) : undefined;

/** Whether a worker owns it whose handler has not started. */
const isAhead = (it: ReadonlyExecution | undefined): boolean =>
  it?.situation === 'running' && it.attemptTimeoutRemainingMs !== undefined;

const newHolders = ({ to, move: { command } }: Transition): string[] =>
  command.name === 'claimForWorker'
    ? [...to.fences.values()].flatMap((held) => held.slice(-2).map(({ worker }) => worker))
    : [];

/** Budgets have a small world of their own, see `budgets.ts`. */
const OF_BUDGETS = OPERATION_NAMES.filter((name) => operationNamed(name).family === 'budget');

/** So do registered workers, see `workers.test.ts`. */
const OF_WORKERS = OPERATION_NAMES.filter((name) => operationNamed(name).family === 'worker');

/** So do waits, see `waits.test.ts`. */
const OF_WAITS: readonly OperationName[] = [
  'createPendingWaitpoint',
  'closeWaitpoint',
  'expirePendingWaitpoint',
  'suspendExecution',
  'deliverSignal',
  'deliverApprovalSignal',
  'signalExecution',
  'resumeExecution',
  'expireSuspension',
  'rotateWaitpointHmacSecret',
];

/**
 * Operations without moves in any world. Random runs reach each of their answers, or the build fails
 * (`fuzz/differential.test.ts`); what is missing is the proof that no short sequence of them breaks a rule.
 */
const UNEXPLORED: readonly OperationName[] = [
  ...OF_BUDGETS,
  ...OF_WORKERS,
  ...OF_WAITS,
  'pauseLane',
  'drainLane',
  'resumeLane',
  'retryQuarantined',
  'dropQuarantined',
  'commitReader',
  'forgetReader',
  'voidAdmission',
  'settleAdmissions',
  'createQuotaPolicy',
  'checkAdmission',
  'releaseAdmission',
  'createFlow',
  'growFlow',
  'addExecutionToFlow',
  'stageDependencyEdge',
  'addDependency',
  'applyDependencyToChild',
  'setEdgeGroupPolicy',
  'sealFlow',
  'closeFlow',
  'cancelFlowHeader',
  'setFlowTags',
  'spawnChildren',
  'moveToWaitingChildren',
];

/** Answers that need the operations above, or limits: in small worlds nothing is metered. */
const UNREACHED: readonly string[] = [
  'createExecution answers dropped',
  'createExecution answers replaced',
  'an execution is suspended',
  'an execution is resume_delay',
  'an execution is blocked_dependencies',
  'an execution is skipped',
  'replayExecution is refused with flow_already_terminal',
  'replayExecution is refused with execution_not_eligible',
  'createExecution is refused with lane_draining',
  'claimForWorker is refused with admission_void',
];

/** Properties that follow from the declarations: every situation, every answer and every refusal of every operation. */
function declared(): string[] {
  const names = OPERATION_NAMES.filter((name) => !UNEXPLORED.includes(name));
  const properties = [
    ...SITUATION_NAMES.map((situation) => `an execution is ${situation}`),
    ...names.flatMap((name) =>
      [...variantsOf(OPERATIONS[name].outcome).keys()].map((kind) => `${name} answers ${kind}`),
    ),
    ...names.flatMap((name) => OPERATIONS[name].rejects.map((code) => `${name} is refused with ${code}`)),
  ];
  return properties.filter((property) => !UNREACHED.includes(property));
}

/** Everything that must be reached, by name. */
export const SOMETIMES: readonly string[] = [...declared(), ...Object.keys(STORIES)];

/** The properties that a transition shows. */
export function shownBy(step: Transition): string[] {
  const { name } = step.move.command;
  const { decision, to } = step;
  const shown = [decision.ok ? `${name} answers ${decision.outcome.kind}` : `${name} is refused with ${decision.code}`];
  if (to.state !== step.from.state)
    for (const { situation } of to.state.tables.execution.values()) shown.push(`an execution is ${situation}`);
  for (const [story, isIt] of Object.entries(STORIES)) if (isIt(step)) shown.push(story);
  return shown;
}
