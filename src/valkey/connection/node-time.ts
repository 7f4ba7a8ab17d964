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

interface Answer {
  readonly name: string;
  /** ms since the epoch */
  readonly now: number;
}

export class NodeTime {
  /** The node whose clock counts. */
  private name = '';

  constructor(private readonly client: Client) {}

  /** ms since the epoch @throws the fault of the first node that was asked */
  async read(): Promise<number> {
    const nodes = primariesOf(this.client);
    const first = nodes.find((node) => nameOf(node) === this.name) ?? nodes[0];
    const { name, now } = await answerOf(
      first,
      nodes.filter((node) => node !== first),
    );
    this.name = name;
    return now;
  }
}

/** The answer of a node; of the first other one that answers, if it does not answer soon. */
async function answerOf(node: Valkey, others: readonly Valkey[]): Promise<Answer> {
  const own = ask(node);
  if (others.length === 0) return own;
  const answered = new AbortController();
  const later = sleep(SOON_MS, undefined, { ref: false, signal: answered.signal }).then(() =>
    Promise.any(others.map(ask)),
  );
  try {
    return await Promise.any([own, later]).catch(() => own);
  } finally {
    answered.abort();
  }
}

async function ask(node: Valkey): Promise<Answer> {
  const [seconds, micros] = await node.time();
  return { name: nameOf(node), now: Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000) };
}
