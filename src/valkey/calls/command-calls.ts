/** Runs commands of one partition in one call of the library, and reads the answers. */
import { present } from '../../../model/core/present.js';
import type { EngineError } from '../../../model/errors.js';
import type { ParsedCommand } from '../../../model/machine.js';
import { SetAsideError } from '../../backend/set-aside.js';
import type { LongBytes } from '../bytes/long-bytes.js';
import { claimsIn, fillPayloads } from '../bytes/payloads.js';
import { Staging } from '../bytes/staging.js';
import type { Connection } from '../connection/connection.js';
import { BrokeOff } from '../connection/faults.js';
import { bytesKey } from '../keys.js';
import type { Mending } from '../verify/mending.js';
import { faulty, libraryMismatch, type Answer } from '../wire/answers.js';
import { CallWriter, decodeReply, isNotStaged, takeAside, type Stage } from '../wire/format.js';
import type { WireReply } from '../wire/reply.js';
import { addsToStore } from './coalescer.js';
import { runInParts } from './large-batches.js';
import type { LibraryCalls } from './library-calls.js';

export interface CommandCallsOptions {
  readonly calls: LibraryCalls;
  readonly connection: Pick<Connection, 'label' | 'retrier' | 'tell'>;
  readonly prefix: string;
  readonly longBytes: LongBytes;
  readonly mending: Mending;
  /** Claims of so many executions in one call leave the payloads in their keys. */
  readonly fetchedFromClaims: number;
}

/** Whether a pass over due work is among the commands, which tells whether calls broke off. */
const tellsOfBreaks = ({ name }: ParsedCommand): boolean => name === 'applyDue';

export class CommandCalls {
  constructor(private readonly options: CommandCallsOptions) {}

  /**
   * Runs commands in one call. @returns an answer to each @throws EngineError if the fate of all commands is unknown
   */
  async run(partition: string, commands: readonly ParsedCommand[], stagedFromBytes: number): Promise<Answer[]> {
    const { calls, prefix, longBytes, mending, connection, fetchedFromClaims } = this.options;
    const staging = new Staging(stagedFromBytes);
    const claims = claimsIn(commands);
    const argv = calls.header(claims >= fetchedFromClaims);
    const writer = new CallWriter(argv);
    let own: Parameters<typeof bytesKey>[2];
    const stage: Stage = {
      place: (slot, bytes) => {
        const stored = longBytes.placeOf(own, slot);
        if (stored !== undefined) return stored.name;
        // A value of a step that is not long is stored among the steps.
        return slot === 'step' ? undefined : staging.place(bytesKey(prefix, slot, own), bytes);
      },
      nameOf: (member) => longBytes.placeOf(member as typeof own, 'input')?.name,
    };
    for (const { name, args } of commands) {
      own = args as unknown as typeof own;
      writer.push(name, args as unknown as Record<string, unknown>, stage);
    }
    const keys = calls.keys(partition);
    // When its memory is full, the server refuses calls with new work, and accepts calls that only end work.
    const name = commands.some(addsToStore) ? 'execute' : 'advance';
    let replies: WireReply[];
    try {
      replies = (await calls.call(name, keys, argv, staging)) as WireReply[];
    } catch (error) {
      this.noteBreak(partition, error);
      return this.withoutCreations(partition, commands, stagedFromBytes, error as EngineError);
    }
    const { setAside, hasBroken } = takeAside(replies, partition);
    if (hasBroken) mending.found(partition);
    else if (mending.knows(partition) && commands.some(tellsOfBreaks)) mending.forget(partition);
    if (setAside.length > 0) connection.tell(new SetAsideError(partition, setAside));
    const answers: Answer[] = [];
    for (const reply of replies) {
      if (isNotStaged(reply)) break;
      answers.push(this.answerOf(present(commands[answers.length]), reply, partition));
    }
    if (claims > 0) {
      const filled = fillPayloads(prefix, answers, (keys) =>
        connection.retrier.read(() => calls.commands.mgetBuffer(keys)),
      );
      if (filled !== undefined) await filled;
    }
    if (answers.length < commands.length) {
      const rest = commands.slice(answers.length);
      // Unless bytes are missing, the answered commands were all that a call may do.
      const lacksBytes = replies.some(isNotStaged) || answers.length === 0;
      // All bytes were in the call, so the library reads the arguments in another form.
      if (lacksBytes && stagedFromBytes === Infinity) throw libraryMismatch(connection.label);
      if (lacksBytes) longBytes.giveUp(rest);
      answers.push(...(await this.runRest(partition, rest, lacksBytes ? Infinity : stagedFromBytes)));
    }
    return answers;
  }

  /**
   * A server whose memory is full refused the call because of its creations: sends the other commands without them. A
   * creation is answered alike, whatever else was in its call.
   */
  private async withoutCreations(
    partition: string,
    commands: readonly ParsedCommand[],
    stagedFromBytes: number,
    refused: EngineError,
  ): Promise<Answer[]> {
    const rest = commands.filter((command) => !addsToStore(command));
    if (refused.code !== 'server_memory_full' || rest.length === commands.length) throw refused;
    const answers = rest.length === 0 ? [] : await this.runRest(partition, rest, stagedFromBytes);
    return commands.map((command) => (addsToStore(command) ? faulty(refused) : present(answers.shift())));
  }

  /** Runs the remaining commands of a call. A fault affects only these commands. */
  private async runRest(
    partition: string,
    commands: readonly ParsedCommand[],
    stagedFromBytes: number,
  ): Promise<Answer[]> {
    try {
      // Bytes that were stored before a call may have to be in it now.
      return [...(await runInParts(commands, (part) => this.run(partition, part, stagedFromBytes)))];
    } catch (error) {
      return commands.map(() => faulty(error as EngineError));
    }
  }

  private answerOf({ name, args }: ParsedCommand, reply: WireReply, partition: string): Answer {
    try {
      return decodeReply(name, args as unknown as Record<string, unknown>, reply, partition);
    } catch (error) {
      this.noteBreak(partition, error);
      return faulty(this.options.connection.retrier.faultOf(error));
    }
  }

  private noteBreak(partition: string, error: unknown): void {
    if (error instanceof BrokeOff) this.options.mending.brokeOff(partition, error);
  }
}
