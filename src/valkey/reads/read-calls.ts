/** Reads of one partition: one call of the library each, and the fetches of bytes that are too long for its answer. */
import { present } from '../../../model/core/present.js';
import type { Transfers } from '../bytes/transfers.js';
import type { LibraryCalls } from '../calls/library-calls.js';
import type { WireArgument } from '../wire/format.js';
import { numberOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';

/** How often a read is repeated when its bytes disappear meanwhile. After that they count as gone. */
const MAX_READS = 3;

export interface ReadCallsOptions {
  readonly calls: LibraryCalls;
  readonly transfers: Transfers;
  /** Sends the commands of the partition that wait for the end of the turn. */
  readonly flush: (partition: string) => void;
}

export class ReadCalls {
  constructor(private readonly options: ReadCallsOptions) {}

  /** Makes a read. @param bytesAt where the answer has a list of bytes @param isPage whether long pages take turns */
  async fetch(
    partition: string,
    request: readonly WireArgument[],
    bytesAt: number | undefined,
    isPage = false,
  ): Promise<WireReply> {
    const { calls, transfers, flush } = this.options;
    // Commands that were sent earlier must reach the server first, except those whose long bytes are being stored, and
    // later parts of a large batch.
    flush(partition);
    for (let reads = 1; ; reads++) {
      const keys = calls.keys(partition);
      const read = (name: 'read' | 'read_page', argv: readonly WireArgument[]): Promise<WireReply> =>
        calls.call(name, keys, [...calls.header(), ...argv]);
      const readPage = (mostBytes: number): Promise<WireReply> => read('read_page', [String(mostBytes), ...request]);
      const reply = await (isPage ? transfers.readPage(present(keys[0]), readPage) : read('read', request));
      if (bytesAt === undefined || !Array.isArray(reply)) return reply;
      // Bytes that were removed or replaced meanwhile are others by now.
      if ((await this.fetchLong(present(reply[bytesAt]) as WireReply[])) || reads === MAX_READS) return reply;
    }
  }

  /** Puts long bytes into a list, each as a list of its own, or null where they are gone. @returns whether all are there */
  private async fetchLong(list: WireReply[]): Promise<boolean> {
    let isWhole = true;
    for (const [place, left] of list.entries()) {
      if (!Array.isArray(left)) continue;
      const [bytes, key] = repliesOf(left, 2);
      const fetched = await this.options.transfers.fetch(textOf(key), numberOf(bytes));
      list[place] = fetched === undefined ? null : [fetched];
      isWhole &&= fetched !== undefined;
    }
    return isWhole;
  }
}
