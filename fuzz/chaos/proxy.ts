/**
 * An address that stays while the server behind it changes, like a virtual address or a service name in front of a pair
 * of servers. It forwards bytes, and can be cut off.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { freePort } from '../../test/support/valkey/index.js';

export class Proxy {
  private readonly sockets = new Set<Socket>();
  private cutOff = false;

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private target: number,
  ) {}

  /** Listens on 127.0.0.1 and forwards every connection to a local port. */
  static async open(target: number): Promise<Proxy> {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    const proxy = new Proxy(server, port, target);
    server.on('connection', (socket) => proxy.pass(socket));
    return proxy;
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
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.setNoDelay(true);
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
