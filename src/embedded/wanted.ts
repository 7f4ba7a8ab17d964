/** The requested deployment of a store: stored when the store is created, and compared with it later. */
import { EngineError } from '../../model/errors.js';
import { ONE_OF_EACH, PARTITION_SETTINGS, parsePartitionConfig, type PartitionConfig } from '../../model/partition.js';
import { parseSharedSettings, SHARED_SETTINGS, settingText, type GivenSettings } from '../backend/settings.js';
import type { Deployment } from './files.js';

export interface WantedOptions extends GivenSettings {
  readonly partitions?: Partial<PartitionConfig> | undefined;
}

export class Wanted {
  /** The deployment of a new store. */
  readonly deployment: Deployment;

  /** @throws EngineError `invalid_input` */
  constructor(private readonly options: WantedOptions) {
    const { retentionMs, logMaxEntries, indexedTags } = options;
    this.deployment = {
      partitions: parsePartitionConfig(options.partitions, ONE_OF_EACH),
      settings: { version: 1, families: [], ...parseSharedSettings({ retentionMs, logMaxEntries, indexedTags }) },
    };
  }

  /** @throws EngineError `partition_mismatch`, `settings_mismatch` if an option differs from the store */
  agreesWith(stored: Deployment): void {
    for (const name of PARTITION_SETTINGS) {
      if (this.options.partitions?.[name] === undefined) continue;
      check('partition_mismatch', name, stored.partitions[name], this.deployment.partitions[name]);
    }
    for (const name of SHARED_SETTINGS) {
      if (this.options[name] === undefined) continue;
      check('settings_mismatch', name, settingText(stored.settings[name]), settingText(this.deployment.settings[name]));
    }
  }
}

function check(
  code: 'partition_mismatch' | 'settings_mismatch',
  field: string,
  stored: string | number,
  config: string | number,
): void {
  if (stored === config) return;
  throw new EngineError(code, `${field}: stored=${stored}, config=${config}.`, {
    detail: { field, stored: String(stored), config: String(config) },
  });
}
