/** Opens the sockets of connections. */
import { connect as connectPlain, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { HostAndPort } from './address.js';
import { invalidTls, type TlsOptions } from './tls-options.js';

/** Where a connection goes, and whether with TLS. */
export interface Target extends HostAndPort {
  readonly tls: TlsOptions | undefined;
  readonly lookup: LookupFunction;
}

/** @throws EngineError `invalid_input` for an option of TLS that Node refuses */
export function openSocket({ host, port, tls, lookup }: Target): Socket {
  if (tls === undefined) return connectPlain({ host, port, lookup });
  try {
    return connectTls({ ...tls, host, port, lookup });
  } catch {
    throw invalidTls('Node does not accept these options.');
  }
}
