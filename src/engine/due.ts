/** One page of due work of a partition: ask the timers index, carry out what it names. */
import type { Command, OutcomeOf } from '../../model/machine.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { Backend, CommandResult } from '../backend.js';
import { systemClock } from './clock.js';
import { localNews, type LocalNews } from './local-news.js';

/** Most commands listed and carried out at once in one partition. */
export const DUE_PAGE = 100;

export interface DuePage {
  /** Commands that the index named. */
  readonly listed: number;
  /** Those of them that changed something; the others were done by another process in the meantime. */
  readonly applied: number;
  /** When something is due next, ms since the epoch by the server; meaningful when nothing was listed. */
  readonly nextDueAt: number | undefined;
}

type TimedOutcome = OutcomeOf<'expireExecution' | 'promoteDelayed' | 'markLeaseExpiredIfDue' | 'purgeExecution'>;

const CHANGES: ReadonlySet<string> = new Set<TimedOutcome['kind']>([
  'expired',
  'retry_scheduled',
  'promoted',
  'marked_expired',
  'purged',
]);

/** Carries out one page of what is due in a partition. Safe in any number of processes: every command looks again. */
export async function runDuePage(
  backend: Backend,
  partition: string,
  limit: number,
  random: () => number,
): Promise<DuePage> {
  const { commands: due, nextDueAt } = await backend.listDue({ partition, limit });
  if (due.length === 0) return { listed: 0, applied: 0, nextDueAt };
  // Chance enters here, at the edge, so that the transition itself stays deterministic.
  const commands = due.map(
    (command): Command =>
      command.name === 'expireExecution'
        ? { name: command.name, args: { ...command.args, jitter: random() } }
        : command,
  );
  const results = await backend.execute(commands);
  const news = localNews(backend);
  let applied = 0;
  results.forEach((result, index) => {
    if (result.ok && CHANGES.has(result.outcome.kind)) applied++;
    tell(news, commands[index] as Command, result);
  });
  return { listed: due.length, applied, nextDueAt };
}

function tell(news: LocalNews, command: Command, result: CommandResult): void {
  if (command.name !== 'expireExecution' || !result.ok) return;
  const { executionId, expireReason } = command.args;
  if (result.outcome.kind === 'expired') news.publish({ kind: 'expired', executionId, reason: expireReason });
  if (result.outcome.kind === 'retry_scheduled') news.publish({ kind: 'attempt_timeout', executionId });
}

export interface RunDueOptions {
  /** Most commands per partition. Default 100, at most 1 000. */
  readonly limitPerPartition?: number;
  /** Source of jitter, 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Carries out what is due now, once: one page per partition, for tests and for callers that bring their own loop.
 * What a command makes due in turn is left for the next call.
 *
 * @returns the number of commands that changed something
 * @throws EngineError what the backend throws
 */
export async function runDue(backend: Backend, options: RunDueOptions = {}): Promise<number> {
  const { limitPerPartition = DUE_PAGE, random = systemClock.random } = options;
  let applied = 0;
  for (let index = 0; index < backend.partitions.count; index++) {
    applied += (await runDuePage(backend, partitionKeyOf(index), limitPerPartition, random)).applied;
  }
  return applied;
}
