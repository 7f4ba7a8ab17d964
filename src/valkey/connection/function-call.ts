/**
 * The call of a library function as a command of the client library. Such a call has hundreds of arguments. The client
 * library's own command copies the list, checks the type of each argument, and joins the text piece by piece.
 *
 * The subclass uses public API only: the client library declares and exports `Command`, `toWritable` and `sendCommand`.
 * It gets the arguments that it reads itself, to find the node of a key. `test/valkey/function-call.test.ts` compares
 * the written bytes with those of the client library.
 */
import { Command } from 'iovalkey';
import type { WireReply } from '../wire/reply.js';
import type { WireArgument } from '../wire/format.js';
import type { Client } from './clients.js';

const NAME = 'fcall';
const LINE = '\r\n';
/** Length prefixes of short texts, by their bytes. */
const LENGTHS = Array.from({ length: 256 }, (_, bytes) => `$${bytes}`);
/** Answers are not decoded. */
const AS_BYTES = { replyEncoding: null };

export class FunctionCall extends Command {
  constructor(
    functionName: string,
    keys: readonly string[],
    private readonly argv: readonly WireArgument[],
  ) {
    super(NAME, [functionName, String(keys.length), ...keys], AS_BYTES);
  }

  /** The bytes for the socket; called again after a redirection to another node. */
  override toWritable(): string | Buffer {
    const { args, argv } = this;
    // Joined at once, because repeated concatenation would first build a tree of pieces.
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
