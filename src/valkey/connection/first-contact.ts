/**
 * Finds out what a port speaks that does not answer as a server would. A server without TLS waits silently for the rest
 * of a TLS greeting, and one with TLS hangs up on a command, so that neither fault tells its cause. Such a port is asked
 * once, on other connections: a reply in the other manner, and none in the client's own, is the proof.
 */
import type { Socket } from 'node:net';
import { EngineError } from '../../../model/errors.js';
import { openSocket, type Target } from './sockets.js';
import type { TlsOptions } from './tls-options.js';

/** Reports an error of the connection to the client. */
export type ReportFault = (type: 'error', error: Error) => void;

/** How long a port may be silent until it is asked in the other manner, as a part of the time for a connection. */
const PATIENCE = 1 / 5;

/** The first byte of an alert of TLS. */
const ALERT = 0x15;
/** First bytes of the replies of a server. */
const isReplyOfServer = ([first = 0]: Uint8Array): boolean => '+-:$*'.includes(String.fromCharCode(first));

/** What is known of a port. */
interface Port {
  /** The mismatch that was found, until a connection has failed with it. */
  fault?: EngineError;
}

/** A port that has greeted in the manner of the client. Whatever it does later, it is no mismatch. */
const GREETED: Port = {};
/** One that has replied as a server would. Whatever it does later, it can be one again. */
const REPLIED: Port = {};

/** How a port took a `PING`: TLS without a reply is what a proxy shows whose server is away. */
type Answer = 'none' | 'greeting' | 'reply';

/**
 * For clients without TLS. A server that wants a certificate refuses during the handshake; with TLS 1.3 it would refuse
 * after it, and the `PING` that it does not read would reset the connection before the alert is read.
 */
const TLS: TlsOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };

/** The ports to which one client connects. */
export class FirstContact {
  /** Each is asked once until it has answered. */
  private readonly ports = new Map<string, Port>();

  /** @param timeoutMs time for a connection */
  constructor(private readonly timeoutMs: number) {}

  /**
   * Watches a new connection until the server has answered, or it ends.
   * @returns stops watching, because the client ends the connection itself
   */
  watch(stream: Socket, target: Target, report: ReportFault): () => void {
    const { ports } = this;
    const key = `${target.host}:${target.port}`;
    let isConnected = false;
    let isOver = false;
    let isEndedByPeer = false;
    let error: Error | undefined;
    const stop = (): void => {
      isOver = true;
      clearTimeout(timer);
    };
    const blame = (fault: EngineError): void => {
      stop();
      // Before the parser or the end of the connection, which fail its calls by what was reported last.
      report('error', fault);
      stream.destroy(fault);
    };
    const ask = (): void => {
      if (!isConnected || isOver) return;
      const known = ports.get(key);
      if (known?.fault !== undefined) {
        ports.delete(key);
        blame(known.fault);
      }
      if (known !== undefined) return;
      const asked: Port = {};
      ports.set(key, asked);
      void this.isMismatch(target).then((isFound) => {
        // This connection or another may have been answered meanwhile.
        if (!isFound || ports.get(key) !== asked) return;
        // The next connection fails with it too: the client of a Sentinel ends with its connection, before it is told.
        asked.fault = mismatch(target);
        if (!isOver) blame(asked.fault);
      });
    };
    const timer = setTimeout(ask, this.timeoutMs * PATIENCE).unref();
    stream.once('error', (met) => (error = met));
    stream.once('connect', () => (isConnected = true));
    stream.once('secureConnect', () => {
      if (ports.get(key) !== REPLIED) ports.set(key, GREETED);
    });
    stream.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      // The client library adds its parser now; what is no reply must be seen before the parser fails at it.
      process.nextTick(() =>
        stream.prependOnceListener('data', (bytes: Buffer) => {
          if (isReplyOfServer(bytes)) {
            stop();
            ports.set(key, REPLIED);
          } else if (ports.get(key) === REPLIED) blame(interrupted(target));
          else blame(bytes[0] === ALERT ? mismatch(target) : foreign(target));
        }),
      );
    });
    stream.once('end', () => (isEndedByPeer = true));
    stream.once('close', () => {
      clearTimeout(timer);
      // The client library reports why it ends a connection.
      if (isEndedByPeer && !isOver && error === undefined) report('error', endedEarly());
      ask();
    });
    return stop;
  }

  /** Whether the port replies in the other manner only. One that takes both may have been away for a moment. */
  private async isMismatch(target: Target): Promise<boolean> {
    const withTls = target.tls !== undefined;
    return (await this.answerOf(target, !withTls)) === 'reply' && (await this.answerOf(target, withTls)) === 'none';
  }

  private answerOf(target: Target, withTls: boolean): Promise<Answer> {
    return new Promise((resolve) => {
      let answer: Answer = 'none';
      const tls = withTls ? { ...(target.tls ?? TLS), rejectUnauthorized: false } : undefined;
      const probe = openSocket({ ...target, tls });
      // It outlives a client that is closed meanwhile by this time, and keeps no process alive.
      probe.unref();
      probe.setTimeout(this.timeoutMs * PATIENCE, () => probe.destroy());
      // Written before, it would fail with the alert in place of the handshake, and with another code.
      probe.once(withTls ? 'secureConnect' : 'connect', () => {
        if (withTls) answer = 'greeting';
        probe.write('PING\r\n');
      });
      // A server that wants a certificate, or only TLS 1.3, refuses by an alert, which is an answer too.
      probe.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
        if (/^ERR_SSL_.*ALERT/.test(code)) answer = 'reply';
      });
      probe.once('data', (bytes: Buffer) => {
        if (isReplyOfServer(bytes)) answer = 'reply';
        probe.destroy();
      });
      probe.once('close', () => resolve(answer));
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

/** As a proxy answers whose server is away for a moment. */
const interrupted = ({ host, port }: Target): EngineError =>
  new EngineError('transport_failed', `${host}:${port} no longer speaks the protocol of Valkey.`);

const endedEarly = (): Error =>
  Object.assign(new Error('the end of the connection before an answer'), { code: 'ECONNRESET' });
