/** How the story of a run names ids, faults, calls and wakes. */
import type { CommandResult } from '../../src/engine/index.js';
import type { Fault, ObservedCall, WakeFault } from '../../src/testing/simulation/index.js';
import type { ChannelMessage } from '../../src/backend/wake-listeners.js';
import { claimedIn } from '../claimed.js';

/** An id as a story names it. */
export const short = (id: string): string =>
  id.replace(/^\{fp:(\d+)\}:([0-9a-f]{4}).*$/, '$1:$2').replace(/^([0-9a-f]{4})[0-9a-f]{4}-.*$/, '$1');

export function faultText(fault: Fault | WakeFault): string {
  const name = fault.kind.replaceAll('_', ' ');
  if ('byMs' in fault) return `${name} by ${fault.byMs} ms`;
  return fault.kind === 'one_faulty'
    ? `${name} (position ${fault.position}, ${fault.ran ? 'ran' : 'did not run'})`
    : name;
}

/** A call when it settles. */
export function callText(call: ObservedCall): string {
  const what =
    call.commands.length === 0
      ? call.names.join()
      : call.commands
          .map((command, index) => `${commandText(command)} -> ${resultText(call.answers?.[index])}`)
          .join('; ');
  const outcome = call.error === undefined ? '' : ` FAILED: ${codeOf(call.error)}`;
  const fault = call.fault === undefined ? '' : ` [${faultText(call.fault)}]`;
  const took = call.settledAt === undefined ? '' : ` (${call.settledAt - call.madeAt} ms)`;
  return `${what}${outcome}${fault}${took}`;
}

function commandText(command: ObservedCall['commands'][number]): string {
  if (command.name === 'claimForWorker')
    return `claim ${command.args.claims.length} of ${command.args.laneId} at ${command.args.partition.replace(/\D/g, '')}`;
  return `${command.name}${'executionId' in command.args && command.args.executionId !== undefined ? ` ${short(command.args.executionId)}` : ''}`;
}

function resultText(result: CommandResult | undefined): string {
  if (result === undefined) return '?';
  if (!result.ok) return codeOf(result.error);
  if (result.outcome.kind !== 'claimed') return result.outcome.kind;
  return `claimed ${claimedIn(result.outcome)
    .map(({ executionId, leaseId }) => `${short(executionId)} (lease ${short(leaseId)})`)
    .join(', ')}`;
}

export const wakeText = (wake: ChannelMessage): string => `wake ${JSON.stringify(wake)}`;

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
