/**
 * Reads the messages of the wake channels. Anyone with access to the server can publish there, and channels do not know
 * databases: another deployment of the same prefix in another database is heard too. So a message is believed only when
 * it has the exact form and speaks of a partition that this deployment has; everything else is dropped. What a stranger
 * can cause is a claim or a look that finds nothing.
 */
import { CHANNELS } from '../../../lua/layout.js';
import { partitionIndexOf, PARTITION_KEY_PATTERN } from '../../../model/ids.js';
import type { Wake } from '../../backend.js';

/** Longest message that is looked at, characters. */
const MAX_LENGTH = 16_384;
const WHOLE = /^\d{1,16}$/;
/** A capability, as the boundary admits it. */
const TOKEN = /^[^\s,\u0000-\u001f\u007f]+$/;

export interface ParsedChannel {
  readonly prefix: string;
  readonly partitionCount: number;
}

/** The wake that a message says, or undefined when it says none that concerns this deployment. */
export function parseWake(
  { prefix, partitionCount }: ParsedChannel,
  channel: string,
  message: string,
): Wake | undefined {
  if (!channel.startsWith(prefix) || message.length > MAX_LENGTH) return undefined;
  const name = channel.slice(prefix.length);
  const [partition = '', second = '', ...others] = message.split('\t');
  if (!PARTITION_KEY_PATTERN.test(partition) || partitionIndexOf(partition) >= partitionCount) return undefined;
  // A time, or a priority.
  if (!WHOLE.test(second) || !Number.isSafeInteger(Number(second))) return undefined;
  if (name === CHANNELS.timers) {
    return others.length > 0 ? undefined : { kind: 'timer', partition, at: Number(second) };
  }
  if (!name.startsWith(CHANNELS.work) || others.length !== 2) return undefined;
  const [needs, executionKind] = others as [string, string];
  const requiredCapabilities = needs === '' ? [] : needs.split(',');
  if (executionKind === '' || !requiredCapabilities.every((token) => TOKEN.test(token))) return undefined;
  return {
    kind: 'work',
    laneId: name.slice(CHANNELS.work.length),
    partition,
    executionKind,
    priority: Number(second),
    requiredCapabilities,
  };
}
