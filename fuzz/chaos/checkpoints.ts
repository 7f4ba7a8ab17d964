/** Checks of checkpoints in a run: each step is done once, and each wait gets the signal sent to it, once. */
import { isOfExecution, type LoggedEvent } from '../../model/events.js';
import type { Deed } from './explain.js';
import type { Timeline } from './timeline.js';
import { GO, type Ran } from './work.js';

/** Largest observed difference between the clocks of two processes of one machine, with a margin, ms. */
const SLACK_MS = 50;

export interface CheckpointFindings {
  readonly [what: string]: readonly string[];
}

/**
 * All violations, by kind. Invariants over the log cover the rest, for example that nothing closes two suspensions.
 * @param lost answers from the tails that the server lost
 */
export function judgeCheckpoints(
  timeline: Timeline,
  causes: ReadonlyMap<number, Deed>,
  ran: readonly Ran[],
  lost: readonly Deed[],
): CheckpointFindings {
  return {
    'steps that ran again after their value was stored': [...runAgain(timeline, ran)],
    'results that say something else than what was recorded and sent': [...wrongResults(timeline, causes, lost)],
  };
}

/**
 * Steps that a later owner ran although a value was stored. An owner from before the one that stored it may still run,
 * because it was frozen: its value is refused.
 */
function* runAgain(timeline: Timeline, ran: readonly Ran[]): Generator<string> {
  for (const run of ran) {
    const stored = timeline
      .of(run.executionId)
      .at(-1)
      ?.steps.find(({ event }) => event.stepName === run.step);
    if (stored !== undefined && run.leaseEpoch >= stored.leaseEpoch && run.at > stored.event.at + SLACK_MS)
      yield `  ${JSON.stringify(run)} was stored by the owner of epoch ${stored.leaseEpoch} at ${stored.event.at}`;
  }
}

/** What a job that slept or waited reports at its completion. */
interface Said {
  readonly index: number;
  /** The values of its first step, its wait, and its second step. */
  readonly steps?: readonly [before: string, waited: number | null, after: string];
}

function* wrongResults(
  timeline: Timeline,
  causes: ReadonlyMap<number, Deed>,
  lost: readonly Deed[],
): Generator<string> {
  const values = valuesOf(timeline.log, causes);
  // Where the server lost calls of an execution, its steps can have values that the log does not have, so it is not
  // checked.
  const shaken = new Set(lost.map(({ command }) => (command.args as { executionId?: string }).executionId));
  for (const [sequence, { command }] of causes) {
    if (command.name !== 'completeExecution' || shaken.has(command.args.executionId)) continue;
    const said = saidIn(command.args.resultPayload);
    if (said?.steps === undefined) continue;
    const { executionId } = command.args;
    const known = (name: string): string | undefined => values.get(`${executionId}\t${name}`);
    const [before, waited, after] = said.steps;
    const isSent = waited === null || (waited === said.index && known(GO) === String(said.index));
    if (!isSent || before !== known('before') || after !== known('after'))
      yield `  entry ${sequence}: ${JSON.stringify(said)}; stored were ${known('before')}, ${known(GO)}, ${known('after')}`;
  }
}

/** Recorded steps and sent signals, by execution and name. */
function valuesOf(log: readonly LoggedEvent[], causes: ReadonlyMap<number, Deed>): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { sequence, event } of log) {
    const command = causes.get(sequence)?.command;
    if (!isOfExecution(event)) continue;
    if (event.type === 'step_recorded' && command?.name === 'recordStep')
      values.set(`${event.executionId}\t${event.stepName}`, JSON.parse(textOf(command.args.value)) as string);
    if (event.type === 'signal_accepted' && command?.name === 'signalExecution')
      values.set(`${event.executionId}\t${event.signalName}`, textOf(command.args.payload));
  }
  return values;
}

function saidIn(result: Uint8Array | undefined): Said | undefined {
  try {
    return JSON.parse(textOf(result)) as Said;
  } catch {
    // Not the result of a job.
    return undefined;
  }
}

const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
