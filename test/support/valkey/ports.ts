import { createServer } from 'node:net';

/** Free ports are looked for below the range that the system gives to outgoing connections. */
const firstPort = 20_000;
const portCount = 12_000;
const given = new Set<number>();

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });

/**
 * Picks a TCP port on which nothing listens on 127.0.0.1. A restarted server
 * can take the same port again, since no outgoing connection is given one of
 * this range; another process may still take it first, so starts are retried.
 * No port is given twice by one process.
 *
 * @throws Error if 200 random ports were all taken
 */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = firstPort + Math.floor(Math.random() * portCount);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
  throw new Error('no free port was found on 127.0.0.1');
};
