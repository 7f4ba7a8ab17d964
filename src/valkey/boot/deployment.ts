/**
 * The record of a deployment: its partitioning, the contract of its data, and the settings that all processes share
 * (ruling 17). The first process writes it, and later ones must agree with it. Another key has the newest build of the
 * library that the deployment has had. Running processes restore both when a server comes back empty.
 */
import { randomUUID } from 'node:crypto';
import { CONTRACT } from '../../../lua/library.js';
import { EngineError } from '../../../model/errors.js';
import {
  parsePartitionConfig,
  PARTITION_SETTINGS,
  partitionConfig,
  type PartitionConfig,
} from '../../../model/partition.js';
import type { Family } from '../../../model/families.js';
import { DEFAULTS } from '../../../model/limits.js';
import {
  changedSettings,
  familiesIn,
  parseSharedSettings,
  sameSettings,
  SHARED_SETTINGS,
  settingText,
  type DeploymentSettings,
  type GivenSettings,
} from '../../backend/settings.js';
import type { Client } from '../connection/clients.js';
import { buildsKey, deploymentKey } from '../keys.js';

/** The contract of records without one, which earlier versions wrote. */
const FIRST_CONTRACT = 1;
/** Partition counts of records without them. */
const FIRST_PARTITIONS: Partial<PartitionConfig> = {
  budgets: DEFAULTS.meterPartitionCount,
  quotas: DEFAULTS.meterPartitionCount,
};
/** The version of settings in records without one. */
const FIRST_VERSION = 1;
/** Most tries of a change that meets concurrent changes. */
const MAX_CHANGES = 16;

type Members = Readonly<Record<string, unknown>>;

/** The text of the record, and its parsed contents. */
interface Known {
  /** Includes members that this process does not know. */
  readonly text: string;
  readonly partitions: PartitionConfig;
  readonly settings: DeploymentSettings;
  /** The settings in the form of calls. */
  readonly settingsText: string;
}

/** Replaces the record if its text is `known`. @returns whether it was replaced */
export type ReplaceRecord = (key: string, known: string, text: string) => Promise<boolean>;

export class DeploymentRecord {
  private known: Known | undefined;
  /** The newest known build, by library. */
  private readonly newest = new Map<string, number>();
  private readonly key: string;
  /** The member of the record that is new each time that it is written where there was none. */
  private incarnation: unknown;
  /** Called when the record that this process knows is gone, or was gone when another process wrote it again. */
  onLost: (notice: EngineError) => void = () => undefined;

  constructor(
    private readonly client: Client,
    private readonly prefix: string,
    /** The contract of this process. */
    private readonly contract = CONTRACT,
    private readonly replace: ReplaceRecord = () => Promise.resolve(false),
  ) {
    this.key = deploymentKey(prefix);
  }

  /** The settings known to this process. */
  get settings(): DeploymentSettings {
    return this.current.settings;
  }

  get settingsText(): string {
    return this.current.settingsText;
  }

  /**
   * Writes partitioning and settings if this is the first process; otherwise checks those that the caller gave.
   * @throws EngineError `partition_mismatch`, `settings_mismatch`, `library_mismatch`, `invalid_input`, `corruption`
   */
  async settle(wanted: Partial<PartitionConfig> | undefined, given: GivenSettings = {}): Promise<PartitionConfig> {
    const { contract } = this;
    const config = { ...parsePartitionConfig(wanted), contract, ...parseSharedSettings(given) };
    const known = this.read(await this.textOr(JSON.stringify(config)));
    for (const name of PARTITION_SETTINGS) {
      const value = wanted?.[name];
      if (value !== undefined && value !== known.partitions[name])
        throw mismatch('partition_mismatch', name, String(known.partitions[name]), String(value));
    }
    for (const name of SHARED_SETTINGS) {
      const [stored, value] = [settingText(known.settings[name]), settingText(config[name])];
      if (given[name] !== undefined && stored !== value) throw mismatch('settings_mismatch', name, stored, value);
    }
    this.known = known;
    return known.partitions;
  }

