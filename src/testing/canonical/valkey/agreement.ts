/** Whether the redundant keys of a partition agree with their sources. */
import { trimFloor } from '../../../../model/reader/entity.js';
import { difference } from './scan.js';
import type { StoredPartition } from './stored.js';

/** The entries that disagree, in words. */
export function disagreements(stored: StoredPartition): string[] {
  return [
    ...indexDisagreements(stored),
    ...headerDisagreements(stored),
    ...difference(stored.valueKeys, stored.namedValueKeys),
  ];
}

function indexDisagreements(stored: StoredPartition): string[] {
  const { retention, slots, listedQueues, queues, leafNames, leaves, shelfLeaves, shelved, kids } = stored;
  const named = (what: string, one: readonly string[], other: Iterable<string>): string[] =>
    difference(one, [...other]).map((name) => `${what} ${name}`);
  const kidTexts = Object.entries(kids).map(([kid, at]) => `${kid} ${at}`);
  const keyTexts = stored.entitiesOf('signing_key').map(({ kid, expiresAt }) => `${kid} ${expiresAt ?? ''}`);
  return [
    ...named(
      'retention slot',
      retention,
      slots.map(([at]) => at),
    ),
    ...named(
      'queue',
      listedQueues,
      queues.map(([queue]) => queue),
    ),
    ...named('leaf', leafNames, leaves.keys()),
    ...named('leaf of a shelf', shelfLeaves, shelved.keys()),
    ...difference(kidTexts, keyTexts),
    ...named(
      'worker',
      stored.workerIds,
      stored.entitiesOf('worker').map(({ workerInstanceId }) => workerInstanceId),
    ),
    ...named(
      'budget',
      stored.budgetIds,
      stored.entitiesOf('budget').map(({ budgetId }) => budgetId),
    ),
  ];
}

function headerDisagreements(stored: StoredPartition): string[] {
  const { header, floor, readers, logEnd, lanes, statedLanes } = stored;
  const found: string[] = [];
  if (floor !== trimFloor(readers.values(), header.generation))
    found.push(`the trim floor ${floor} is not that of the readers`);
  const [sequence, time] = logEnd;
  if (sequence !== header.sequence || time !== header.time) found.push('the header differs from the log');
  const stated = stored.entitiesOf('lane');
  found.push(...stated.filter(({ laneId }) => !lanes.includes(laneId)).map(({ laneId }) => `lane ${laneId}`));
  const count = stated.filter(({ laneState }) => laneState !== 'open').length;
  if (count !== statedLanes) found.push(`the header counts ${statedLanes} lanes with a state`);
  return found;
}
