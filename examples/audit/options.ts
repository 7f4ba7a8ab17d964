import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface AuditOptions {
  /** `embedded`, `memory`, or where the server is: `valkey://host:port`. */
  readonly backend: string;
  /** The folder of the embedded store. */
  readonly store: string;
  /** Absolute path of the folder whose `node_modules` is audited. */
  readonly root: string;
  /** Name of the run: the same name goes on where an earlier run stopped. */
  readonly run: string;
  /** Worker processes; only with a server. */
  readonly workers: number;
  /** Whether this process is one of the workers. */
  readonly isWorker: boolean;
}

export const USAGE = `Audits every installed package: hashes, code lines, licence.

  npm start                                        in this process, kept in a folder: stop it, start it, it goes on
  npm start -- --backend memory                    in this process, kept nowhere
  npm start -- --backend valkey://host:port        on a server, with worker processes

  --root DIR      folder whose node_modules is audited   (default: the current folder)
  --store DIR     folder of the store, without a server  (default: node_modules/.cache/flowfabric-audit)
  --workers N     worker processes, with a server        (default: 2)
  --run NAME      name of the run; the same name goes on (default: made of the root)
`;

const MAX_WORKERS = Math.max(16, 2 * availableParallelism());

/**
 * Reads the command line; undefined when help was asked for.
 *
 * @throws Error saying what is wrong with it
 */
export async function readOptions(args: readonly string[]): Promise<AuditOptions | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      backend: { type: 'string', default: 'embedded' },
      store: { type: 'string', default: join('node_modules', '.cache', 'flowfabric-audit') },
      root: { type: 'string', default: '.' },
      run: { type: 'string' },
      workers: { type: 'string', default: '2' },
      worker: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { backend } = values;
  if (backend !== 'embedded' && backend !== 'memory' && !/^(valkey|valkeys|redis|rediss):\/\//.test(backend)) {
    throw new Error(`--backend: "embedded", "memory" or "valkey://host:port", not "${backend}"`);
  }
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    throw new Error(`--workers: a whole number from 1 to ${MAX_WORKERS}`);
  }
  const root = await realpath(values.root);
  return {
    backend,
    store: resolve(values.store),
    root,
    workers,
    run: values.run ?? runNameOf(root),
    isWorker: values.worker,
  };
}

/** The same root is the same run, so that starting again goes on where an interrupted audit stopped. */
function runNameOf(root: string): string {
  return `tree-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`;
}
