/**
 * What deployments of this thread leave behind on the server that all tests share: subscriptions, and bytes that were
 * stored for a call and not taken over, which only time removes. Each deployment has a prefix of its own, so what others do there is not seen.
 */
import { Valkey } from 'iovalkey';
import { deploymentKey } from '../../src/valkey/keys.js';
import { sharedUrlVariable } from './valkey/shared.js';

/** Keys per page of a scan. */
const PAGE = 1_000;

/** The name of the record behind the prefix. */
const RECORD = deploymentKey('');
/** Prefixes of deployments that were opened since they were looked at. */
const prefixes = new Set<string>();

interface Sent {
  readonly name: string;
  readonly args: readonly unknown[];
}

const url = process.env['VALKEY_URL'] || process.env[sharedUrlVariable];
const port = url === undefined ? undefined : Number(new URL(url).port || 6379);
const { sendCommand } = Valkey.prototype as unknown as { sendCommand: (this: Valkey, command: Sent) => unknown };

/** Notes the prefix of every deployment that is opened on the shared server: its boot reads the deployment's record. */
export function watchShared(): void {
  if (port === undefined) return;
  Object.assign(Valkey.prototype, {
    sendCommand(this: Valkey, command: Sent, ...more: unknown[]): unknown {
      const key = String(command.args[0]);
      if (this.options.port === port && command.name === 'get' && key.endsWith(RECORD))
        prefixes.add(key.slice(0, -RECORD.length));
      return Reflect.apply(sendCommand, this, [command, ...more]) as unknown;
    },
  });
}

/** What is left there now, in words; forgets the prefixes when that is nothing. */
export async function leftOnShared(): Promise<string[]> {
  if (prefixes.size === 0) return [];
  const admin = new Valkey(url as string);
  try {
    const left = await Promise.all([...prefixes].map((prefix) => leftUnder(admin, prefix)));
    if (left.flat().length === 0) prefixes.clear();
    return left.flat();
  } finally {
    admin.disconnect();
  }
}

async function leftUnder(admin: Valkey, prefix: string): Promise<string[]> {
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
  const channels = (await admin.pubsub('CHANNELS', pattern)) as string[];
  return [...channels.map((channel) => `channel ${channel}`), ...(await stagedKeys(admin, pattern))];
}

/** Keys of bytes under the name by which a call was to take them over (src/valkey/staging.ts). */
const STAGED = /:(in|out:[^:]+):[\w-]{13,24}$/;

async function stagedKeys(admin: Valkey, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor = '0'; ; ) {
    const [next, page] = await admin.scan(cursor, 'MATCH', pattern, 'COUNT', PAGE);
    keys.push(...page.filter((key) => STAGED.test(key)));
    if (next === '0') return keys.map((key) => `unused bytes ${key}`);
    cursor = next;
  }
}
