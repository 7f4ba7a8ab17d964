/**
 * Joins calls that are made at the same moment. Commands of one partition that different callers send in one turn of
 * the event loop travel, and run, as one function call: the server pays for one call, and commands of one kind share
 * their index writes. Each caller gets the answers to its own commands; its commands keep their order, others' may
 * run between them. Nobody waits: what is joined is what is there when the turn ends.
 *
 * Creations go first, and before they leave, those who wait for such work in this process are told: what they claim
 * then travels behind the creations and finds them.
 */
import type { ParsedArgsOf, ParsedCommand } from '../../model/machine.js';
import { MAX_BYTES_TOGETHER, MAX_TOGETHER } from '../together.js';
import type { Answer } from './answers.js';
import { jointClaims } from './joint-claims.js';

/** New work of one kind that is about to leave for a partition. */
export interface Arrival {
  readonly partition: string;
  readonly laneId: string;
  readonly requiredCapabilities: readonly string[];
  /** How much of it nobody has claimed so far. */
  readonly unclaimed: () => number;
}

export interface CoalescerOptions {
  readonly send: (partition: string, commands: readonly ParsedCommand[]) => Promise<Answer[]>;
  /** Called with new work before it is sent; what it sends to the partition before it returns goes along. */
  readonly onArrival?: (arrival: Arrival) => void;
}

interface Waiting {
  readonly commands: readonly ParsedCommand[];
  /** It does nothing but create. */
  readonly creates: boolean;
  readonly bytes: number;
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits for one partition. */
interface Gathering {
  readonly entries: Waiting[];
  announced: boolean;
}

function payloadBytes(commands: readonly ParsedCommand[]): number {
  let bytes = 0;
  for (const { name, args } of commands) {
    if (name === 'createExecution') bytes += args.inputPayload.byteLength;
    else if (name === 'completeExecution') bytes += args.resultPayload?.byteLength ?? 0;
  }
  return bytes;
}

export const isCreation = ({ name }: ParsedCommand): boolean => name === 'createExecution';

export class Coalescer {
  private readonly waiting = new Map<string, Gathering>();

  constructor(private readonly options: CoalescerOptions) {}

  /** Sends commands with whatever else goes to their partition in this turn. */
  run(partition: string, commands: readonly ParsedCommand[]): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      const entry = { commands, creates: commands.every(isCreation), bytes: payloadBytes(commands), resolve, reject };
      const gathering = this.waiting.get(partition);
      if (gathering !== undefined) {
        gathering.entries.push(entry);
        return;
      }
      this.waiting.set(partition, { entries: [entry], announced: false });
      // From inside a promise's reaction, this runs when all reactions of the turn have run.
      process.nextTick(() => this.flush(partition));
    });
  }

  /** Sends what waits for a partition now, so that a read made after it sees it. */
  flush(partition: string): void {
    const gathering = this.waiting.get(partition);
    if (gathering === undefined) return;
    try {
      // A listener that reads from this partition comes back here.
      if (!gathering.announced) {
        gathering.announced = true;
        this.announce(partition, gathering.entries);
      }
    } finally {
      if (this.waiting.get(partition) === gathering) {
        this.waiting.delete(partition);
        this.dispatch(partition, gathering.entries);
      }
    }
  }

  private announce(partition: string, entries: readonly Waiting[]): void {
    const { onArrival } = this.options;
    if (onArrival === undefined) return;
    for (const { laneId, requiredCapabilities, count } of arrivalsIn(entries)) {
      let seen = entries.length;
      let left = count;
      const unclaimed = (): number => {
        for (; seen < entries.length; seen++) left -= claimedBy(entries[seen] as Waiting, laneId);
        return left;
      };
      onArrival({ partition, laneId, requiredCapabilities, unclaimed });
    }
  }

  /** Sends entries in as few calls as may be, creations first. */
  private dispatch(partition: string, entries: readonly Waiting[]): void {
    let group: Waiting[] = [];
    let count = 0;
    let bytes = 0;
    for (const entry of [...entries.filter(({ creates }) => creates), ...entries.filter(({ creates }) => !creates)]) {
      if (
        group.length > 0 &&
        (count + entry.commands.length > MAX_TOGETHER || bytes + entry.bytes > MAX_BYTES_TOGETHER)
      ) {
        this.send(partition, group);
        group = [];
        count = 0;
        bytes = 0;
      }
      group.push(entry);
      count += entry.commands.length;
      bytes += entry.bytes;
    }
    if (group.length > 0) this.send(partition, group);
  }

  private send(partition: string, group: readonly Waiting[]): void {
    const [only] = group;
    if (only !== undefined && group.length === 1) {
      this.options.send(partition, only.commands).then(only.resolve, only.reject);
      return;
    }
    const { joined, places } = join(group);
    const { commands, answersOf } = jointClaims(joined);
    this.options
      .send(partition, commands)
      .then(answersOf)
      .then(
        (answers) =>
          group.forEach(({ resolve }, index) =>
            resolve((places[index] as number[]).map((place) => answers[place] as Answer)),
          ),
        (error: unknown) => group.forEach(({ reject }) => reject(error)),
      );
  }
}

/**
 * The commands of several callers as one list, and where those of each stand. Creations first; of the others the first
 * commands first, then the second ones, and claims behind the rest: so equal commands meet, and each caller's keep
 * their order.
 */
function join(group: readonly Waiting[]): { joined: ParsedCommand[]; places: number[][] } {
  const joined: ParsedCommand[] = [];
  const places: number[][] = group.map(() => []);
  const add = (index: number, command: ParsedCommand): void => {
    (places[index] as number[]).push(joined.length);
    joined.push(command);
  };
  let longest = 0;
  group.forEach(({ commands, creates }, index) => {
    if (creates) for (const command of commands) add(index, command);
    else longest = Math.max(longest, commands.length);
  });
  for (let stage = 0; stage < longest; stage++) {
    for (const claims of [false, true]) {
      group.forEach(({ commands, creates }, index) => {
        const command = commands[stage];
        if (command !== undefined && !creates && (command.name === 'claimForWorker') === claims) add(index, command);
      });
    }
  }
  return { joined, places };
}

/** What the entries create that can be claimed at once, by lane and required capabilities. */
function arrivalsIn(
  entries: readonly Waiting[],
): Iterable<{ laneId: string; requiredCapabilities: readonly string[]; count: number }> {
  const arrivals = new Map<string, { laneId: string; requiredCapabilities: readonly string[]; count: number }>();
  for (const { commands } of entries) {
    for (const { name, args } of commands) {
      if (name !== 'createExecution' || isDelayed(args)) continue;
      const requiredCapabilities = args.policy?.routingRequirements?.requiredCapabilities ?? [];
      const key = `${args.laneId}:${requiredCapabilities.join(',')}`;
      const known = arrivals.get(key);
      if (known === undefined) arrivals.set(key, { laneId: args.laneId, requiredCapabilities, count: 1 });
      else known.count++;
    }
  }
  return arrivals.values();
}

const isDelayed = ({ delayUntil, policy }: ParsedArgsOf<'createExecution'>): boolean =>
  delayUntil !== undefined || policy?.delayUntil !== undefined;

/** How much of a lane an entry claims. */
function claimedBy({ commands }: Waiting, laneId: string): number {
  let count = 0;
  for (const { name, args } of commands)
    if (name === 'claimForWorker' && args.laneId === laneId) count += args.claims.length;
  return count;
}
