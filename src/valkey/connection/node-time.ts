/**
 * The clock of the server. In a cluster it is that of one node for as long as that node answers soon, because the clocks
 * of nodes differ; without its answer the others are asked, so that a node that is silent holds up no loop over the
 * partitions of the others.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Valkey } from 'iovalkey';
import { primariesOf, type Client } from './clients.js';
import { nameOf } from './node-faults.js';

/** How long a node is waited for alone, ms. */
const SOON_MS = 100;

export class NodeTime {
  /** The node that answered last. */
  private name = '';

  constructor(private readonly client: Client) {}

  /** ms since the epoch @throws the fault of the first node that was asked */
  async read(): Promise<number> {
    const nodes = primariesOf(this.client);
    const [some] = nodes;
    const first = nodes.find((node) => nameOf(node) === this.name) ?? some;
    const own = this.ask(first);
    const others = nodes.filter((node) => node !== first);
    if (others.length === 0) return own;
    const later = sleep(SOON_MS, undefined, { ref: false }).then(() =>
      Promise.any(others.map((node) => this.ask(node))),
    );
    return Promise.any([own, later]).catch(() => own);
  }

  private async ask(node: Valkey): Promise<number> {
    const [seconds, micros] = await node.time();
    this.name = nameOf(node);
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }
}
