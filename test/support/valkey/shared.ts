import { findValkeyServer } from './find.js';
import { startValkey } from './server.js';

/** A server that many callers share; each keeps to its own key prefix. */
export interface SharedValkey {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Does nothing: the server outlives its callers. It is here so that a private server can take its place. */
  stop(): Promise<void>;
}

/** Environment variables by which a test run tells its worker threads of its server, or of why it has none. */
export const sharedUrlVariable = 'FLOWFABRIC_TEST_VALKEY_URL';
export const sharedErrorVariable = 'FLOWFABRIC_TEST_VALKEY_ERROR';

const describe = (url: string): SharedValkey => {
  const { hostname, port } = new URL(url);
  return { url, host: hostname, port: port === '' ? 6379 : Number(port), stop: () => Promise.resolve() };
};

let own: Promise<SharedValkey> | undefined;

/**
 * The server that all tests of a run share: the one `VALKEY_URL` names, else
 * the one that the test run started, else (outside a test run) one per process.
 *
 * @throws Error that says what to install or to set if there is none
 */
export const sharedValkey = async (): Promise<SharedValkey> => {
  const source = process.env['VALKEY_URL'] || process.env[sharedUrlVariable];
  if (source) {
    // The leak check after each test looks there.
    if (process.env['VITEST']) (await import('../shared-traces.js')).watchShared(source);
    return describe(source);
  }
  const failure = process.env[sharedErrorVariable];
  if (failure) throw new Error(failure);
  own ??= findValkeyServer().then(async () => describe((await startValkey()).url));
  return own;
};
