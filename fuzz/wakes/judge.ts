/**
 * Compares the announcements of a backend during a step with the changes of the step. A missing wake leaves work until
 * the next poll; a wrong wake makes claimers look in vain.
 *
 * - Work: a queue is announced if it was empty, if its new first entry precedes all earlier entries, or if its lane was
 *   paused. The announcement describes the first entry of a queue to which executions were added.
 * - Timers: a timer is announced if it is due before every loop looks.
 * - Everything else (ends, entries of the log, frames, room in quotas and budgets) must equal the announcements of the
 *   first backend.
 */
import { present } from '../../model/core/present.js';
import type { AnyDecision } from '../../model/machine.js';
import { nameOfQueue, queueScore } from '../../model/schedule/queue.js';
import type { ChannelMessage } from '../../src/backend/wake-listeners.js';
import type { Queue, Standing } from './standing.js';

/** A step in one partition. */
export interface Change {
  readonly partition: string;
  readonly before: Standing;
  readonly after: Standing;
  readonly decisions: readonly AnyDecision[];
  /** Whether it added to the log. */
  readonly isLogged: boolean;
  /** Whether a backend runs it as one call, so that nothing can be announced that the step itself made untrue. */
  readonly isOneCommand: boolean;
}

export interface Complaint {
  readonly what: string;
  readonly expected: unknown;
  readonly got: unknown;
}

type Heard = readonly ChannelMessage[];

const NEVER = Number.POSITIVE_INFINITY;

/** One per run. */
export class WakeJudge {
  /** By subject and partition: when every timer loop looks at the latest. */
  private readonly looksBy = new Map<string, number>();

  /** The first fault in the announcements of a subject in a step. */
  judge(subject: string, change: Change, heard: Heard): Complaint | undefined {
    // Frames are not in the log.
    const unfounded = change.isLogged ? [] : heard.filter(({ kind }) => kind !== 'frames');
    if (unfounded.length > 0)
      return { what: 'the announcements of a step without events', expected: [], got: unfounded };
    return workComplaint(change, heard) ?? this.timerComplaint(`${subject} ${change.partition}`, change, heard);
  }

  /** A process that starts looks at everything. */
  restarted(subject: string): void {
    for (const place of this.looksBy.keys()) if (place.startsWith(`${subject} `)) this.looksBy.set(place, NEVER);
  }

  /**
   * A timer that a command sets and moves again can be announced too: a loop then looks once in vain, which is cheaper
   * than a read of the index by every call.
   */
  private timerComplaint(place: string, change: Change, heard: Heard): Complaint | undefined {
    const announced = heard.flatMap((wake) => (wake.kind === 'timer' ? [wake] : []));
    const first = change.after.timers[0]?.at ?? NEVER;
    const firstBefore = change.before.timers[0]?.at ?? NEVER;
    const foreign = announced.filter(({ partition }) => partition !== change.partition);
    if (foreign.length > 0) return { what: 'the announced timers', expected: [], got: foreign };
    const before = this.looksBy.get(place) ?? NEVER;
    const answered = change.decisions.reduce((by, decision) => Math.max(by, nextLook(decision) ?? by), before);
    // A loop that hears of a timer during its pass heeds that beside the answer of the pass.
    const looksBy = Math.min(answered, ...announced.map(({ at }) => at));
    this.looksBy.set(place, looksBy);
    if (first >= firstBefore || first >= looksBy) return undefined;
    const expected = `one at ${first} or before, because loops look at ${looksBy} only`;
    return { what: 'the announced timers', expected, got: announced };
  }
}

/** When the loop that got this answer looks again. */
function nextLook(decision: AnyDecision): number | undefined {
  if (!decision.ok) return undefined;
  const outcome = decision.outcome as { kind: string; nextDueAt?: number; until?: number };
  if (outcome.kind === 'applied') return outcome.nextDueAt ?? NEVER;
  return outcome.kind === 'left_to_other' ? outcome.until : undefined;
}

function workComplaint(change: Change, heard: Heard): Complaint | undefined {
  const announced = new Map<string, number[]>();
  for (const wake of heard) {
    if (wake.kind !== 'work' && wake.kind !== 'metered') continue;
    const { requiredCapabilities, executionKind } = wake;
    const parts = {
      needs: requiredCapabilities.join(','),
      meters: wake.kind === 'work' ? '' : wake.meters,
      executionKind,
    };
    const name = `${wake.laneId}\t${nameOfQueue(parts)}`;
    announced.set(name, [...(announced.get(name) ?? []), wake.priority]);
  }
  const missing = [...change.after.queues].filter(
    ([name, queue]) =>
      mustWake(change, name, queue) && announced.get(name)?.some((priority) => isOfHead(queue, priority)) !== true,
  );
  if (missing.length > 0)
    return {
      what: 'the announced work',
      expected: missing.map(([name, { head }]) => [name, head.priority]),
      got: [...announced],
    };
  const untrue = [...announced].filter(([name, priorities]) => !mayWake(change, name, priorities));
  return untrue.length === 0 ? undefined : { what: 'the announced work', expected: 'nothing untrue', got: untrue };
}

const laneOf = (name: string): string => present(name.split('\t')[0]);

/** Any of those with the first score may be named: lost executions of one millisecond, whatever their priorities. */
const isOfHead = ({ head, executions }: Queue, priority: number): boolean =>
  executions.some((each) => each.priority === priority && queueScore(each) === queueScore(head));

/** Whether a claimer that waits would sleep past the first entry of the queue. */
function mustWake({ before, after }: Change, name: string, queue: Queue): boolean {
  const lane = laneOf(name);
  if (after.paused.has(lane)) return false;
  const known = before.queues.get(name);
  if (known === undefined || before.paused.has(lane)) return true;
  return queueScore(queue.head) < queueScore(known.head);
}

/**
 * Whether the announcement is worth a look: the first entry of a queue, in which the step has changed something, or whose
 * lane it has resumed.
 */
function mayWake({ before, after, isOneCommand }: Change, name: string, priorities: readonly number[]): boolean {
  const lane = laneOf(name);
  if (!isOneCommand) return true;
  const queue = after.queues.get(name);
  if (queue === undefined || after.paused.has(lane) || !priorities.every((priority) => isOfHead(queue, priority)))
    return false;
  // Also of work that came into the queue and left it within the step.
  const known = before.members.get(name);
  return before.paused.has(lane) || [...(after.members.get(name) ?? [])].some((execution) => !known?.has(execution));
}

/**
 * Announcements other than work and timers, in comparable form. A budget that a batch exhausts and frees again has room
 * before and after it, and no caller was refused in between, so a backend may announce that or not.
 */
export function othersIn(heard: Heard, hearsFrames: boolean, isOneCommand: boolean): readonly string[] {
  const texts = heard.flatMap((message): string[] => {
    switch (message.kind) {
      case 'ended':
        return message.executionIds.map((id) => `ended ${message.partition} ${id}`);
      case 'frames':
        return hearsFrames ? [`frames ${message.executionId}`] : [];
      case 'budget_room':
        return isOneCommand ? [`room in ${message.budgetId}`] : [];
      case 'appended':
      case 'room_for':
        return [JSON.stringify(message, Object.keys(message).sort())];
      case 'work':
      case 'metered':
      case 'timer':
      case 'resync':
        return [];
    }
  });
  return [...new Set(texts)].sort();
}
