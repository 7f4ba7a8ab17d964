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
const START = `$${NAME.length}\r\n${NAME}\r\n`;
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
    let text = `*${1 + args.length + argv.length}\r\n${START}`;
    for (const argument of args) text += bulk(argument as string);
    let chunks: Buffer[] | undefined;
    for (const argument of argv) {
      if (typeof argument === 'string') {
        text += bulk(argument);
        continue;
      }
      (chunks ??= []).push(Buffer.from(`${text}$${argument.length}\r\n`), argument);
      text = '\r\n';
    }
    if (chunks === undefined) return text;
    chunks.push(Buffer.from(text));
    return Buffer.concat(chunks);
  }
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Calls a function of the library. */
export function callFunction(
  client: Client,
  name: string,
  keys: readonly string[],
  argv: readonly WireArgument[],
): Promise<WireReply> {
  return client.sendCommand(new FunctionCall(name, keys, argv)) as Promise<WireReply>;
}
