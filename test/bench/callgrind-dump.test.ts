/** The reader of callgrind's dumps, on a small dump written by hand. */
import { expect, test } from 'vitest';
import { readDump, SERVER_OBJECT } from '../../bench/callgrind-dump.js';

const dump = (totals: number): string => `# callgrind format
version: 1
events: Ir

ob=(1) /usr/bin/valkey-check-rdb
fl=(1) ???
fn=(1) call
0 100
cob=(2) /usr/lib/libjemalloc.so.2
cfn=(2) malloc
calls=3 0
0 60
* 5

ob=(2)
fn=(2)
0 40
+3 20

ob=(3) /lib/libc.so.6
fn=(3) memcpy
-1 7

totals: ${totals}
`;

test('the cost of a file itself is added up, and the cost of its calls is not counted twice', () => {
  const { total, byObject } = readDump(dump(172), '/usr/bin/valkey-check-rdb');
  expect(total).toBe(172);
  expect([...byObject]).toEqual([
    [SERVER_OBJECT, 105],
    ['libjemalloc', 60],
    ['libc', 7],
  ]);
});

test('a dump whose lines do not add up to its total is refused', () => {
  expect(() => readDump(dump(173), '/usr/bin/valkey-check-rdb')).toThrow('173');
});