  /**
   * Reads the settings again unless this process knows at least the version that a partition has seen.
   * @throws EngineError `settings_changed` if the record is older than that
   */
  async learn(version: number): Promise<void> {
    if (this.settings.version >= version) return;
    const found = this.read(await this.text());
    if (found.settings.version < version)
      throw new EngineError(
        'settings_changed',
        `${this.key} is of version ${found.settings.version}, and the partition has seen newer settings.`,
      );
    if (found.settings.version > this.settings.version) this.known = found;
  }

  /**
   * Changes settings for all processes. The others learn of it with their next call.
   * @throws EngineError `invalid_input`, `settings_changed` after too many concurrent changes
   */
  async change(changes: GivenSettings): Promise<void> {
    for (let tries = 0; tries < MAX_CHANGES; tries++) {
      const text = await this.text();
      const found = this.read(text);
      const { version, families: _, ...now } = found.settings;
      const next = changedSettings(now, changes);
      if (sameSettings(now, next)) {
        this.known = found;
        return;
      }
      const changed = JSON.stringify({ ...membersOf(text), ...next, version: version + 1 });
      if (await this.replace(this.key, text, changed)) {
        this.known = this.read(changed);
        return;
      }
    }
    throw new EngineError('settings_changed', `${this.key} was changed ${MAX_CHANGES} times meanwhile.`);
  }

  /**
   * Records that a family of partitions is in use. This raises the version, like a change of settings, so that every
   * process learns of it. @throws EngineError `settings_changed` after too many concurrent changes
   */
  async noteFamily(family: Family): Promise<void> {
    for (let tries = 0; tries < MAX_CHANGES; tries++) {
      const text = await this.text();
      const found = this.read(text);
      const { version, families } = found.settings;
      if (families.includes(family)) {
        this.known = found;
        return;
      }
      const noted = JSON.stringify({ ...membersOf(text), families: [...families, family], version: version + 1 });
      if (await this.replace(this.key, text, noted)) {
        this.known = this.read(noted);
        return;
      }
    }
    throw new EngineError('settings_changed', `${this.key} was changed ${MAX_CHANGES} times meanwhile.`);
  }

  /**
   * Writes the record again if it is missing, is no record or has older settings; reads it if it has newer ones.
   * @throws EngineError `partition_mismatch` if it was replaced by a different one
   */
  async restore(): Promise<void> {
    const own = this.known;
    if (own === undefined) return;
    const text = await this.textOr(own.text);
    const found = membersOf(text);
    const ownText = (): string => JSON.stringify({ ...membersOf(own.text), incarnation: this.incarnation });
    if (found === undefined) {
      await this.replace(this.key, text, ownText());
      return;
    }
    const members = membersOf(own.text);
    for (const name of [...PARTITION_SETTINGS, 'contract']) {
      const stored = settledIn(found, name);
      const config = settledIn(members, name);
      if (stored !== config)
        throw new EngineError(
          'partition_mismatch',
          `${this.key} changed: ${name}: stored=${stored}, config=${config}.`,
          {
            detail: { field: name, stored, config },
          },
        );
    }
    const there = this.read(text);
    if (there.settings.version > own.settings.version) this.known = there;
    else if (there.settings.version < own.settings.version) await this.replace(this.key, text, ownText());
  }

  /** The newest build of a library that this deployment has had, 0 without any. */
  async newestBuild(library: string): Promise<number> {
    const stored = Number((await this.client.zscore(buildsKey(this.prefix), library)) ?? 0);
    return Math.max(stored, this.newest.get(library) ?? 0);
  }

  /** Records a build that a server has; the newest is kept. */
  async noteBuild(library: string, build: number): Promise<void> {
    const newest = Math.max(build, this.newest.get(library) ?? 0);
    const key = buildsKey(this.prefix);
    // A server whose memory is full refuses even writes that change nothing, and must not keep a process from starting.
    if (Number((await this.client.zscore(key, library)) ?? 0) < newest)
      await this.client.zadd(key, 'GT', newest, library);
    this.newest.set(library, newest);
  }

