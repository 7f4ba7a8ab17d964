/** A call is written as the client library would write it, and read from the same members. */
import { Command } from 'iovalkey';
import { expect, it } from 'vitest';
import type { Client } from '../../src/valkey/connection/clients.js';
import { callFunction, FunctionCall } from '../../src/valkey/connection/function-call.js';
import type { WireArgument } from '../../src/valkey/wire/format.js';

const KEYS = ['ff:{fp:1}:log', 'ff:{fp:1}:absent'];
const SOCKET = {};

const written = (command: Command): string => Buffer.from(command.toWritable(SOCKET)).toString('latin1');

const theirs = (argv: readonly WireArgument[]): Command =>
  new Command('fcall', ['f', String(KEYS.length), ...KEYS, ...argv], { replyEncoding: null });

it.each<[string, readonly WireArgument[]]>([
  ['no arguments', []],
  ['texts, empty ones among them', ['1\t2', '', 'a\r\nb', '']],
  ['texts of several bytes a character', ['\u017c\u00f3', '🐢', '\ud800']],
  [
    'bytes first, last and side by side',
    [Buffer.from([0, 255]), 'a', Buffer.alloc(0), Buffer.from('b'), '\u017c', Buffer.from('c')],
  ],
  ['many', Array.from({ length: 2_000 }, (_, index) => (index % 7 === 0 ? Buffer.from([index % 256]) : `${index}`))],
])('a function call is encoded like the client library encodes it: %s', (_, argv) => {
  const call = new FunctionCall('f', KEYS, argv);
  expect(written(call)).toBe(written(theirs(argv)));
  // Made again on another node.
  expect(written(call)).toBe(written(theirs(argv)));
});

it('a function call gives the client library its keys, and its slot in a cluster', () => {
  const call = new FunctionCall('f', KEYS, ['{fp:2}', 'x']);
  expect(call.getKeys()).toEqual(KEYS);
  expect(call.getSlot()).toBe(theirs([]).getSlot());
});

it('a function call resolves with the bytes of the answer', async () => {
  const sent: Command[] = [];
  const client = {
    sendCommand(command: Command) {
      sent.push(command);
      return command.promise;
    },
  } as unknown as Client;
  const answer = callFunction(client, 'f', KEYS, ['a']);
  sent[0]?.resolve([Buffer.from('x'), 1, null]);
  expect(await answer).toEqual([Buffer.from('x'), 1, null]);
});
