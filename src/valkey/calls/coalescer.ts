/**
 * Joins concurrent calls. Commands of one partition that different callers send in one turn of the event loop become
 * one function call: the server has the cost of one call, and commands of one kind share their index writes. Each
 * caller gets the answers to its own commands. Its commands keep their order; commands of other callers may run between
 * them. There is no extra delay: the call leaves when the turn ends.
 *
 * Creations come first. Before they are sent, claimers in this process that wait for such work are notified; their
 * claims join the call behind the creations and find the new work.
 */
import type { ClaimableWork } from '../../../model/operation.js';
import { present } from '../../../model/core/present.js';
import { MAX_CALL_UNITS } from '../../../model/limits.js';
import { operationNamed, type ParsedCommand } from '../../../model/machine.js';
import { queueNameOf } from '../../../model/schedule/queue.js';
import { MAX_JOINED_BYTES, MAX_JOINED_COMMANDS } from '../../backend/joined-calls.js';
import { sendAtTurnEnd } from '../../util/turn-end.js';
import type { Answer } from '../wire/answers.js';
import { joined } from './joining.js';
import { weightOf, type Weight } from './weight.js';

/** New work of one queue that is about to be sent to a partition. */
export interface Arrival extends ClaimableWork {
  readonly partition: string;
  /** How many executions of it have no claim yet. */
  readonly unclaimed: () => number;
}

export interface CoalescerOptions {
  readonly send: (partition: string, commands: readonly ParsedCommand[]) => Promise<Answer[]>;
  /** Called with new work before it is sent; commands that it sends to the partition synchronously join the call. */
  readonly onArrival?: (arrival: Arrival) => void;
  /** Whether `onArrival` has listeners now. Default: it has. */
  readonly isAwaited?: () => boolean;
}

interface Waiting {
  readonly commands: readonly ParsedCommand[];
  /** Whether all its commands come before those of other callers. */
  readonly leads: boolean;
  readonly weight: Weight;
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Commands gathered for a partition. */
interface Gathering {
  entries: Waiting[];
  announced: boolean;
}

/** Whether a server whose memory is full refuses the command. */
export const addsToStore = ({ name }: ParsedCommand): boolean => operationNamed(name).memory === 'adds';

const orderOf = ({ name }: ParsedCommand): 'first' | 'any' | 'last' => operationNamed(name).order ?? 'any';
const comesFirst = (command: ParsedCommand): boolean => orderOf(command) === 'first';
const comesLast = (command: ParsedCommand): boolean => orderOf(command) === 'last';

export class Coalescer {
  private readonly waiting = new Map<string, Gathering>();

  constructor(private readonly options: CoalescerOptions) {}

  /**
   * Sends commands in one call with all others of their partition in this turn. The bytes of their weight are those that
   * the call carries.
   */
  run(partition: string, commands: readonly ParsedCommand[], weight = weightOf(commands)): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      const entry = { commands, leads: commands.every(comesFirst), weight, resolve, reject };
      const gathering = this.waiting.get(partition);
      if (gathering !== undefined) {
        gathering.entries.push(entry);
        return;
      }
      this.waiting.set(partition, { entries: [entry], announced: false });
      sendAtTurnEnd(() => this.flush(partition));
    });
  }

  /** Sends the gathered commands of a partition now, so that a later read sees their effects. */
  flush(partition: string): void {
    const gathering = this.waiting.get(partition);
    if (gathering === undefined) return;
    try {
      // A listener that reads from this partition calls this method again.
      if (!gathering.announced) {
        gathering.announced = true;
        this.announce(partition, gathering.entries);
      }
    } finally {
      if (this.waiting.get(partition) === gathering) {
        this.waiting.delete(partition);
        const { entries } = gathering;
        // The map can retain the removed gathering (see util/bag.ts).
        gathering.entries = [];
        this.dispatch(partition, entries);
      }
    }
  }

  private announce(partition: string, entries: readonly Waiting[]): void {
    const { onArrival, isAwaited } = this.options;
    if (onArrival === undefined || isAwaited?.() === false) return;
    for (const { work, count } of arrivalsIn(entries)) {
      let seen = entries.length;
      let left = count;
      const unclaimed = (): number => {
        for (; seen < entries.length; seen++) left -= takenBy(present(entries[seen]), work.laneId);
        return left;
      };
      onArrival({ ...work, partition, unclaimed });
    }
  }

  /** Sends entries in as few calls as possible, creations first. */
  private dispatch(partition: string, entries: readonly Waiting[]): void {
    let group: Waiting[] = [];
    let count = 0;
    let units = 0;
    let bytes = 0;
    for (const entry of [...entries.filter(({ leads }) => leads), ...entries.filter(({ leads }) => !leads)]) {
      const { commands, weight } = entry;
      count += commands.length;
      units += weight.units;
      bytes += weight.bytes + weight.text;
      if (group.length > 0 && (count > MAX_JOINED_COMMANDS || units > MAX_CALL_UNITS || bytes > MAX_JOINED_BYTES)) {
        this.send(partition, group);
        group = [];
        count = commands.length;
        units = weight.units;
        bytes = weight.bytes + weight.text;
      }
      group.push(entry);
    }
    if (group.length > 0) this.send(partition, group);
  }

  private send(partition: string, group: readonly Waiting[]): void {
    const [only] = group;
    if (only !== undefined && group.length === 1) {
      this.options.send(partition, only.commands).then(only.resolve, only.reject);
      return;
    }
    const { interleaved, places } = interleave(group);
    const { commands, answersOf } = joined(interleaved);
    this.options
      .send(partition, commands)
      .then(answersOf)
      .then(
        (answers) =>
          group.forEach(({ resolve }, index) =>
            resolve(present(places[index]).map((place) => present(answers[place]))),
          ),
        (error: unknown) => group.forEach(({ reject }) => reject(error)),
      );
  }
}

