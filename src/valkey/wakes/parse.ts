/**
 * Parses the messages of the wake channels. Any client of the server can publish there, and channels are shared by all
 * databases, so messages of a deployment with the same prefix in another database arrive too. A message is accepted
 * only if it has the exact form and names a partition of this deployment; all others are dropped. A foreign message can
 * at most cause a claim or a read that finds nothing.
 */
import { ADMIT, CHANNELS, ROOM } from '../../../lua/layout.js';
import { present } from '../../../model/core/present.js';
import { familyOf, hasPartition, isPartitionOfAnyFamily, type FamilyCounts } from '../../../model/families.js';
import { executionIdIn, isPartitionKey, isUuid } from '../../../model/ids.js';
import { isMeterSet } from '../../../model/metering/meters.js';
import { isShortId } from '../../../model/short-id.js';
import type { Announcement } from '../../backend/backend.js';
import type { ChannelMessage } from '../../backend/wake-listeners.js';

/** Longest accepted message, characters. */
const MAX_LENGTH = 16_384;
const WHOLE = /^\d{1,16}$/;
/** A valid capability. */
const TOKEN = /^[^\s,\u0000-\u001f\u007f]+$/;

export interface ParsedChannel {
  readonly prefix: string;
  readonly counts: FamilyCounts;
}

/** Parses a message; undefined if it does not concern this deployment. */
export function parseWake(
  { prefix, counts }: ParsedChannel,
  channel: string,
  message: string,
): ChannelMessage | undefined {
  if (!channel.startsWith(prefix) || message.length > MAX_LENGTH) return undefined;
  const name = channel.slice(prefix.length);
  if (name.startsWith(CHANNELS.frames)) {
    const executionId = name.slice(CHANNELS.frames.length);
    if (message.includes('\t') || !executionId.startsWith(`${message}:`)) return undefined;
    return framesOf(message, executionId.slice(message.length + 1), counts);
  }
  const [partition = '', second = '', ...others] = message.split('\t');
  if (!isPartitionOfAnyFamily(partition) || !hasPartition(counts, partition)) return undefined;
  if (name === CHANNELS.appended || name === CHANNELS.ended)
    return others.length > 0 ? undefined : announced(name, partition, second);
  if (second === ADMIT) return roomIn(name, partition, others);
  if (second === ROOM) return roomInBudget(name, partition, others);
  // A time, or a priority.
  if (!WHOLE.test(second) || !Number.isSafeInteger(Number(second))) return undefined;
  if (name === CHANNELS.timers) {
    return others.length > 0 ? undefined : { kind: 'timer', partition, at: Number(second) };
  }
  if (!name.startsWith(CHANNELS.work) || others.length < 2 || familyOf(partition) !== 'flow') return undefined;
  const [needs, executionKind] = [present(others[0]), present(others.at(-1))];
  const requiredCapabilities = needs === '' ? [] : needs.split(',');
  if (executionKind === '' || !requiredCapabilities.every((token) => TOKEN.test(token))) return undefined;
  const work = {
    laneId: name.slice(CHANNELS.work.length),
    partition,
    executionKind,
    priority: Number(second),
    requiredCapabilities,
  };
  if (others.length === 2) return { kind: 'work', ...work };
  const [, meters = ''] = others;
  return others.length === 3 && isMeterSet(meters) ? { kind: 'metered', ...work, meters } : undefined;
}

/** Room for a claimer that a quota policy refused. */
function roomIn(name: string, partition: string, parts: readonly string[]): ChannelMessage | undefined {
  const [meters = '', workerInstanceId = '', wanted = ''] = parts;
  if (!name.startsWith(CHANNELS.work) || parts.length !== 3 || familyOf(partition) !== 'flow') return undefined;
  if (!isMeterSet(meters) || workerInstanceId === '' || !WHOLE.test(wanted)) return undefined;
  const laneId = name.slice(CHANNELS.work.length);
  return { kind: 'room_for', laneId, partition, meters, workerInstanceId, wanted: Number(wanted) };
}

/** Room in a budget that was exhausted. */
function roomInBudget(
  name: string,
  partition: string,
  [budgetId = '', ...rest]: readonly string[],
): ChannelMessage | undefined {
  if (name !== CHANNELS.timers || rest.length > 0 || familyOf(partition) !== 'budget') return undefined;
  return isUuid(budgetId) ? { kind: 'budget_room', partition, budgetId } : undefined;
}

function framesOf(partition: string, member: string, counts: FamilyCounts): ChannelMessage | undefined {
  const isKnown = isPartitionKey(partition) && hasPartition(counts, partition);
  return isKnown && isShortId(member) ? { kind: 'frames', executionId: executionIdIn(partition, member) } : undefined;
}

function announced(name: Announcement['kind'], partition: string, ids: string): Announcement | undefined {
  if (name === CHANNELS.appended) return ids === '' ? { kind: 'appended', partition } : undefined;
  const members = ids.split(',');
  if (familyOf(partition) !== 'flow' || !members.every(isShortId)) return undefined;
  return { kind: 'ended', partition, executionIds: members.map((member) => executionIdIn(partition, member)) };
}
