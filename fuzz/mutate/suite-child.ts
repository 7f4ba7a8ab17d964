/**
 * Runs test files of the tree in which this process was started, on request, and answers which test failed first. One
 * process serves many mutants, so that unchanged files are compiled once. The test files share one thread and its
 * modules, so that these are loaded once per mutant.
 */
import type { Reporter, TestModule, TestSpecification } from 'vitest/node';
import { Valkey } from 'iovalkey';
import { createVitest } from 'vitest/node';
import { sharedUrlVariable } from '../../test/support/valkey/shared.js';

/** The files to run, in this order; `changed` files were written since the last request. */
export interface SuiteRequest {
  readonly changed: readonly string[];
  readonly tests: readonly string[];
}

/** Sent when a test file begins, and now and then. */
export interface SuiteNotice {
  readonly begins?: string;
  /** Processor time of this process, ms. */
  readonly cpuMs: number;
}

/** The first failure in words, if any, with the test file if one is to blame; and the duration of each file, ms. */
export interface SuiteReply {
  readonly failure?: { readonly test: string | undefined; readonly text: string };
  readonly tookMs: Readonly<Record<string, number>>;
}

class AsTold {
  shard = (specifications: TestSpecification[]): TestSpecification[] => specifications;
  sort = this.shard;
}

/** Tests that have no limit of their own end after this time. */
const TEST_TIMEOUT_MS = 45_000;
const NOTICE_MS = 5_000;

function notice(begins?: string): void {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1_000, ...(begins && { begins }) } satisfies SuiteNotice);
}

const reporter: Reporter = {
  onTestModuleStart: (module) => notice(nameOf(module)),
};

const vitest = await createVitest(
  'test',
  {
    ...{ root: process.cwd(), watch: false, cache: false, reporters: [reporter], silent: true },
    ...{
      testTimeout: TEST_TIMEOUT_MS,
      hookTimeout: TEST_TIMEOUT_MS,
      bail: 1,
      maxWorkers: 1,
      isolate: false,
      sequence: { sequencer: AsTold },
    },
  },
  { server: { watch: null }, logLevel: 'silent' },
);
// The first project of vitest.config.ts: its files share their modules.
const [project] = vitest.projects;

process.on('message', (request: SuiteRequest) => {
  const timer = setInterval(notice, NOTICE_MS);
  void run(request).then((reply) => {
    clearInterval(timer);
    process.send?.(reply);
  });
});
process.send?.('ready');

/** Tests name their keys by their process, which stays here: what an earlier run left on the server would be found again. */
async function emptyServer(): Promise<void> {
  const url = process.env[sharedUrlVariable];
  if (url === undefined) return;
  const client = new Valkey(url);
  await client.flushall();
  client.disconnect();
}

async function run({ changed, tests }: SuiteRequest): Promise<SuiteReply> {
  await emptyServer();
  for (const file of changed) vitest.invalidateFile(`${process.cwd()}/${file}`);
  // Failures of earlier runs would end this one.
  vitest.state.filesMap.clear();
  vitest.state.idMap.clear();
  try {
    const specifications = tests.flatMap((test) => project?.createSpecification(`${process.cwd()}/${test}`) ?? []);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
    const [unhandled] = unhandledErrors;
    const failure =
      testModules.map(failureOf).find((found) => found !== undefined) ??
      (unhandled === undefined ? undefined : { test: fileOf(unhandled), text: `unhandled: ${shortened(unhandled)}` });
    return {
      failure,
      tookMs: Object.fromEntries(testModules.map((module) => [nameOf(module), module.diagnostic().duration])),
    };
  } catch (error) {
    return { failure: { test: undefined, text: shortened(error) }, tookMs: {} };
  }
}

const nameOf = ({ moduleId }: TestModule): string => moduleId.slice(process.cwd().length + 1);

function failureOf(module: TestModule): SuiteReply['failure'] {
  const test = nameOf(module);
  for (const failed of module.children.allTests('failed'))
    return { test, text: `${failed.fullName}: ${shortened(failed.result().errors?.[0])}` };
  return module.state() === 'failed' ? { test, text: shortened(module.errors()[0] ?? 'a hook failed') } : undefined;
}

/** The test file in which an error was thrown that nothing caught. */
const fileOf = (error: unknown): string | undefined =>
  typeof error === 'object' &&
  error !== null &&
  'VITEST_TEST_PATH' in error &&
  typeof error.VITEST_TEST_PATH === 'string'
    ? error.VITEST_TEST_PATH.slice(process.cwd().length + 1)
    : undefined;

const SHOWN_LENGTH = 160;

function shortened(error: unknown): string {
  const text =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
  return (text.split('\n')[0] ?? '').slice(0, SHOWN_LENGTH);
}
