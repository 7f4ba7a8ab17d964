/**
 * What deployments of this thread leave behind on the server that all tests share: subscriptions, and bytes that were
 * stored for a call and not taken over, which only time removes. Each deployment has a prefix of its own, so what others do there is not seen.
 */
import { Valkey } from 'iovalkey';
import { deploymentKey } from '../../src/valkey/keys.js';
import { sharedServer } from './shared-server.js';

/** Keys per page of a scan. */
const PAGE = 1_000;

/** The name of the record behind the prefix. */
const RECORD = deploymentKey('');
const { prefixes } = sharedServer;

interface Sent {
  readonly name: string;
  readonly args: readonly unknown[];
}

const { sendCommand } = Valkey.prototype as unknown as { sendCommand: (this: Valkey, command: Sent) => unknown };

let url: string | undefined;

/** Notes the prefix of every deployment that is opened on the shared server: its boot reads the deployment's record. */
export function watchShared(server: string): void {
  if (url !== undefined) return;
  url = server;
  sharedServer.left = leftOnShared;
  const port = Number(new URL(server).port || 6379);
  Object.assign(Valkey.prototype, {
    sendCommand(this: Valkey, command: Sent, ...more: unknown[]): unknown {
      const key = String(command.args[0]);
      if (this.options.port === port && command.name === 'get' && key.endsWith(RECORD))
        prefixes.add(key.slice(0, -RECORD.length));
      return Reflect.apply(sendCommand, this, [command, ...more]) as unknown;
    },
  });
}

/** What is left there now, in words. Bytes are looked for when a file ends, because that reads all keys of the server. */
export async function leftOnShared(when: 'test' | 'file'): Promise<string[]> {
  if (prefixes.size === 0 || url === undefined) return [];
  const admin = new Valkey(url);
  try {
    const channels = ((await admin.pubsub('CHANNELS')) as string[]).filter(isOwn).map((name) => `channel ${name}`);
    const bytes = when === 'file' ? await Promise.all(STAGED_NAMES.map((pattern) => stagedKeys(admin, pattern))) : [];
    return [...channels, ...bytes.flat()];
  } finally {
    admin.disconnect();
  }
}

const isOwn = (name: string): boolean => [...prefixes].some((prefix) => name.startsWith(prefix));

/** Keys of bytes under the name by which a call was to take them over (src/valkey/bytes/staging.ts). */
const STAGED = /:(in|out:[^:]+):[\w-]{13,24}$/;
/** Patterns of all such names; few others are like them. */
const STAGED_NAMES = ['*:in:*', '*:out:*:*'];

async function stagedKeys(admin: Valkey, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor = '0'; ; ) {
    const [next, page] = await admin.scan(cursor, 'MATCH', pattern, 'COUNT', PAGE);
    keys.push(...page.filter((key) => STAGED.test(key) && isOwn(key)));
    if (next === '0') return keys.map((key) => `unused bytes ${key}`);
    cursor = next;
  }
}
