/** Tells when the server cannot be reached, and when it can again: for a cluster, every primary. */
import { Cluster, type Valkey } from 'iovalkey';
import { ConnectionNotice } from '../../backend/connection-notice.js';
import type { Client } from './clients.js';
import { lossOf } from './faults.js';
import { connectionFault, nameOf, NodeFault, reasonOf } from './node-faults.js';

/** How long a node may be without a connection, ms. A client leaves a replica, and is back at once. */
const GRACE_MS = 1_000;
/** How often the client of a cluster looks for lost nodes, ms: it connects to them only for a call otherwise. */
const PROBED_EVERY_MS = 1_000;

export class Reachability {
  /** Nodes without a connection, by name. */
  private readonly lost = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private told: ConnectionNotice | undefined;
  private probing: ReturnType<typeof setInterval> | undefined;
  private isClosed = false;

  constructor(
    private readonly client: Client,
    private readonly tell: (notice: ConnectionNotice) => void,
  ) {
    if (client instanceof Cluster) {
      for (const node of client.nodes()) this.watch(node);
      client.on('+node', (node: Valkey) => this.watch(node));
      client.on('-node', (node: Valkey) => this.lose(nameOf(node)));
      // The slots of a lost primary may have another one by now.
      client.on('refresh', () => this.settle());
    } else {
      this.watch(client);
      client.on('close', () => this.lose(nameOf(client)));
    }
  }

  /** The notice of the present outage. */
  get outage(): ConnectionNotice | undefined {
    return this.told;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    clearInterval(this.probing);
  }

  private watch(node: Valkey): void {
    node.on('ready', () => {
      // A connection whose login was refused is closing, although the library calls it ready.
      if (node.stream.writable && this.lost.delete(nameOf(node))) this.settle();
    });
  }

  private lose(name: string): void {
    if (this.isClosed) return;
    this.lost.add(name);
    this.settle();
  }

  private settle(): void {
    const { client, lost, told } = this;
    for (const name of lost) if (!isNeeded(client, name)) lost.delete(name);
    if (lost.size > 0) {
      this.timer ??= setTimeout(() => this.tellLoss(), GRACE_MS).unref();
      return;
    }
    clearTimeout(this.timer);
    this.timer = undefined;
    clearInterval(this.probing);
    this.told = undefined;
    if (told !== undefined) this.tell(new ConnectionNotice(false, 'The server can be reached again.'));
  }

  private tellLoss(): void {
    const { client } = this;
    const fault = connectionFault(client);
    // The node that did not answer can be a Sentinel.
    const asked = !(client instanceof Cluster) && fault instanceof NodeFault ? [fault.node] : this.lost;
    const { code, message } = lossOf([...asked].join(', '), fault);
    this.told = new ConnectionNotice(true, message, { code, cause: reasonOf(fault) });
    // Before listeners are told: one of them may close the backend.
    if (client instanceof Cluster) this.probing = setInterval(() => probe(client), PROBED_EVERY_MS).unref();
    this.tell(this.told);
  }
}

function probe(client: Cluster): void {
  client.refreshSlotsCache();
  for (const node of client.nodes('master')) if (node.status === 'wait') node.connect().catch(() => undefined);
}

/** Whether the client needs the node: in a cluster, only a primary that holds slots. */
const isNeeded = (client: Client, name: string): boolean =>
  !(client instanceof Cluster) || client.slots.some(([primary]) => primary === name);
