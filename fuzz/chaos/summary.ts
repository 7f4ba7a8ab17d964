/** The results of a chaos run as a table for people. */
import type { ChaosResult } from './scenario.js';

export function summaryOf({ audit, faults, recreated, readings, trimmed, tookMs }: ChaosResult): string {
  const events = (matches: (event: (typeof audit.events)[number]['event']) => boolean): number =>
    audit.events.filter(({ event }) => matches(event)).length;
  const lost = new Map<string, number>();
  for (const { command } of audit.lost) lost.set(command.name, (lost.get(command.name) ?? 0) + 1);
  const listed = (counts: Iterable<readonly [string | number, number]>): string =>
    [...counts].map(([name, count]) => `${name}: ${count}`).join(', ') || 'none';
  const { attemptedAgain, endedOtherwise, gone } = audit.lostCompletions;
  const rows: [string, string | number][] = [
    ['time', `${(tookMs / 1_000).toFixed(1)} s`],
    ['faults', listed(faults)],
    ['events', audit.events.length],
    ['answers held against the log', audit.answers],
    ['commands without an answer', `${audit.neverAnswered}, of which ${audit.ranUnanswered} ran`],
    ['executions by their end', listed(audit.endings)],
    ['executions by attempts', listed([...audit.attempts].sort(([a], [b]) => a - b))],
    ['leases that lapsed', events(({ type }) => type === 'lease_expired')],
    ['leases revoked', events(({ type }) => type === 'lease_revoked')],
    ['attempts by reclaim', events((event) => event.type === 'execution_claimed' && event.attemptType === 'reclaim')],
    ['steps recorded', events(({ type }) => type === 'step_recorded')],
    ['suspensions', events(({ type }) => type === 'execution_suspended')],
    ['signals', events(({ type }) => type === 'signal_accepted')],
    ['retries', events(({ type }) => type === 'retry_scheduled')],
    ['lost tail, answers by command', listed(lost)],
    [
      'lost completions',
      `attempted again: ${attemptedAgain}, ended otherwise: ${endedOtherwise}, execution gone: ${gone}`,
    ],
    ['epochs of lost claims, given out again', audit.epochsGivenTwice],
    ['lost creations, created again', recreated],
    ['given to the durable reader', `${readings.seen}; told of losses: ${listed(readings.told)}`],
    ['entries of logs that are trimmed', `${trimmed.written}, of which ${trimmed.left} are left`],
    ['given to their reader', `${trimmed.readings.seen}; told of losses: ${listed(trimmed.readings.told)}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
