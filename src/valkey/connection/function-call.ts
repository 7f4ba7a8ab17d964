/**
 * The call of a library function as a command of the client library. Such a call has hundreds of arguments; the client
 * library's own command copies the list, asks of each argument what it is, and joins each piece by piece.
 *
 * A subclass may do this: `Command`, `toWritable` and `sendCommand` are declared and exported by the client library, and the
 * arguments that it looks at itself (to find the node of a key) are given to it. `test/valkey/function-call.test.ts` compares
 * what is written with what the client library would write.
 */
import { Command } from 'iovalkey';
import type { WireReply } from '../reply.js';
import type { WireArgument } from '../wire.js';
import type { Client } from './clients.js';

const NAME = 'fcall';
const LINE = '\r\n';
/** What stands before a text of so many bytes, for those that are short. */
const LENGTHS = Array.from({ length: 256 }, (_, bytes) => `$${bytes}`);
/** Answers stay bytes. */
const AS_BYTES = { replyEncoding: null };

export class FunctionCall extends Command {
  constructor(
    functionName: string,
    keys: readonly string[],
    private readonly argv: readonly WireArgument[],
  ) {
    super(NAME, [functionName, String(keys.length), ...keys], AS_BYTES);
  }

  /** What is written to the socket; called again when the call is made again on another node. */
  override toWritable(): string | Buffer {
    const { args, argv } = this;
    // Joined at once: texts that are added one by one are a tree of pieces first.
    let lines = [`*${1 + args.length + argv.length}`, lengthOf(NAME), NAME];
    for (const argument of args as string[]) lines.push(lengthOf(argument), argument);
    let chunks: Buffer[] | undefined;
    for (const argument of argv) {
      if (typeof argument === 'string') {
        lines.push(lengthOf(argument), argument);
        continue;
      }
      lines.push(`$${argument.length}`, '');
      (chunks ??= []).push(Buffer.from(lines.join(LINE)), argument);
      lines = [''];
    }
    lines.push('');
    const text = lines.join(LINE);
    if (chunks === undefined) return text;
    chunks.push(Buffer.from(text));
    return Buffer.concat(chunks);
  }
}

function lengthOf(text: string): string {
  const bytes = Buffer.byteLength(text);
  return LENGTHS[bytes] ?? `$${bytes}`;
}

/** Calls a function of the library. */
export function callFunction(
  client: Client,
  name: string,
  keys: readonly string[],
  argv: readonly WireArgument[],
): Promise<WireReply> {
  return client.sendCommand(new FunctionCall(name, keys, argv)) as Promise<WireReply>;
}
