/**
 * An address that stays while the server behind it changes, like a virtual address or a service name in front of a pair
 * of servers. It forwards bytes, as fast as its link allows, and can be cut off.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { freePort } from '../../test/support/valkey/index.js';

/** A timer of a busy machine can be this late, ms; a link makes up for it. */
const LATE_MS = 100;

/** One direction of a link, which all its connections share. */
class Direction {
  /** Bytes that entered it. */
  bytes = 0;
  private freeAt = 0;

  constructor(private readonly bytesPerSecond: number) {}

  /** Passes bytes on when the link has carried them. */
  pass(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const now = performance.now();
        this.bytes += chunk.byteLength;
        this.freeAt = Math.max(now - LATE_MS, this.freeAt) + (chunk.byteLength / this.bytesPerSecond) * 1_000;
        setTimeout(() => done(null, chunk), Math.max(0, this.freeAt - now));
      },
    });
  }
}

export class Proxy {
  private readonly sockets = new Set<Socket>();
  private cutOff = false;

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private target: number,
    private readonly link: readonly [up: Direction, down: Direction] | undefined,
  ) {}

  /** Listens on 127.0.0.1 and forwards every connection to a local port. A slow link has a rate for each direction. */
  static async open(target: number, bytesPerSecond?: number): Promise<Proxy> {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    const proxy = new Proxy(
      server,
      port,
      target,
      bytesPerSecond === undefined ? undefined : [new Direction(bytesPerSecond), new Direction(bytesPerSecond)],
    );
    server.on('connection', (socket) => proxy.pass(socket));
    return proxy;
  }

  /** Bytes that entered a slow link in each direction. */
  get bytes(): { readonly up: number; readonly down: number } {
    const [up, down] = this.link ?? [];
    return { up: up?.bytes ?? 0, down: down?.bytes ?? 0 };
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Breaks every connection and refuses new ones until there is a target again. */
  cut(): void {
    this.cutOff = true;
    for (const socket of this.sockets) socket.destroy();
  }

  /** Silently stops forwarding on existing connections; new ones work. */
  hold(): void {
    for (const socket of this.sockets) socket.unpipe().pause();
  }

  /** New connections lead to this port; existing ones are broken. */
  lead(target: number): void {
    this.cut();
    this.target = target;
    this.cutOff = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private pass(near: Socket): void {
    if (this.cutOff) {
      near.destroy();
      return;
    }
    const far = connect(this.target, '127.0.0.1');
    for (const [socket, other, direction] of [
      [near, far, this.link?.[0]],
      [far, near, this.link?.[1]],
    ] as const) {
      socket.setNoDelay(true);
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
      if (direction === undefined) socket.pipe(other);
      else socket.pipe(direction.pass()).pipe(other);
    }
  }
}
