/**
 * The part of a state that distinguishes it from others, derived from the table of facts: every fact of an execution
 * counts by its kind, so that a new one cannot be forgotten. Times are relative to now, and all past times are equal;
 * ids count by their presence. Exceptions are listed below with their reasons.
 */
import { factsOf, type FactKind, type FactTable } from '../../model/core/facts.js';
import { executionFacts, type Execution, type ReadonlyExecution } from '../../model/execution/facts.js';
import { isReclaimable, isTerminal } from '../../model/execution/situation.js';
import { executionOf, type Node } from './node.js';

type FactName = Exclude<keyof Execution, 'executionId'>;
type Facts = Readonly<Record<string, unknown>>;

const ahead = (at: number | undefined, now: number): number | '' => (at === undefined ? '' : Math.max(0, at - now));

/** Counters without a cap: only whether they are zero matters. The fences say which owners were the last ones. */
const UNCAPPED: ReadonlySet<string> = new Set<FactName>(['currentLeaseEpoch', 'totalAttemptCount']);

/**
 * Facts given at creation that never change: the number of the execution in its world stands for all of them. Deadlines
 * and lifetimes of keys are given too, but come nearer as time passes.
 */
const GIVEN: ReadonlySet<string> = new Set<FactName>([
  'namespace',
  'laneId',
  'executionKind',
  'creatorIdentity',
  'priority',
  'payloadBytes',
  'payloadEncoding',
  'requiredCapabilities',
  'meters',
  'tags',
  'policy',
]);

/** Facts that no decision and no rule reads after the execution has ended, except for their presence. */
const PAST: ReadonlySet<string> = new Set<FactName>([
  // All purges that are not due are equal, because the order of purges does not matter.
  'dueAt',
  'executionDeadlineAt',
  'idempotencyExpiresAt',
  'retryCount',
  'leaseReclaimCount',
  'recentLossCount',
  'lastLostAt',
  'lostLeaseMs',
  'leaseReleaseCount',
  'failureReason',
  'failureCategory',
  'cancelledBy',
  'progressPct',
]);

/** Facts that count for less than their kind says. */
export const LESSENED: ReadonlySet<string> = new Set([...UNCAPPED, ...GIVEN, ...PAST]);

/** Times that are inclusive: they are over a millisecond later. */
const INCLUSIVE: ReadonlySet<string> = new Set<FactName>(['grantExpiresAt']);

const isTime = (name: string): boolean => name.endsWith('At') || name.endsWith('Until');

function textOf(name: string, kind: FactKind, value: unknown, now: number): unknown {
  if (value === undefined) return '';
  if (kind === 'id') return '+';
  if (kind === 'number') return isTime(name) ? ahead((value as number) + Number(INCLUSIVE.has(name)), now) : value;
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

/** The distinguishing facts of an entity, in the order of its table. */
export function canonicalFacts(
  table: FactTable,
  entity: Facts,
  { now, ended }: { now: number; ended: boolean },
): string {
  const texts: unknown[] = [];
  for (const [name, { kind }] of factsOf(table)) {
    const value = entity[name];
    if (GIVEN.has(name)) continue;
    if (ended && PAST.has(name)) texts.push(name === 'dueAt' ? isOver(value, now) : value !== undefined);
    else if (UNCAPPED.has(name)) texts.push(value !== 0);
    else texts.push(textOf(name, kind, value, now));
  }
  return texts.join(' ');
}

/** Whether a purge is due; undefined when none will come. */
const isOver = (purgeAt: unknown, now: number): boolean | '' => purgeAt !== undefined && (purgeAt as number) <= now;

function ofExecution(node: Node, n: number): string {
  const executionId = executionOf(n);
  const execution = node.state.tables.execution.get(executionId);
  if (execution === undefined) return 'gone';
  const holders = (node.fences.get(executionId) ?? []).slice(-2).map(({ worker }) => worker);
  const ended = isTerminal(execution.situation);
  return `${holders.join('')} ${canonicalFacts(executionFacts, execution as Facts, { now: node.now, ended })}`;
}

/** The order of the queue, as far as it can change. */
function order(executions: readonly ReadonlyExecution[]): string {
  const [a, b] = executions;
  if (a === undefined || b === undefined) return '';
  const lapses =
    isReclaimable(a.situation) && isReclaimable(b.situation) ? Math.sign(a.lastTransitionAt - b.lastTransitionAt) : '';
  return `${Math.sign(a.createdAt - b.createdAt)} ${lapses}`;
}

/** The canonical text of a state. */
export function canonicalOf(node: Node): string {
  const { state, now, applier, steps, streams } = node;
  const parts = Array.from({ length: node.created }, (_, i) => ofExecution(node, i + 1));
  const keys = [...state.tables.idempotency_key.values()].map(
    ({ executionId, expiresAt }) => `${executionId.slice(-1)}@${ahead(expiresAt, now)}`,
  );
  const applies = applier === undefined ? '' : `${applier.owner}@${ahead(applier.until, now)}`;
  const recorded = [...steps.values()].map(({ records }) =>
    records.map(({ stepName, stepKind, stepFailed, value }) => [stepName, stepKind, stepFailed, value?.[0]]),
  );
  // Ids and times of frames do not affect what can happen; the number of frames and the summary do.
  const said = [...streams.values()].map(({ counters, document, frames: { best_effort }, bestEffortExpiresAt }) => {
    const { totalBytes, writerSeq } = counters;
    return [totalBytes, writerSeq, document, best_effort.length, ahead(bestEffortExpiresAt, now)];
  });
  const closed = [...state.tables.stream.values()].map(({ closedReason }) => closedReason);
  return `${JSON.stringify([said, closed])}|${JSON.stringify(recorded)}|${parts.join('|')}|${order([...state.tables.execution.values()])}|${keys.join()}|${applies}`;
}
