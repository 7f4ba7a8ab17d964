/**
 * Runs test files of the tree in which this process was started, on request, and answers which test failed first. One
 * process serves many mutants, so that unchanged files are compiled once. The test files share one thread and its
 * modules, so that these are loaded once per mutant.
 */
import type { TestModule, TestSpecification } from 'vitest/node';
import { createVitest } from 'vitest/node';

/** The files to run, in this order; `changed` files were written since the last request. */
export interface SuiteRequest {
  readonly changed: readonly string[];
  readonly tests: readonly string[];
}

/** The first failure in words, if any; and the duration of each file, ms. */
export interface SuiteReply {
  readonly failure: string | undefined;
  readonly tookMs: Readonly<Record<string, number>>;
}

class AsTold {
  shard = (specifications: TestSpecification[]): TestSpecification[] => specifications;
  sort = this.shard;
}

const vitest = await createVitest(
  'test',
  {
    ...{ root: process.cwd(), watch: false, cache: false, reporters: [{}], silent: true },
    ...{ bail: 1, maxWorkers: 1, isolate: false, sequence: { sequencer: AsTold } },
  },
  { server: { watch: null }, logLevel: 'silent' },
);
const [project] = vitest.projects;

process.on('message', (request: SuiteRequest) => {
  void run(request).then((reply) => process.send?.(reply));
});
process.send?.('ready');

async function run({ changed, tests }: SuiteRequest): Promise<SuiteReply> {
  for (const file of changed) vitest.invalidateFile(`${process.cwd()}/${file}`);
  // Failures of earlier runs would end this one.
  vitest.state.filesMap.clear();
  vitest.state.idMap.clear();
  try {
    const specifications = tests.flatMap((test) => project?.createSpecification(`${process.cwd()}/${test}`) ?? []);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
    const [unhandled] = unhandledErrors;
    const failure = testModules.map(failureOf).find((text) => text !== undefined);
    return {
      failure: failure ?? (unhandled === undefined ? undefined : `unhandled: ${shortened(unhandled)}`),
      tookMs: Object.fromEntries(testModules.map((module) => [nameOf(module), module.diagnostic().duration])),
    };
  } catch (error) {
    return { failure: shortened(error), tookMs: {} };
  }
}

const nameOf = ({ moduleId }: TestModule): string => moduleId.slice(process.cwd().length + 1);

function failureOf(module: TestModule): string | undefined {
  for (const test of module.children.allTests('failed'))
    return `${nameOf(module)}: ${test.fullName}: ${shortened(test.result().errors?.[0])}`;
  return module.state() === 'failed'
    ? `${nameOf(module)}: ${shortened(module.errors()[0] ?? 'a hook failed')}`
    : undefined;
}

const SHOWN_LENGTH = 160;

function shortened(error: unknown): string {
  const text =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
  return (text.split('\n')[0] ?? '').slice(0, SHOWN_LENGTH);
}
