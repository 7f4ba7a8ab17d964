/** Checks that a server is suitable. Source: spec 13 part B. */
import type { Valkey } from 'iovalkey';
import { EngineError } from '../../../model/errors.js';

const MIN_MAJOR = 8;

/** The fields of INFO, by name. */
export async function serverInfo(node: Valkey, ...sections: string[]): Promise<Map<string, string>> {
  const text: unknown = await node.info(...sections);
  return new Map(
    // Another program can answer with anything.
    String(text)
      .split(/\r?\n/)
      .flatMap((line) => {
        const colon = line.indexOf(':');
        return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
      }),
  );
}

/** The version that a Valkey server reports; empty when it is another server. */
export const versionOf = (info: ReadonlyMap<string, string>): string =>
  info.get('valkey_version') ?? (info.get('server_name') === 'valkey' ? (info.get('redis_version') ?? '') : '');

/** Whether all of these servers have an append-only file; `undefined` if one does not say. */
export function appendOnlyIn(infos: readonly ReadonlyMap<string, string>[]): boolean | undefined {
  const enabled = infos.map((info) => info.get('aof_enabled'));
  if (enabled.includes('0')) return false;
  return enabled.every((value) => value === '1') ? true : undefined;
}

/** @throws EngineError `unsupported_server`, `unsafe_eviction_policy` */
export function checkServer(info: ReadonlyMap<string, string>, host: string): void {
  const version = versionOf(info);
  if (version === '') {
    throw new EngineError(
      'unsupported_server',
      `${host} is not a Valkey server (it reports redis_version ${info.get('redis_version') ?? 'nothing'}).`,
    );
  }
  // Valkey 7.2 reports no `valkey_version`.
  if (Number(version.split('.')[0]) < MIN_MAJOR)
    throw new EngineError('unsupported_server', `${host} runs Valkey ${version}.`);
  checkEviction(info, host);
}

/** @throws EngineError `unsafe_eviction_policy` */
export function checkEviction(info: ReadonlyMap<string, string>, host: string): void {
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    throw new EngineError('unsafe_eviction_policy', `${host} has maxmemory-policy ${policy}.`);
}
