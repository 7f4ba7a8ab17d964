import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileAndRun } from './compilers.js';
import type { Check } from './run.js';

const BLOCK = /```ts\n([\s\S]*?)```/g;

/** Those that ask for a server are run by the tests of the sources, which have one. */
const needsServer = (code: string): boolean => /\bvalkey\(/.test(code);

/** The examples of the packed README, compiled and run with the packed package. */
export function readmeChecks(consumer: string): Check[] {
  const readme = readFileSync(join(consumer, 'node_modules/flowfabric/README.md'), 'utf8');
  const examples = [...readme.matchAll(BLOCK)].map(([, code]) => code as string).filter((code) => !needsServer(code));
  if (examples.length === 0) throw new Error('the README has no example that runs without a server');
  return examples.map((code, index) => {
    const file = `readme-${index + 1}.ts`;
    writeFileSync(join(consumer, file), code);
    return { name: `example ${index + 1} of the README`, run: () => compileAndRun(consumer, file) };
  });
}
