/** Explains suspended work: the signals that it waits for, and until when. */
import { heldDetail, type ExecutionInfo } from '../../model/execution/projections.js';
import type { BlockingReason } from '../../model/execution/situation.js';
import type { AwaitedSignals } from '../../model/suspension/condition.js';
import { channelOf } from '../../model/suspension/channel.js';
import type { OpenWaitpoint } from '../../model/suspension/listings.js';
import type { Backend } from '../backend/backend.js';
import { partsIn } from '../shared/awaited-signals.js';
import { awaitedChildren, type LookAt } from './explain-dependencies.js';
import { callStep, obstacleOf, timeText, waitStep, type Obstacle } from './obstacle.js';

/** Signals named in a sentence; of more it gives the number. */
const MAX_NAMED = 5;

/** What it waits for and how to provide that, by the reason of its suspension. */
const KINDS: Readonly<Partial<Record<BlockingReason, readonly [what: string, remedy: (name: string) => string]>>> = {
  waiting_for_approval: ['approval', (name) => `Decide: run.approve(${name}, { by }), or run.reject.`],
  waiting_for_callback: ['callback', () => 'Deliver it.'],
  waiting_for_tool_result: ['tool result', () => 'Deliver it.'],
};

/** Obstacles of a suspended execution. Read after the execution, which can have resumed meanwhile. */
export async function ofSuspension(
  backend: Backend,
  info: ExecutionInfo,
  lookAt: LookAt,
  now: number,
): Promise<Obstacle[]> {
  const {
    executionId,
    stateVector: { blockingReason },
  } = info;
  const held = heldDetail(info.hold);
  const [suspension, { entries: waitpoints }] = await Promise.all([
    backend.describeSuspension({ executionId }),
    backend.listPendingWaitpoints({ executionId }),
  ]);
  const signals = [...new Set(waitpoints.flatMap(namesAt))];
  const isOpen = suspension?.closedAt === undefined;
  const until = isOpen ? suspension?.timeoutAt : undefined;
  const childCount = isOpen ? (suspension?.awaitedChildren ?? 0) : 0;
  const children = childCount === 0 ? undefined : await awaitedChildren(backend, info, childCount, lookAt);
  if (children !== undefined && signals.length === 0 && until === undefined)
    return [obstacleOf(blockingReason, `It waits for children: ${children.tasks}.`, 'Let them complete.', children)];
  const [sentence, remedy] = wordsOf(blockingReason, signals, until === undefined ? '' : ` until ${timeText(until)}`);
  const label = isOpen ? suspension?.continuationMetadataPointer : undefined;
  const awaited = (label === undefined ? undefined : partsIn(label)) ?? suspension?.awaitedSignals ?? [];
  const also = children === undefined ? '' : ` It also waits for children: ${children.tasks}.`;
  const detail = received(awaited) + also + (held === '' ? '' : ` ${held}.`);
  // A handler that is resumed without its signals waits for them again. Other programs may continue.
  const isOfHandler = signals.length > 0 && waitpoints.every(isHeardByChannel);
  // An operator resumes it at once, whatever its policy says.
  const delayMs = suspension?.resumePolicy.resumeDelayMs ?? 0;
  const delay = isOfHandler && delayMs > 0 ? [waitStep(now + delayMs), callStep('applyDue')] : [];
  const steps = [callStep(isOfHandler ? 'signalExecution' : 'resumeExecution'), ...delay];
  return [obstacleOf(blockingReason, `${sentence}${detail}`, remedy, { until, signals, awaited, steps })];
}

function wordsOf(reason: BlockingReason, signals: readonly string[], end: string): [sentence: string, remedy: string] {
  if (signals.length > 0) {
    const [what, remedy] = KINDS[reason] ?? ['signal', (name: string) => `Send it: run.signal(${name}, payload).`];
    const sentence = `It waits for ${what}${signals.length === 1 ? '' : 's'} ${named(signals)}${end}.`;
    return [sentence, remedy(signals.length === 1 ? JSON.stringify(signals[0]) : 'name')];
  }
  if (end !== '') return [`It sleeps${end}.`, 'Wait until then, or resume it.'];
  return ['It waits for an operator.', 'Resume it.'];
}

/** How many signals have come, if more than one is needed. */
function received(parts: readonly AwaitedSignals[]): string {
  const missing = parts.reduce((sum, part) => sum + part.needed - part.received, 0);
  if (missing === 0 || (parts.length === 1 && parts[0]?.needed === 1)) return '';
  const counts = parts
    .slice(0, MAX_NAMED)
    .map((part) => `${part.received} of ${part.needed} ${part.names.map((name) => JSON.stringify(name)).join(' or ')}`);
  const more = parts.length - MAX_NAMED;
  return ` Received: ${counts.join(', ')}${more > 0 ? ` and ${more} more` : ''}; ${missing} missing.`;
}

/** Whether the waitpoint receives signals sent to the execution by the name of its channel, as those of handlers do. */
const isHeardByChannel = ({ state, requiredSignalNames }: OpenWaitpoint): boolean =>
  state !== 'active' || requiredSignalNames.length === 0;

/**
 * Names of the signals that a waitpoint of the suspension receives. A waitpoint without names receives those of its
 * channel.
 */
function namesAt({ state, waitpointKey, requiredSignalNames }: OpenWaitpoint): readonly string[] {
  if (state !== 'active') return [];
  const names = requiredSignalNames.length === 0 ? [channelOf(waitpointKey)] : requiredSignalNames;
  // Prefix of names that are not signals: nothing is waited for.
  return names.filter((name) => name !== '' && !name.startsWith('__'));
}

function named(signals: readonly string[]): string {
  const more = signals.length - MAX_NAMED;
  const names = signals.slice(0, MAX_NAMED).map((name) => JSON.stringify(name));
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
