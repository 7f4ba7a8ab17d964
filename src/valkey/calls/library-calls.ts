/** Calls the functions of the library. Every call has the keys of its partition and the settings, and is retried. */
import { library, type Library, type LibraryKind } from '../../../lua/library.js';
import type { DeploymentRecord } from '../boot/deployment.js';
import type { Staging, StagingClient } from '../bytes/staging.js';
import type { TransferClient } from '../bytes/transfers.js';
import type { CallRetrier } from '../connection/call-retrier.js';
import { inOneWrite, type Client } from '../connection/clients.js';
import { callFunction } from '../connection/function-call.js';
import { callKeys } from '../keys.js';
import type { WireArgument } from '../wire/format.js';
import type { WireReply } from '../wire/reply.js';

/** The clock of a test build, which sends the time with every call. */
export interface TestClock {
  readonly now: () => number;
}

/** Follows the settings of a call: its claims leave payloads in their keys, and the client fetches them. */
const LEAVES_PAYLOADS = '\t1';

/** Commands that the types of the client library lack. */
interface Commands extends StagingClient, TransferClient {
  mgetBuffer(keys: readonly string[]): Promise<(Buffer | null)[]>;
}

type FunctionName = 'execute' | 'advance' | 'read' | 'read_page' | 'verify';

export interface LibraryCallsOptions {
  readonly client: Client;
  readonly retrier: CallRetrier;
  readonly prefix: string;
  readonly kind: LibraryKind;
  readonly record: Pick<DeploymentRecord, 'settingsText'>;
  readonly clock: TestClock | undefined;
}

export class LibraryCalls {
  readonly library: Library;
  private readonly names: Readonly<Record<FunctionName, string>>;

  constructor(private readonly options: LibraryCallsOptions) {
    this.library = library(options.kind);
    const { functionPrefix } = this.library;
    this.names = {
      execute: `${functionPrefix}execute`,
      advance: `${functionPrefix}advance`,
      read: `${functionPrefix}read`,
      read_page: `${functionPrefix}read_page`,
      verify: `${functionPrefix}verify`,
    };
  }

  /** The keys that a call of a partition declares. */
  keys(partition: string): string[] {
    return callKeys(this.options.prefix, partition, this.options.client.isCluster);
  }

  /** The first arguments of a call: the settings, and in a test build the time before them. */
  header(leavesPayloads = false): WireArgument[] {
    const { clock, record } = this.options;
    const header = [`${record.settingsText}${leavesPayloads ? LEAVES_PAYLOADS : ''}`];
    return clock === undefined ? header : [String(clock.now()), ...header];
  }

  get commands(): Commands {
    return this.options.client as unknown as Commands;
  }

  /** Calls a function until it is answered or its time is over. @param staging bytes that leave in the same write */
  call(name: FunctionName, keys: readonly string[], argv: WireArgument[], staging?: Staging): Promise<WireReply> {
    const { client, retrier, record, clock } = this.options;
    const settingsAt = clock === undefined ? 0 : 1;
    const functionName = this.names[name];
    return retrier.make(() => {
      // The settings may have changed since the first try of this call.
      const leaves = String(argv[settingsAt]).endsWith(LEAVES_PAYLOADS) ? LEAVES_PAYLOADS : '';
      argv[settingsAt] = `${record.settingsText}${leaves}`;
      if (staging === undefined || staging.isEmpty) return callFunction(client, functionName, keys, argv);
      return inOneWrite(client, () => {
        staging.send(this.commands);
        return callFunction(client, functionName, keys, argv);
      });
    }, retrier.fromNow());
  }
}
