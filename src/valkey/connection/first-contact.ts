/**
 * Finds out what a port speaks that does not answer as a server would. A server without TLS waits silently for the rest
 * of a TLS greeting, and one with TLS hangs up on a command, so that neither fault tells its cause. Such a port is asked
 * once, on another connection, in the other manner: its answer is the proof.
 */
import type { Socket } from 'node:net';
import { EngineError } from '../../../model/errors.js';
import { openSocket, type Target } from './sockets.js';

/** Reports an error of the connection to the client. */
export type ReportFault = (type: 'error', error: Error) => void;

/** How long a port may be silent until it is asked in the other manner, as a part of the time for a connection. */
const PATIENCE = 1 / 5;

/** The first byte of an alert of TLS. */
const ALERT = 0x15;
/** First bytes of the replies of a server. */
const isReplyOfServer = ([first = 0]: Uint8Array): boolean => '+-:$*'.includes(String.fromCharCode(first));

/** A port that has not answered since it was asked in the other manner. */
interface Suspect {
  /** What it was found to speak. */
  fault?: EngineError;
}

/** The ports to which one client connects. */
export class FirstContact {
  private readonly suspects = new Map<string, Suspect>();

  /** @param timeoutMs time for a connection */
  constructor(private readonly timeoutMs: number) {}

  /**
   * Watches a new connection until the server has answered, or it ends.
   * @returns stops watching, because the client ends the connection itself
   */
  watch(stream: Socket, target: Target, report: ReportFault): () => void {
    const { suspects } = this;
    const key = `${target.host}:${target.port}`;
    let isConnected = false;
    let isOver = false;
    let error: Error | undefined;
    const stop = (): void => {
      isOver = true;
      clearTimeout(timer);
    };
    const blame = (fault: EngineError): void => {
      // Before the parser or the end of the connection, which fail its calls by what was reported last.
      report('error', fault);
      stream.destroy(fault);
    };
    const ask = (): void => {
      if (!isConnected || isOver) return;
      const known = suspects.get(key);
      if (known?.fault !== undefined) blame(known.fault);
      if (known !== undefined) return;
      const suspect: Suspect = {};
      suspects.set(key, suspect);
      this.ask(target, () => {
        suspect.fault = mismatch(target);
        blame(suspect.fault);
      });
    };
    const timer = setTimeout(ask, this.timeoutMs * PATIENCE).unref();
    stream.once('error', (met) => (error = met));
    stream.once('connect', () => (isConnected = true));
    stream.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      // The client library adds its parser now; what is no reply must be seen before the parser fails at it.
      process.nextTick(() =>
        stream.prependOnceListener('data', (bytes: Buffer) => {
          stop();
          if (isReplyOfServer(bytes)) suspects.delete(key);
          else blame(bytes[0] === ALERT ? mismatch(target) : foreign(target));
        }),
      );
    });
    stream.once('close', () => {
      if (isConnected && !isOver && error === undefined) report('error', endedEarly());
      ask();
      stop();
    });
    return stop;
  }

  private ask(target: Target, found: () => void): void {
    const isPlain = target.tls !== undefined;
    const probe = openSocket({ ...target, tls: isPlain ? undefined : { rejectUnauthorized: false } });
    // It outlives a client that is closed meanwhile by this time, and keeps no process alive.
    probe.unref();
    probe.setTimeout(this.timeoutMs * PATIENCE, () => probe.destroy());
    // A server that wants a certificate may refuse by an alert, which is an answer too.
    probe.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (!isPlain && /^ERR_SSL_.*ALERT/.test(code)) found();
    });
    probe.once('secureConnect', () => {
      found();
      probe.destroy();
    });
    if (!isPlain) return;
    probe.write('PING\r\n');
    probe.once('data', (bytes: Buffer) => {
      if (isReplyOfServer(bytes)) found();
      probe.destroy();
    });
  }
}

/** The port speaks TLS and the client does not, or the other way round. */
const mismatch = ({ host, port, tls }: Target): EngineError =>
  new EngineError(
    'tls_mismatch',
    tls === undefined
      ? `${host}:${port} speaks TLS, and was addressed without it.`
      : `${host}:${port} does not speak TLS, and was addressed with it.`,
  );

const foreign = ({ host, port }: Target): EngineError =>
  new EngineError('unsupported_server', `${host}:${port} does not speak the protocol of Valkey.`);

const endedEarly = (): Error =>
  Object.assign(new Error('the end of the connection before an answer'), { code: 'ECONNRESET' });
