/**
 * The record of a deployment, which the first process writes and every later one agrees with: how it is partitioned, and
 * the contract of its data. Beside it, the newest build of the library that the deployment ever had. Both are written
 * again when a server comes back empty while processes live.
 */
import { CONTRACT } from '../../../lua/library.js';
import { EngineError } from '../../../model/errors.js';
import { parsePartitionConfig, partitionConfig, type PartitionConfig } from '../../../model/partition.js';
import type { Client } from '../connection/clients.js';
import { buildsKey, deploymentKey } from '../keys.js';

/** Records that were written before they named it are of this contract. */
const FIRST_CONTRACT = 1;

export class DeploymentRecord {
  /** The text of the record, as this process found or wrote it: members that it does not know included. */
  private text: string | undefined;
  /** The newest build that this process knows of, by library. */
  private readonly newest = new Map<string, number>();

  constructor(
    private readonly client: Client,
    private readonly prefix: string,
    /** The contract that this process speaks. */
    private readonly contract = CONTRACT,
  ) {}

  /**
   * Settles the partitioning: the first process writes it, every later one must agree.
   * @throws EngineError `partition_mismatch`, `library_mismatch`, `invalid_input`, `corruption`
   */
  async settle(wanted: Partial<PartitionConfig> | undefined): Promise<PartitionConfig> {
    const key = deploymentKey(this.prefix);
    const config = parsePartitionConfig(wanted ?? {});
    await this.client.set(key, JSON.stringify({ ...config, contract: this.contract }), 'NX');
    const text = (await this.client.get(key)) ?? '';
    const record = recordOf(text);
    const stored = partitionConfig.safeParse(record);
    if (!stored.success) throw new EngineError('corruption', `${key} does not hold a partition configuration.`);
    const contract = record?.['contract'] ?? FIRST_CONTRACT;
    if (contract !== this.contract) {
      throw new EngineError(
        'library_mismatch',
        `${key} is of contract ${String(contract)}, this process speaks contract ${this.contract}; one prefix has data of one contract.`,
        { detail: { field: 'contract', stored: String(contract), config: String(this.contract) } },
      );
    }
    for (const name of ['count', 'placement'] as const) {
      const value = wanted?.[name];
      if (value !== undefined && value !== stored.data[name]) {
        throw new EngineError('partition_mismatch', `${name}: stored=${stored.data[name]}, config=${value}.`, {
          detail: { field: name, stored: String(stored.data[name]), config: String(value) },
        });
      }
    }
    this.text = text;
    return stored.data;
  }

  /**
   * Writes the record again where it is gone.
   * @throws EngineError `partition_mismatch` when another one is there by now
   */
  async restore(): Promise<void> {
    if (this.text === undefined) return;
    const key = deploymentKey(this.prefix);
    await this.client.set(key, this.text, 'NX');
    const found = recordOf((await this.client.get(key)) ?? '');
    const own = recordOf(this.text);
    for (const name of ['count', 'placement', 'contract']) {
      const stored = String(found?.[name] ?? (name === 'contract' ? FIRST_CONTRACT : ''));
      const config = String(own?.[name] ?? (name === 'contract' ? FIRST_CONTRACT : ''));
      if (stored !== config)
        throw new EngineError('partition_mismatch', `${key} changed: ${name}: stored=${stored}, config=${config}.`, {
          detail: { field: name, stored, config },
        });
    }
  }

  /** The newest build of a library that this deployment ever had, 0 when it had none. */
  async newestBuild(library: string): Promise<number> {
    const stored = Number((await this.client.zscore(buildsKey(this.prefix), library)) ?? 0);
    return Math.max(stored, this.newest.get(library) ?? 0);
  }

  /** Notes a build that a server has; the record keeps the newest. */
  async noteBuild(library: string, build: number): Promise<void> {
    const newest = Math.max(build, this.newest.get(library) ?? 0);
    this.newest.set(library, newest);
    await this.client.zadd(buildsKey(this.prefix), 'GT', newest, library);
  }
}

/** The members of a record; nothing when it is none. */
function recordOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
