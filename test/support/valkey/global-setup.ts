import { findValkeyServer } from './find.js';
import { startValkey } from './server.js';
import { sharedErrorVariable, sharedUrlVariable } from './shared.js';

/**
 * Starts the one server that all test files of a run share and returns the
 * function that stops it. Without a server the tests that need none still run,
 * and each test that asks for one fails with the reason.
 */
export default async function setup(): Promise<() => Promise<void>> {
  delete process.env[sharedUrlVariable];
  delete process.env[sharedErrorVariable];
  try {
    const source = await findValkeyServer();
    if (source.kind === 'url') return () => Promise.resolve();
    const server = await startValkey();
    process.env[sharedUrlVariable] = server.url;
    return () => server.stop();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.message}` : '';
    process.env[sharedErrorVariable] = `${error instanceof Error ? error.message : String(error)}${cause}`;
    return () => Promise.resolve();
  }
}
