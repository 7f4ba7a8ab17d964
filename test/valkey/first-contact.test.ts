/** What a client learns of a port from the first bytes that come back. */
import { lookup } from 'node:dns';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { FirstContact } from '../../src/valkey/connection/first-contact.js';

const closed = (socket: Socket): Promise<void> => {
  socket.on('error', () => undefined).resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
};

test('a port that speaks another protocol is refused for it, and is not asked again', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    void closed(socket);
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { address: host, port } = server.address() as AddressInfo;
  const told: unknown[] = [];
  const socket = connect(port, host);
  new FirstContact(5_000).watch(socket, { host, port, tls: undefined, lookup }, (_, fault) => told.push(fault));
  await closed(socket);
  expect(told).toMatchObject([{ code: 'unsupported_server' }]);
  // A connection that was begun before this one would be accepted before it.
  await closed(connect(port, host));
  expect(connections).toBe(2);
  server.close();
  await once(server, 'close');
});