/**
 * Interleaves callers' commands so that like ones are adjacent; each caller's order is kept. Callers whose commands are
 * all of order `first` come first, and callers whose commands are all of order `last` come last, so that a claim finds
 * all work that its call makes claimable. Between them come the first commands of the other callers, then their second
 * commands and so on; in each of these rounds, commands of order `last` come last.
 */
function interleave(group: readonly Waiting[]): { interleaved: ParsedCommand[]; places: number[][] } {
  const interleaved: ParsedCommand[] = [];
  const places: number[][] = group.map(() => []);
  const add = (index: number, command: ParsedCommand): void => {
    present(places[index]).push(interleaved.length);
    interleaved.push(command);
  };
  let longest = 0;
  const trails = group.map(({ commands, leads }) => !leads && commands.every(comesLast));
  group.forEach(({ commands, leads }, index) => {
    if (leads) for (const command of commands) add(index, command);
    else if (trails[index] === false) longest = Math.max(longest, commands.length);
  });
  for (let stage = 0; stage < longest; stage++) {
    for (const last of [false, true]) {
      group.forEach(({ commands, leads }, index) => {
        const command = commands[stage];
        if (command !== undefined && !leads && trails[index] === false && comesLast(command) === last)
          add(index, command);
      });
    }
  }
  group.forEach(({ commands }, index) => {
    if (trails[index] === true) for (const command of commands) add(index, command);
  });
  return { interleaved, places };
}

/** Work that the entries make claimable at once, by queue. */
function arrivalsIn(entries: readonly Waiting[]): Iterable<{ work: ClaimableWork; count: number }> {
  const arrivals = new Map<string, { work: ClaimableWork; count: number }>();
  // Adjacent commands mostly create the same single work.
  let previous: readonly ClaimableWork[] | undefined;
  let arrival: { work: ClaimableWork; count: number } | undefined;
  for (const { commands } of entries) {
    for (const { name, args } of commands) {
      const operation = operationNamed(name);
      if (operation.createsWork === undefined) continue;
      const works = operation.createsWork(args as never, previous);
      if (works === previous && arrival !== undefined) {
        arrival.count++;
        continue;
      }
      for (const work of works) {
        const key = `${work.laneId}\t${queueNameOf({ ...work, meters: [] })}`;
        arrival = arrivals.get(key);
        if (arrival === undefined) arrivals.set(key, (arrival = { work, count: 1 }));
        else arrival.count++;
      }
      previous = works.length === 1 ? works : undefined;
    }
  }
  return arrivals.values();
}

/** How many executions of a lane an entry may claim. */
function takenBy({ commands }: Waiting, laneId: string): number {
  let count = 0;
  for (const { name, args } of commands) {
    const taken = operationNamed(name).takes?.(args as never);
    if (taken?.laneId === laneId) count += taken.count;
  }
  return count;
}
