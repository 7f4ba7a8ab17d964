/**
 * Joins calls that are made at the same moment. Commands of one partition that different callers send in one turn of
 * the event loop travel, and run, as one function call: the server pays for one call, and commands of one kind share
 * their index writes. Each caller gets the answers to its own commands; its commands keep their order, others' may
 * run between them. Nobody waits: what is joined is what is there when the turn ends.
 */
import type { Decision } from '../../model/core/operation.js';
import type { OperationName, OutcomeOf, ParsedCommand } from '../../model/machine.js';

export type Decisions = Decision<OutcomeOf<OperationName>>[];

/** Most commands that are joined: a call of this many holds the server for about a millisecond. */
const MAX_JOINED_COMMANDS = 64;
/** Most payload bytes that are joined: beyond, the copying costs more than the call saves. */
const MAX_JOINED_BYTES = 256 * 1024;

interface Waiting {
  readonly commands: readonly ParsedCommand[];
  readonly resolve: (decisions: Decisions) => void;
  readonly reject: (error: unknown) => void;
}

function payloadBytes(commands: readonly ParsedCommand[]): number {
  let bytes = 0;
  for (const { name, args } of commands) {
    if (name === 'createExecution') bytes += args.inputPayload.byteLength;
    else if (name === 'completeExecution') bytes += args.resultPayload?.byteLength ?? 0;
  }
  return bytes;
}

const creates = ({ commands }: Waiting): boolean => commands.some(({ name }) => name === 'createExecution');

export class Coalescer {
  private readonly waiting = new Map<string, Waiting[]>();

  constructor(private readonly send: (partition: string, commands: readonly ParsedCommand[]) => Promise<Decisions>) {}

  /** Sends commands with whatever else goes to their partition in this turn. */
  run(partition: string, commands: readonly ParsedCommand[]): Promise<Decisions> {
    return new Promise((resolve, reject) => {
      const entry = { commands, resolve, reject };
      const queue = this.waiting.get(partition);
      if (queue !== undefined) {
        queue.push(entry);
        return;
      }
      this.waiting.set(partition, [entry]);
      // From inside a promise's reaction, this runs when all reactions of the turn have run.
      process.nextTick(() => this.flush(partition));
    });
  }

  /** Sends what waits for a partition now, so that a read made after it sees it. */
  flush(partition: string): void {
    const queue = this.waiting.get(partition);
    if (queue === undefined) return;
    this.waiting.delete(partition);
    let group: Waiting[] = [];
    let count = 0;
    let bytes = 0;
    for (const entry of queue) {
      const more = payloadBytes(entry.commands);
      const first = group[0];
      // Creations travel apart from the rest: a server whose memory is full refuses them alone.
      const apart = first !== undefined && creates(first) !== creates(entry);
      if (group.length > 0 && (apart || count + entry.commands.length > MAX_JOINED_COMMANDS || bytes + more > MAX_JOINED_BYTES)) {
        this.dispatch(partition, group);
        group = [];
        count = 0;
        bytes = 0;
      }
      group.push(entry);
      count += entry.commands.length;
      bytes += more;
    }
    if (group.length > 0) this.dispatch(partition, group);
  }

  private dispatch(partition: string, group: readonly Waiting[]): void {
    const [only] = group;
    if (only !== undefined && group.length === 1) {
      this.send(partition, only.commands).then(only.resolve, only.reject);
      return;
    }
    // First commands first, then second ones: so equal commands meet, and each caller's keep their order.
    const joined: ParsedCommand[] = [];
    const places: number[][] = group.map(() => []);
    const longest = Math.max(...group.map(({ commands }) => commands.length));
    for (let stage = 0; stage < longest; stage++) {
      group.forEach(({ commands }, index) => {
        const command = commands[stage];
        if (command === undefined) return;
        (places[index] as number[]).push(joined.length);
        joined.push(command);
      });
    }
    this.send(partition, joined).then(
      (decisions) => group.forEach(({ resolve }, index) => resolve((places[index] as number[]).map((place) => decisions[place] as Decisions[number]))),
      (error: unknown) => group.forEach(({ reject }) => reject(error)),
    );
  }
}