  /** The text of the record, which is written again if it is lost. */
  private text(): Promise<string> {
    return this.textOr(this.current.text);
  }

  /** The text of the record; `text` is written if there is none. A full server refuses the write, so it comes second. */
  private async textOr(text: string): Promise<string> {
    const { client, key } = this;
    const found = await client.get(key);
    if (found === null) {
      this.lost('is gone');
      this.incarnation = randomUUID();
      await client.set(key, JSON.stringify({ ...membersOf(text), incarnation: this.incarnation }), 'NX');
      const made = (await client.get(key)) ?? '';
      // Another process may have been first.
      this.incarnation = membersOf(made)?.['incarnation'];
      return made;
    }
    const incarnation = membersOf(found)?.['incarnation'];
    if (incarnation !== undefined && incarnation !== this.incarnation) {
      this.lost('was gone, and another process has written it again');
      this.incarnation = incarnation;
    }
    // Changes nothing: a full server accepts it, and a replica, which is left for its primary, refuses it.
    await client.persist(key);
    return found;
  }

  private lost(how: string): void {
    if (this.known === undefined) return;
    const why = 'the server was emptied, restarted without its data, or lost its newest writes in a failover';
    this.onLost(new EngineError('server_emptied', `${this.key} ${how}: ${why}.`));
  }

  private get current(): Known {
    if (this.known === undefined) throw new EngineError('invariant_violation', 'The deployment is not settled.');
    return this.known;
  }

  /** @throws EngineError `corruption`, `library_mismatch` */
  private read(text: string): Known {
    const { key } = this;
    const members = membersOf(text);
    const stored = partitionConfig.safeParse(members);
    if (!stored.success) throw new EngineError('corruption', `${key} does not hold a partition configuration.`);
    const contract = members?.['contract'] ?? FIRST_CONTRACT;
    if (contract !== this.contract) {
      throw new EngineError(
        'library_mismatch',
        `${key} is of contract ${String(contract)}, this process speaks contract ${this.contract}; one prefix has data of one contract.`,
        { detail: { field: 'contract', stored: String(contract), config: String(this.contract) } },
      );
    }
    const settings = settingsIn(key, members);
    return { text, partitions: stored.data, settings, settingsText: textOf(settings) };
  }
}

/** The text of a fixed member of a record; old records without it have its first value. */
function settledIn(members: Members | undefined, name: string): string {
  const fallback: unknown = name === 'contract' ? FIRST_CONTRACT : FIRST_PARTITIONS[name as keyof PartitionConfig];
  return String(members?.[name] ?? (members === undefined ? '' : fallback));
}

function settingsIn(key: string, members: Members | undefined): DeploymentSettings {
  const version = members?.['version'] ?? FIRST_VERSION;
  if (!Number.isSafeInteger(version) || (version as number) < FIRST_VERSION)
    throw new EngineError('corruption', `${key} has no version of its settings.`);
  try {
    return { version: version as number, families: familiesIn(members?.['families']), ...parseSharedSettings(members) };
  } catch (error) {
    throw new EngineError('corruption', `${key} does not hold settings.`, { cause: error });
  }
}

/** The settings in the form of the library. */
const textOf = ({ version, logMaxEntries, retentionMs, indexedTags }: DeploymentSettings): string =>
  [version, logMaxEntries, retentionMs, indexedTags.join(',')].join('\t');

const mismatch = (
  code: 'partition_mismatch' | 'settings_mismatch',
  field: string,
  stored: string,
  config: string,
): EngineError =>
  new EngineError(code, `${field}: stored=${stored}, config=${config}.`, { detail: { field, stored, config } });

/** The members of a record; undefined if it is not a JSON object. */
function membersOf(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
}
