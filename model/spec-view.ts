/**
 * The view by definition: every ordered set is a filter and a sort over the executions. Slow, and obviously right:
 * what indexes are measured against.
 */
import { compareBytes } from './ids.js';
import type { LoggedEvent } from './events.js';
import type { ReadonlyExecution } from './execution/execution.js';
import { isClaimable, isTerminal } from './execution/situation.js';
import { covers, queueScore, requirementSetOf } from './schedule/queue.js';
import { nextTimer } from './schedule/timers.js';
import { idempotencyId, type Partition } from './state.js';
import type { View } from './view.js';

export class SpecView implements View {
  constructor(private readonly partition: Partition) {}

  execution(executionId: string): ReadonlyExecution | undefined {
    return this.partition.state.executions.get(executionId);
  }

  idempotent(namespace: string, key: string, now: number): string | undefined {
    const entry = this.partition.state.idempotency.get(idempotencyId(namespace, key));
    return entry !== undefined && entry.expiresAt > now ? entry.executionId : undefined;
  }

  claimable(laneId: string, offered: ReadonlySet<string>, limit: number): readonly ReadonlyExecution[] {
    return this.all()
      .filter(
        (execution) =>
          execution.laneId === laneId &&
          isClaimable(execution.situation) &&
          covers(offered, requirementSetOf(execution)),
      )
      .sort((a, b) => queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId))
      .slice(0, limit);
  }

  due(now: number, limit: number): readonly ReadonlyExecution[] {
    return this.all()
      .flatMap((execution) => {
        const at = nextTimer(execution)?.at;
        return at !== undefined && at <= now ? [{ execution, at }] : [];
      })
      .sort((a, b) => a.at - b.at || compareBytes(a.execution.executionId, b.execution.executionId))
      .slice(0, limit)
      .map(({ execution }) => execution);
  }

  purgeable(now: number, limit: number): readonly string[] {
    return this.all()
      .filter(({ situation, dueAt }) => isTerminal(situation) && dueAt !== undefined && dueAt <= now)
      .sort((a, b) => (a.dueAt as number) - (b.dueAt as number) || compareBytes(a.executionId, b.executionId))
      .slice(0, limit)
      .map(({ executionId }) => executionId);
  }

  nextDueAt(): number | undefined {
    const times = this.all().flatMap(
      (execution) => (isTerminal(execution.situation) ? execution.dueAt : nextTimer(execution)?.at) ?? [],
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  executionIds(after: string | undefined, limit: number): readonly string[] {
    return [...this.partition.state.executions.keys()]
      .filter((id) => after === undefined || compareBytes(id, after) > 0)
      .sort(compareBytes)
      .slice(0, limit);
  }

  lanes(): readonly string[] {
    return [...this.partition.state.lanes].sort(compareBytes);
  }

  payload(executionId: string): Uint8Array | undefined {
    return this.partition.payloads.get(executionId);
  }

  result(executionId: string): Uint8Array | undefined {
    return this.partition.results.get(executionId);
  }

  log(after: number, limit: number): readonly LoggedEvent[] {
    return this.partition.log.filter(({ sequence }) => sequence > after).slice(0, limit);
  }

  logEnd(): number {
    return this.partition.log.at(-1)?.sequence ?? 0;
  }

  private all(): ReadonlyExecution[] {
    return [...this.partition.state.executions.values()];
  }
}
