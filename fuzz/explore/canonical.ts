/**
 * What tells two states apart, and nothing else: ids are numbered, times are relative to now, times in the past are
 * all the same, and so are purges that are not due. Counters that no cap looks at (epochs, attempts) only matter by
 * who holds the newest fence.
 */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isReclaimable, isTerminal } from '../../model/execution/situation.js';
import { executionOf, type Node } from './node.js';

const ahead = (at: number | undefined, now: number): number | '' => (at === undefined ? '' : Math.max(0, at - now));

function ofExecution(node: Node, n: number): string {
  const executionId = executionOf(n);
  const execution = node.state.executions.get(executionId);
  if (execution === undefined) return 'gone';
  const { now } = node;
  const holders = (node.fences.get(executionId) ?? []).slice(-2).map(({ worker }) => worker);
  const common = [execution.situation, holders.join(''), execution.nextAttempt];
  if (isTerminal(execution.situation)) return [...common, (execution.dueAt as number) <= now].join(' ');
  return [
    ...common,
    ahead(execution.dueAt, now),
    ahead(execution.attemptTimeoutAt, now),
    execution.attemptTimeoutRemainingMs ?? '',
    ahead(execution.executionDeadlineAt, now),
    execution.retryCount,
    execution.leaseReclaimCount,
    execution.leaseReleaseCount,
    execution.totalAttemptCount > 0,
    execution.progressPct ?? '',
  ].join(' ');
}

/** Who comes first in the queue, as far as it can change. */
function order(executions: readonly ReadonlyExecution[]): string {
  const [a, b] = executions;
  if (a === undefined || b === undefined) return '';
  const lapses =
    isReclaimable(a.situation) && isReclaimable(b.situation) ? Math.sign(a.lastTransitionAt - b.lastTransitionAt) : '';
  return `${Math.sign(a.createdAt - b.createdAt)} ${lapses}`;
}

/** The canonical text of a state. */
export function canonicalOf(node: Node): string {
  const parts = Array.from({ length: node.created }, (_, i) => ofExecution(node, i + 1));
  const keys = [...node.state.idempotency.values()].map(
    ({ executionId, expiresAt }) => `${executionId.slice(-1)}@${ahead(expiresAt, node.now)}`,
  );
  return `${parts.join('|')}|${order([...node.state.executions.values()])}|${keys.join()}`;
}
