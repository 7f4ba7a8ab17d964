/** What messages on the wake channels say, and that whatever has another form says nothing. */
import { expect, test } from 'vitest';
import { CHANNELS } from '../../lua/layout.js';
import { metersOf, meterSetOf } from '../../model/metering/meters.js';
import { shortIdOf } from '../../model/short-id.js';
import type { ChannelMessage } from '../../src/backend/wake-listeners.js';
import { parseWake } from '../../src/valkey/wakes/parse.js';

const PREFIX = 'ff:';
const COUNTS = { count: 2, budgets: 1, quotas: 1 };
const ID = '00000000-0000-4000-a000-000000000007';
const METERS = meterSetOf(metersOf({ budgetIds: [ID] }));
const LANE = `${CHANNELS.work}mail`;

const heard = (name: string, ...parts: readonly string[]): ChannelMessage | undefined =>
  parseWake({ prefix: PREFIX, counts: COUNTS }, PREFIX + name, parts.join('\t'));

const work = { laneId: 'mail', partition: '{fp:1}', executionKind: 'k', priority: 7, requiredCapabilities: [] };

/** Parts that may have any text. */
const NAMES: ReadonlySet<string> = new Set(['k', 'w1']);

/** Channel, parts of the message, and what it says. */
const SAID: readonly (readonly [string, readonly string[], ChannelMessage])[] = [
  [LANE, ['{fp:1}', '7', '', 'k'], { kind: 'work', ...work }],
  [LANE, ['{fp:1}', '7', 'eu,gpu', 'k'], { kind: 'work', ...work, requiredCapabilities: ['eu', 'gpu'] }],
  [LANE, ['{fp:1}', '7', '', METERS, 'k'], { kind: 'metered', ...work, meters: METERS }],
  [
    LANE,
    ['{fp:1}', 'admit', METERS, 'w1', '3'],
    { kind: 'room_for', laneId: 'mail', partition: '{fp:1}', meters: METERS, workerInstanceId: 'w1', wanted: 3 },
  ],
  [CHANNELS.timers, ['{q:0}', '170'], { kind: 'timer', partition: '{q:0}', at: 170 }],
  [CHANNELS.timers, ['{b:0}', 'room', ID], { kind: 'budget_room', partition: '{b:0}', budgetId: ID }],
  [CHANNELS.appended, ['{b:0}'], { kind: 'appended', partition: '{b:0}' }],
  [CHANNELS.ended, ['{fp:0}', shortIdOf(ID)], { kind: 'ended', partition: '{fp:0}', executionIds: [`{fp:0}:${ID}`] }],
  [`${CHANNELS.frames}{fp:0}:${shortIdOf(ID)}`, ['{fp:0}'], { kind: 'frames', executionId: `{fp:0}:${ID}` }],
];

test.each(SAID)('%s %j is understood', (name, parts, said) => {
  expect(heard(name, ...parts)).toEqual(said);
});

test.each(SAID)('%s %j in another form is ignored', (name, parts) => {
  const [partition, ...rest] = parts as [string, ...string[]];
  const wrong: (readonly string[])[] = [
    [...parts, 'more'],
    [partition.replace(/\d/, '9'), ...rest],
    ['{x:0}', ...rest],
    // One part after the other is missing, or cannot be one.
    ...parts.map((_, i) => parts.toSpliced(i, 1)),
    ...parts.flatMap((part, i) => (NAMES.has(part) ? [] : [parts.with(i, '\u0001')])),
    parts.with(-1, 'k'.repeat(20_000)),
  ];
  // Without its first or last part but one, what waits for a meter set is what waits for none.
  const isOther = (message: readonly string[]): boolean => name === LANE && message.length === 4 && parts.length === 5;
  for (const message of wrong)
    if (!isOther(message)) expect(heard(name, ...message), message.join(' ')).toBeUndefined();
  expect(parseWake({ prefix: 'other:', counts: COUNTS }, PREFIX + name, parts.join('\t'))).toBeUndefined();
});

test('wakes for work, room and ends are accepted from partitions of executions only; a budget announces room on the channel of timers', () => {
  expect(heard(LANE, '{q:0}', '7', '', 'k')).toBeUndefined();
  expect(heard(LANE, '{q:0}', 'admit', METERS, 'w1', '3')).toBeUndefined();
  expect(heard(CHANNELS.timers, '{fp:1}', 'admit', METERS, 'w1', '3')).toBeUndefined();
  expect(heard(LANE, '{fp:1}', 'admit', METERS, '', '3')).toBeUndefined();
  expect(heard(LANE, '{fp:1}', 'admit', METERS, 'w1', '-3')).toBeUndefined();
  expect(heard(CHANNELS.ended, '{b:0}', shortIdOf(ID))).toBeUndefined();
  expect(heard(CHANNELS.timers, '{fp:1}', 'room', ID)).toBeUndefined();
  expect(heard(LANE, '{b:0}', 'room', ID)).toBeUndefined();
  expect(heard(CHANNELS.timers, '{fp:1}', '99999999999999999')).toBeUndefined();
});
