/** Verifies a partition through the connection: lists its keys node by node, and calls the steps of the library. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LibraryCalls } from '../calls/library-calls.js';
import type { CallRetrier } from '../connection/call-retrier.js';
import { nodeOf, primariesOf, type Client } from '../connection/clients.js';
import { CallNotSent, connectionFault, nameOf } from '../connection/node-faults.js';
import { partitionStart } from '../keys.js';
import { serverInfo } from '../boot/server-check.js';
import { takeAside } from '../wire/format.js';
import { listOf, type WireReply } from '../wire/reply.js';
import type { VerifyResult } from './mending.js';
import { Verification } from './verify.js';

/** `COUNT` of a `SCAN`. */
const SCANNED_AT_ONCE = 1_000;

/** Longest rest between two steps of a verification that no caller waits for, ms. */
const MAX_REST_MS = 100;

export interface PartitionVerifierOptions {
  readonly calls: LibraryCalls;
  readonly client: Client;
  readonly retrier: CallRetrier;
  readonly prefix: string;
}

export class PartitionVerifier {
  constructor(private readonly options: PartitionVerifierOptions) {}

  /** Runs a step of a verification. @returns its replies: a result, and what was set aside */
  private async verifyStep(partition: string, words: readonly string[]): Promise<WireReply[]> {
    const { calls } = this.options;
    const argv = [...calls.header(), ...words];
    const reply = await calls.call('verify', calls.keys(partition), argv);
    return [...listOf(reply)];
  }

  /** Runs a step of a verification that sets nothing aside. */
  async mendStep(partition: string, ...words: readonly string[]): Promise<WireReply> {
    const [reply = null] = await this.verifyStep(partition, words);
    return reply;
  }

  /** Verifies a partition. @param rests whether it leaves the server as much time as it takes */
  async verify(partition: string, rests: boolean): Promise<VerifyResult> {
    const found = new Set<string>();
    const rest = async (begun: number): Promise<void> => {
      if (rests) await sleep(Math.min(performance.now() - begun, MAX_REST_MS));
    };
    const step = async (...words: readonly string[]): Promise<WireReply> => {
      const begun = performance.now();
      const replies = await this.verifyStep(partition, words);
      for (const entity of takeAside(replies, partition).setAside) found.add(entity);
      await rest(begun);
      return replies[0] ?? null;
    };
    const link = { keys: () => this.keysOf(partition, rest), step };
    const { mark, ...verified } = await new Verification(link).run();
    return { report: { ...verified, setAside: [...found] }, mark };
  }

  /**
   * Names of the keys of a partition without their common prefix, page by page.
   * @throws EngineError `transport_failed` if the node that has the partition is away, or has become another one
   */
  private async *keysOf(partition: string, rest: (begun: number) => Promise<void>): AsyncGenerator<readonly string[]> {
    const { prefix, client, retrier } = this.options;
    const start = partitionStart(prefix, partition);
    const pattern = `${start.replace(/[[\]?*\\]/g, (character) => `\\${character}`)}*`;
    const home = nodeOf(client, start);
    const node = await retrier.make(async () => {
      const found = primariesOf(client).find((each) => !client.isCluster || nameOf(each) === home);
      if (found === undefined) throw new CallNotSent(home, connectionFault(client));
      return found;
    });
    // Another process at the address, after a restart or a failover, has its keys in another order.
    const runId = async (): Promise<string | undefined> =>
      (await retrier.make(() => serverInfo(node, 'server'))).get('run_id');
    let run: string | undefined;
    do {
      run = await runId();
      let cursor = '0';
      do {
        const at = cursor;
        const begun = performance.now();
        const [next, page] = await retrier.make(() => node.scan(at, 'MATCH', pattern, 'COUNT', SCANNED_AT_ONCE));
        yield page.map((key) => key.slice(start.length));
        cursor = next;
        // A page examines keys of all partitions, and can have none of this one.
        await rest(begun);
      } while (cursor !== '0');
    } while (run !== (await runId()));
    // A call is redirected if the slot of the partition has moved meanwhile, with keys that were not listed yet.
    if (client.isCluster) await this.mendStep(partition, 'records');
    if (nodeOf(client, start) !== home) throw retrier.faultOf(new CallNotSent(home, undefined));
  }
}
