/**
 * The addresses that the nodes of a cluster announce, as we have to read them. A node can announce none, which means the
 * address by which it was asked; or an IP address beside the name that its certificate bears.
 */
import { isIP } from 'node:net';
import type { Valkey } from 'iovalkey';
import type { Address, HostAndPort } from './address.js';

/** Of a node: its endpoint, port, id, and more of its addresses as a list of names and values. */
type AnnouncedNode = [endpoint: string | null, port: number, id?: string, more?: readonly string[]];
/** A range of slots, and the nodes that have it. */
type AnnouncedRange = [first: number, last: number, ...nodes: AnnouncedNode[]];
type SlotsCallback = (error: unknown, ranges?: AnnouncedRange[]) => void;

/** What the client library calls when it asks a node for the slots, on a connection made for that. */
interface Asking {
  cluster(command: string, done: SlotsCallback): unknown;
}

export class AnnouncedAddresses {
  /** Nodes that are better reached by another name than the announced one, by `host:port`. */
  private readonly better = new Map<string, HostAndPort>();

  constructor(private readonly address: Address) {}

  /** The address meant by one in a redirection, `host:port`; null when it is that. */
  meantBy(key: string): HostAndPort | null {
    // Without a host, it is a port of the host that was asked; which one that was is not told.
    const [first] = this.address.nodes;
    if (key.startsWith(':') && first !== undefined) return { host: first.host, port: Number(key.slice(1)) };
    return this.better.get(key) ?? null;
  }

  /** Answers of this node about slots are read as they are meant from now on. */
  heed(node: Valkey): void {
    const duplicate = node.duplicate.bind(node);
    node.duplicate = (override) => {
      const copy = duplicate(override);
      const asking = copy as unknown as Asking;
      const ask = asking.cluster.bind(copy);
      asking.cluster = (command, done) =>
        ask(command, (error, ranges) =>
          done(
            error,
            ranges?.map((range) => this.read(range, copy)),
          ),
        );
      return copy;
    };
  }

  private read([first, last, ...nodes]: AnnouncedRange, asked: Valkey): AnnouncedRange {
    return [first, last, ...nodes.map((node) => this.readNode(node, asked.options.host ?? 'localhost'))];
  }

  private readNode([endpoint, port, id, more = []]: AnnouncedNode, askedHost: string): AnnouncedNode {
    // "?" is a name that was not set; nothing is the address by which the node was asked.
    const host = (endpoint === '?' ? memberOf(more, 'ip') : endpoint) || askedHost;
    const name = memberOf(more, 'hostname');
    const { tls } = this.address;
    // A certificate bears names: connect by the name, unless the caller says what the certificate has to bear.
    const byName =
      tls !== undefined && tls.servername === undefined && isIP(host) !== 0 && name !== undefined && name !== '';
    if (byName) this.better.set(`${host}:${port}`, { host: name, port });
    return id === undefined ? [byName ? name : host, port] : [byName ? name : host, port, id, more];
  }
}

function memberOf(pairs: readonly string[], name: string): string | undefined {
  const at = pairs.indexOf(name);
  return at === -1 || at % 2 === 1 ? undefined : pairs[at + 1];
}
