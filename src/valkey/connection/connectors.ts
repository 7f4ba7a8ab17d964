/** Connectors for the client library that resolve names with the caller's `lookup`. */
import { createConnection, type LookupFunction, type Socket } from 'node:net';
import { AbstractConnector, SentinelConnector, type RedisOptions } from 'iovalkey';

type ConnectorClass = NonNullable<RedisOptions['Connector']>;

/** Connects by TCP to the host and port of the options. (TLS connections take `lookup` as an option.) */
export function connectorWith(lookup: LookupFunction): ConnectorClass {
  return class LookupConnector extends AbstractConnector {
    constructor(private readonly options: RedisOptions) {
      super(options.disconnectTimeout ?? 0);
    }

    override connect(): Promise<Socket> {
      this.connecting = true;
      const { host, port } = this.options;
      const stream = createConnection({ host: host ?? 'localhost', port: port ?? 6379, lookup });
      this.stream = stream;
      stream.once('error', (error) => (this.firstError = error));
      return Promise.resolve(stream);
    }
  } as unknown as ConnectorClass;
}

/** Members that the types of the client library hide. */
interface SentinelClients {
  connectToSentinel(endpoint: object, options?: RedisOptions): unknown;
}

/** Finds the primary by Sentinels; all names are resolved with `lookup`. */
export function sentinelConnectorWith(lookup: LookupFunction): ConnectorClass {
  const Connector = connectorWith(lookup);
  return class extends SentinelConnector {
    constructor(options: RedisOptions) {
      super({ ...options, natMap: (key) => ({ ...hostAndPort(key), lookup }) });
      const inner = this as unknown as SentinelClients;
      const connect = inner.connectToSentinel.bind(this);
      inner.connectToSentinel = (endpoint, given) =>
        connect(endpoint, options.tls === undefined ? { ...given, Connector } : { ...given });
    }
  } as unknown as ConnectorClass;
}

function hostAndPort(key: string): { host: string; port: number } {
  const colon = key.lastIndexOf(':');
  return { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}
