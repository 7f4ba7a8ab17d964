/**
 * Interprets the addresses that the nodes of a cluster announce. A node can announce none, which means the address at
 * which it was asked; or an IP address together with the name in its certificate.
 */
import { isIP } from 'node:net';
import type { Valkey } from 'iovalkey';
import { EngineError } from '../../../model/errors.js';
import type { Address, HostAndPort } from './address.js';
import { nameOf } from './node-faults.js';

/** A node: its endpoint, port, id, and further addresses as a list of names and values. */
type AnnouncedNode = [endpoint: string | null, port: number, id?: string, more?: readonly string[]];
/** A range of slots, and its nodes. */
type AnnouncedRange = [first: number, last: number, ...nodes: AnnouncedNode[]];
type SlotsCallback = (error: unknown, ranges?: AnnouncedRange[]) => void;

/** The method by which the client library asks a node for the slots, on a connection made for that. */
interface SlotsQuerier {
  cluster(command: string, done: SlotsCallback): unknown;
}

export class AnnouncedAddresses {
  /** Better addresses than the announced ones, by `host:port`. */
  private readonly certified = new Map<string, HostAndPort>();

  constructor(private readonly address: Address) {}

  /** The address to use for one in a redirection, `host:port`; null for the same one. */
  addressFor(key: string): HostAndPort | null {
    // Without a host, the port belongs to the host that was asked, which is unknown here: the first node is used.
    const [first] = this.address.nodes;
    if (key.startsWith(':') && first !== undefined) return { host: first.host, port: Number(key.slice(1)) };
    return this.certified.get(key) ?? null;
  }

  /** Interprets all further answers of this node about slots. */
  interceptSlots(node: Valkey): void {
    const duplicate = node.duplicate.bind(node);
    node.duplicate = (override) => {
      const copy = duplicate(override);
      const querier = copy as unknown as SlotsQuerier;
      const ask = querier.cluster.bind(copy);
      querier.cluster = (command, done) =>
        ask(command, (error, ranges) => {
          // The client library would connect to no node, in silence.
          if (ranges?.length === 0)
            return done(new EngineError('server_not_ready', `The cluster of ${nameOf(copy)} has no slots yet.`));
          done(
            error,
            ranges?.map((range) => this.read(range, copy)),
          );
        });
      return copy;
    };
  }

  private read([first, last, ...nodes]: AnnouncedRange, asked: Valkey): AnnouncedRange {
    return [first, last, ...nodes.map((node) => this.readNode(node, asked.options.host ?? 'localhost'))];
  }

  private readNode([endpoint, port, id, more = []]: AnnouncedNode, askedHost: string): AnnouncedNode {
    // "?" is an unset name; an empty endpoint means the address at which the node was asked.
    const host = (endpoint === '?' ? memberOf(more, 'ip') : endpoint) || askedHost;
    const name = memberOf(more, 'hostname');
    const { tls } = this.address;
    // Certificates contain names: connect by the name, unless the caller has set `servername`.
    const byName =
      tls !== undefined && tls.servername === undefined && isIP(host) !== 0 && name !== undefined && name !== '';
    if (byName) this.certified.set(`${host}:${port}`, { host: name, port });
    return id === undefined ? [byName ? name : host, port] : [byName ? name : host, port, id, more];
  }
}

function memberOf(pairs: readonly string[], name: string): string | undefined {
  const at = pairs.indexOf(name);
  return at === -1 || at % 2 === 1 ? undefined : pairs[at + 1];
}
