/**
 * What happens before the first call: is this a server we can trust with work, is our library on it, and is it
 * partitioned as we think. Each refusal says what to do. Source: spec 13 part B.
 */
import type { Valkey } from 'iovalkey';
import { library, type Library, type LibraryKind } from '../../lua/library.js';
import { EngineError } from '../../model/errors.js';
import { parsePartitionConfig, partitionConfig, type PartitionConfig } from '../../model/partition.js';
import { deploymentKey } from './keys.js';
import { primariesOf, type Client } from './connection.js';

/** Who puts the library on the server. */
export type LibraryMode =
  /** Load it when it is missing or older; refuse another library of the same build. */
  | 'load'
  /** Only check; for deployments that load it by other means. */
  | 'verify'
  /** Replace whatever is there: for development, where the Lua changes without a new build number. */
  | 'replace';

const MIN_VERSION = [7, 2] as const;

/** What INFO says, by name. */
export async function serverInfo(node: Valkey): Promise<Map<string, string>> {
  const text = await node.info();
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );
}

/** @throws EngineError `unsupported_server`, `unsafe_eviction_policy` */
export function checkServer(info: ReadonlyMap<string, string>, host: string): void {
  const version =
    info.get('valkey_version') ?? (info.get('server_name') === 'valkey' ? info.get('redis_version') : undefined);
  if (version === undefined) {
    throw new EngineError(
      'unsupported_server',
      `${host} is not a Valkey server (it reports redis_version ${info.get('redis_version') ?? 'nothing'}).`,
    );
  }
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])) {
    throw new EngineError('unsupported_server', `${host} runs Valkey ${version}.`);
  }
  const eviction = info.get('maxmemory_policy');
  if (eviction !== undefined && eviction !== 'noeviction') {
    throw new EngineError('unsafe_eviction_policy', `${host} has maxmemory-policy ${eviction}.`);
  }
}

const handshakes = new WeakMap<Client, Promise<void>>();

/** Brings the library onto every primary; concurrent callers share one handshake. */
export function handshake(client: Client, kind: LibraryKind, mode: LibraryMode): Promise<void> {
  const running = handshakes.get(client);
  if (running !== undefined) return running;
  const wanted = library(kind);
  const started = Promise.all(primariesOf(client).map((node) => handshakeNode(node, wanted, mode)))
    .then(() => undefined)
    .finally(() => handshakes.delete(client));
  handshakes.set(client, started);
  return started;
}

async function handshakeNode(node: Valkey, wanted: Library, mode: LibraryMode): Promise<void> {
  const host = `${node.options.host}:${node.options.port}`;
  const found = await installedVersion(node, wanted);
  if (found !== undefined && found.hash === wanted.hash) return;
  if (mode === 'replace' || (mode === 'load' && (found === undefined || found.build < wanted.build))) {
    await node.call('FUNCTION', 'LOAD', 'REPLACE', wanted.source);
    return;
  }
  if (found === undefined) throw new EngineError('library_mismatch', `${host} has no library ${wanted.name}.`);
  // A newer build of the same contract speaks our language: leave it there.
  if (found.build > wanted.build) return;
  throw new EngineError(
    'library_mismatch',
    `${host} has ${wanted.name} build ${found.build} (${found.hash}); this process brings build ${wanted.build} (${wanted.hash}).`,
  );
}

async function installedVersion(
  node: Valkey,
  { functionPrefix }: Library,
): Promise<{ build: number; hash: string } | undefined> {
  try {
    const [, build, hash] = (await node.call('FCALL', `${functionPrefix}version`, 0)) as [number, number, string];
    return { build: Number(build), hash };
  } catch (error) {
    if (error instanceof Error && /function not found/i.test(error.message)) return undefined;
    throw error;
  }
}

/**
 * Settles the partitioning: the first process writes it, every later one must agree.
 * @throws EngineError `partition_mismatch`, `invalid_input`, `corruption`
 */
export async function settlePartitions(
  client: Client,
  prefix: string,
  wanted: Partial<PartitionConfig> | undefined,
): Promise<PartitionConfig> {
  const key = deploymentKey(prefix);
  await client.set(key, JSON.stringify(parsePartitionConfig(wanted ?? {})), 'NX');
  const stored = partitionConfig.safeParse(jsonOf((await client.get(key)) ?? ''));
  if (!stored.success) throw new EngineError('corruption', `${key} does not hold a partition configuration.`);
  for (const name of ['count', 'placement'] as const) {
    const value = wanted?.[name];
    if (value !== undefined && value !== stored.data[name]) {
      throw new EngineError('partition_mismatch', `${name}: stored=${stored.data[name]}, config=${value}.`, {
        detail: { field: name, stored: String(stored.data[name]), config: String(value) },
      });
    }
  }
  return stored.data;
}

/** The value of a JSON text; nothing when it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
