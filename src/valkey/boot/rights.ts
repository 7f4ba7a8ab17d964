/**
 * Checks, before the first command, that the user has every right that a command can need, because a missing right ends
 * a function halfway. Only the rights to channels are optional: without them, work is found by polling.
 */
import type { Valkey } from 'iovalkey';
import { CHANNELS } from '../../../lua/layout.js';
import type { Library } from '../../../lua/library.js';
import { present } from '../../../model/core/present.js';
import { keysOf } from '../../../model/core/tables.js';
import { EngineError } from '../../../model/errors.js';
import { FAMILIES, partitionIn, partitionsOf, type Family, type FamilyCounts } from '../../../model/families.js';
import { CLIENT_COMMANDS, CLUSTER_COMMANDS } from './acl.js';
import { isFunctionMissing } from '../connection/faults.js';
import { nameOf } from '../connection/node-faults.js';

/** A right: the words of a command that the server checks, and its name in errors. */
interface Right {
  readonly words: readonly string[];
  readonly name: string;
  /** What needs it: every deployment, only wakes, or only the call that lists keys. */
  readonly neededFor: 'work' | 'wakes' | 'listing';
}

/** The optional rights of a user. */
export interface FoundRights {
  /** The notice about channels without a right, if there are any. */
  readonly channelsMissing: EngineError | undefined;
  /** Whether the user may list keys, which `verifyPartition` needs. */
  readonly canList: boolean;
}

/** The further right that `verifyPartition` needs. */
const LISTING: Right = { words: ['scan', '0'], name: 'scan', neededFor: 'listing' };

export interface RightsOptions {
  readonly prefix: string;
  readonly counts: FamilyCounts;
  readonly isCluster: boolean;
  readonly library: Library;
}

const FAMILY_NAMES = keysOf(FAMILIES);

/** Example partitions of a family: the first and the last; an invented one if the family has no count. */
function examplesOf(family: Family, counts: FamilyCounts): string[] {
  const all = partitionsOf(family, counts);
  const [first = partitionIn(family, 'rights'), last = first] = [all[0], all.at(-1)];
  return [...new Set([first, last])];
}

/** Commands whose first argument is a channel. */
const OF_CHANNELS: ReadonlySet<string> = new Set(['publish', 'subscribe']);
/** Most commands that an error names. */
const MAX_NAMED = 10;

/** Every right that the library and the client need. Rights to keys and channels are checked by examples. */
export function neededRights({ prefix, counts, isCluster, library }: RightsOptions): readonly Right[] {
  const partitions = FAMILY_NAMES.flatMap((family) => examplesOf(family, counts));
  const keys = partitions.map((partition) => `${prefix}${partition}:rights`);
  const channels = Object.values(CHANNELS).map((name) => prefix + name + (name.endsWith(':') ? 'rights' : ''));
  const commands = new Set([...library.commands, ...CLIENT_COMMANDS, ...(isCluster ? CLUSTER_COMMANDS : [])]);
  return [...commands].flatMap((command): Right[] => {
    const words = command.split('|');
    const neededFor = OF_CHANNELS.has(command) ? 'wakes' : 'work';
    const examples =
      neededFor === 'wakes'
        ? channels.map(
            (channel) =>
              ({
                words: [...words, channel],
                name: `${command} on channel ${channel}`,
                neededFor,
              }) as const,
          )
        : keys.map((key) => ({ words: [...words, key, key], name: `${command} on key ${key}`, neededFor }) as const);
    return [{ words, name: command, neededFor }, ...examples];
  });
}

/**
 * The optional rights of the user.
 * @throws EngineError `server_refused` that names every other missing right
 */
export async function proveRights(node: Valkey, options: RightsOptions): Promise<FoundRights> {
  const rights = [LISTING, ...neededRights(options)];
  const argv = rights.flatMap(({ words }) => [String(words.length), ...words]);
  let refused: readonly number[];
  try {
    refused = (await node.call('FCALL', `${options.library.functionPrefix}rights`, 0, ...argv)) as number[];
  } catch (error) {
    // Another build of the library cannot check rights.
    if (isFunctionMissing(error)) return { channelsMissing: undefined, canList: false };
    throw error;
  }
  const missing = withoutRepetitions(refused.map((number) => present(rights[number - 1])));
  const missingFor = (what: Right['neededFor']): readonly Right[] =>
    missing.filter(({ neededFor }) => neededFor === what);
  if (missingFor('work').length > 0) throw refusal(node, missingFor('work'), '');
  const channels = missingFor('wakes');
  return {
    channelsMissing: channels.length === 0 ? undefined : refusal(node, channels, ' Work is found by polling only.'),
    canList: missingFor('listing').length === 0,
  };
}

function refusal(node: Valkey, missing: readonly Right[], consequence: string): EngineError {
  const names = missing.map(({ name }) => name);
  const more = names.length > MAX_NAMED ? `, and ${names.length - MAX_NAMED} more` : '';
  const user = node.options.username ?? 'default';
  return new EngineError(
    'server_refused',
    `${nameOf(node)} does not let user "${user}" run ${names.slice(0, MAX_NAMED).join(', ')}${more}.${consequence}`,
    { detail: { missing: names.join(', ') } },
  );
}

/** Drops the examples of a command that is not allowed at all. */
function withoutRepetitions(missing: readonly Right[]): readonly Right[] {
  const whole = new Set(missing.filter(({ words, name }) => words.join('|') === name).map(({ name }) => name));
  return missing.filter(({ words, name }) => {
    if (whole.has(name)) return true;
    return !whole.has(present(words[0])) && !whole.has(words.slice(0, 2).join('|'));
  });
}
