/** Connectors for the client library: they open the connections, and say what fails before a server has answered. */
import { lookup as dnsLookup } from 'node:dns';
import type { LookupFunction, Socket } from 'node:net';
import { AbstractConnector, SentinelConnector, type RedisOptions, type Valkey } from 'iovalkey';
import type { EngineError } from '../../../model/errors.js';
import { isReply } from '../../../model/safe-cause.js';
import { invalidOption } from '../invalid-option.js';
import type { Address, HostAndPort } from './address.js';
import { isPermanent } from './faults.js';
import { FirstContact, type ReportFault } from './first-contact.js';
import { guardedLookup } from './lookup.js';
import { CallNotSent, connectionFault, nameFaults, reasonOf } from './node-faults.js';
import { openSocket } from './sockets.js';

type ConnectorClass = NonNullable<RedisOptions['Connector']>;

/** How to connect, beside the host and port. */
type Route = Pick<Address, 'tls' | 'lookup'>;

const lookupOf = ({ lookup }: Route): LookupFunction => (lookup === undefined ? dnsLookup : guardedLookup(lookup));

/** Connects to the host and port of the options. */
export function connectorWith(route: Route, timeoutMs: number): ConnectorClass {
  const lookup = lookupOf(route);
  const contact = new FirstContact(timeoutMs);
  return class NodeConnector extends AbstractConnector {
    private stopWatching: (() => void) | undefined;

    constructor(private readonly options: RedisOptions) {
      super(options.disconnectTimeout ?? 0);
    }

    // Asynchronous, so that an option that Node refuses rejects the promise.
    override async connect(report: ReportFault): Promise<Socket> {
      this.connecting = true;
      const { host = 'localhost', port = 6379 } = this.options;
      const target = { host, port, tls: route.tls, lookup };
      const stream = openSocket(target);
      this.stream = stream;
      stream.once('error', (error) => (this.firstError = error));
      this.stopWatching = contact.watch(stream, target, report);
      return stream;
    }

    override disconnect(): void {
      this.stopWatching?.();
      super.disconnect();
    }
  } as unknown as ConnectorClass;
}

/** Members that the types of the client library hide. */
interface SentinelClients {
  connectToSentinel(endpoint: object, options?: RedisOptions): Valkey;
  resolve(endpoint: Partial<HostAndPort>): Promise<HostAndPort | null>;
}

/** Finds the primary by Sentinels. */
export function sentinelConnectorWith(address: Address, timeoutMs: number): ConnectorClass {
  const { tls, name } = address;
  const lookup = lookupOf(address);
  // One Sentinel that never answers must leave time for the others.
  const shareMs = timeoutMs / (address.sentinels.length + 1);
  const Connector = connectorWith(address, shareMs);
  const contact = new FirstContact(timeoutMs);
  return class extends SentinelConnector {
    private stopWatching: (() => void) | undefined;
    /** Why each Sentinel of this round named no primary. */
    private faults: unknown[] = [];
    private primary: HostAndPort | null = null;
    /** The client of the Sentinel that was asked last. */
    private asked: Valkey | undefined;

    constructor(options: RedisOptions) {
      super({ ...options, natMap: (key) => ({ ...hostAndPort(key), lookup }) });
      const inner = this as unknown as SentinelClients;
      const connect = inner.connectToSentinel.bind(this);
      inner.connectToSentinel = (endpoint, given) =>
        (this.asked = nameFaults(
          connect(endpoint, { ...given, Connector, connectTimeout: shareMs, commandTimeout: shareMs }),
        ));
      const resolve = inner.resolve.bind(this);
      inner.resolve = async (endpoint) => {
        const sentinel = `${endpoint.host}:${endpoint.port}`;
        try {
          this.primary = await resolve(endpoint);
        } catch (error) {
          // The call after a refused login is refused for the lack of one.
          const login = connectionFault(this.asked ?? {});
          this.faults.push(faultOfSentinel(sentinel, name, isReply(login) ? login : error));
          throw error;
        }
        if (this.primary === null) this.faults.push(unknownName(sentinel, name));
        else this.endRound();
        return this.primary;
      };
    }

    override async connect(report: ReportFault): Promise<Socket> {
      // Of the other events, which name one Sentinel each, only the fault of the whole round is of use.
      const stream = await super.connect((type, error) => {
        if (type === 'error') report('error', this.takeFault() ?? error);
      });
      const { primary } = this;
      if (primary !== null) this.stopWatching = contact.watch(stream, { ...primary, tls, lookup }, report);
      return stream;
    }

    override disconnect(): void {
      this.stopWatching?.();
      super.disconnect();
    }

    /** The next round tells its own faults, and asks all Sentinels: those after the one that answered come first. */
    private endRound(): void {
      const { sentinelIterator: list } = this;
      this.faults = [];
      // Begins with the Sentinel that was taken last.
      list.reset(!list.next().done);
    }

    /** The reason why this round failed: one that may pass, if any Sentinel has such a reason. */
    private takeFault(): Error | undefined {
      const faults = this.faults.splice(0);
      return (faults.find((fault) => !isPermanent(fault)) ?? faults[0]) as Error | undefined;
    }
  } as unknown as ConnectorClass;
}

const unknownName = (sentinel: string, name: string | undefined): EngineError =>
  invalidOption('name', `the Sentinel ${sentinel} knows no primary "${name}".`);

/** Why a Sentinel was not asked, or did not answer. */
function faultOfSentinel(sentinel: string, name: string | undefined, error: unknown): Error {
  const reason = reasonOf(error);
  if (isReply(reason) && /No such master/i.test(reason.message)) return unknownName(sentinel, name);
  if (isReply(reason) && /^ERR unknown command/i.test(reason.message))
    return invalidOption('sentinels', `${sentinel} is a server and no Sentinel.`);
  const isLate = reason instanceof Error && reason.message === 'Command timed out';
  const late = Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
  return new CallNotSent(`the Sentinel ${sentinel}`, isLate ? late : reason);
}

function hostAndPort(key: string): HostAndPort {
  const colon = key.lastIndexOf(':');
  return { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}
