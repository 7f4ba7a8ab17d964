/**
 * Judges mutants of the groups with tests one after another: by the compiler, and by the tests near them, the fastest first, up to the
 * first failure.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { testsNear } from './groups.js';
import type { Verdict } from './verdict.js';
import type { Mutant } from './mutants.js';
import type { SuiteReply, SuiteRequest } from './suite-child.js';
import { Tree } from './tree.js';
import { BY_COMPILER, HANGS } from './verdict.js';

/** Tests may take this many times as long as on the unbroken sources; beyond it, the mutant hangs. */
const PATIENCE = 5;
const LEAST_TIME_LIMIT_MS = 60_000;
/** Slower tests on the unbroken sources are not used for mutants. */
const ORIGINAL_LIMIT_MS = 600_000;

/** The worker machine plays the same programs for every mutant, without stories. */
const ENVIRONMENT = { CI: '1', FUZZ_SEED: '1', FUZZ_RUNS: '20', FUZZ_SECONDS: '600', FUZZ_SHRINK_SECONDS: '0' };

/** Tests in the order of execution, and their durations on the unbroken sources, ms. */
interface Near {
  readonly tests: readonly string[];
  readonly totalMs: number;
}

/** A configuration of the compiler in the copy of the project. */
const SOURCES_ONLY = 'tsconfig.sources.json';
const COMPILED = {
  extends: './tsconfig.json',
  include: ['model', 'src', 'lua'],
  compilerOptions: { tsBuildInfoFile: 'sources.tsbuildinfo' },
};

/** The compiler's errors about text that is no TypeScript. */
const SYNTAX_ERROR = /error TS1\d{3}:/;

export class Suite {
  private readonly tree = new Tree();
  private child: ChildProcess | undefined;
  /** How long each test took when it was last run, ms. */
  private readonly tookMs = new Map<string, number>();
  /** Files written since the child compiled them. */
  private readonly changed = new Set<string>();

  constructor() {
    this.tree.break(SOURCES_ONLY, JSON.stringify(COMPILED));
  }

  /** @throws Error when a test fails on the unbroken sources, because no verdict would mean anything */
  async judge(mutant: Mutant): Promise<Verdict> {
    const { tests, totalMs } = await this.nearOf(testsNear(mutant.group, mutant.file));
    this.tree.break(mutant.file, mutant.source);
    this.changed.add(mutant.file);
    try {
      const complaint = mutant.language === 'ts' ? await this.compilerSays() : undefined;
      if (complaint !== undefined)
        return SYNTAX_ERROR.test(complaint)
          ? { kind: 'stillborn', because: complaint }
          : { kind: 'killed', run: 0, by: `${BY_COMPILER}${complaint}` };
      const failure = await this.firstFailure(tests, Math.max(LEAST_TIME_LIMIT_MS, totalMs * PATIENCE));
      if (failure !== undefined) return { kind: 'killed', run: 0, by: failure };
      return { kind: 'survived' };
    } finally {
      this.tree.mend(mutant.file);
      this.changed.add(mutant.file);
    }
  }

  /** A failure counts when it is repeated, because a test that fails once on a busy machine proves nothing. */
  private async firstFailure(tests: readonly string[], limitMs: number): Promise<string | undefined> {
    for (let left = tests; left.length > 0; ) {
      const { failure } = await this.run(left, limitMs);
      const failed = left.findIndex((test) => failure?.startsWith(`${test}: `));
      if (failure === undefined || failed === -1) return failure;
      const again = (await this.run(left.slice(failed, failed + 1), limitMs)).failure;
      if (again !== undefined) return again;
      left = left.slice(failed + 1);
    }
    return undefined;
  }

  /** Each test is run on the unbroken sources once, also when it is near several files. */
  private async nearOf(tests: readonly string[]): Promise<Near> {
    const unknown = tests.filter((test) => !this.tookMs.has(test));
    if (unknown.length > 0) {
      const failure = await this.firstFailure(unknown, ORIGINAL_LIMIT_MS);
      if (failure !== undefined) throw new Error(`The unbroken sources do not pass: ${failure}`);
    }
    const took = (test: string): number => this.tookMs.get(test) ?? 0;
    return {
      tests: [...tests].sort((a, b) => took(a) - took(b)),
      totalMs: tests.reduce((sum, test) => sum + took(test), 0),
    };
  }

  private async run(tests: readonly string[], limitMs: number): Promise<SuiteReply> {
    const child = await this.started();
    child.send({ tests, changed: [...this.changed] } satisfies SuiteRequest);
    this.changed.clear();
    const reply = await answerOf<SuiteReply>(child, limitMs);
    if (reply !== undefined) {
      // Tests that were skipped after a failure took no time.
      for (const [test, ms] of Object.entries(reply.tookMs)) if (ms > 0) this.tookMs.set(test, ms);
      return reply;
    }
    const hangs = child.exitCode === null && child.signalCode === null;
    await this.end();
    return { failure: hangs ? HANGS : 'the process of the tests ended', tookMs: {} };
  }

  private async started(): Promise<ChildProcess> {
    if (this.child !== undefined) return this.child;
    this.child = fork(fileURLToPath(new URL('suite-child.ts', import.meta.url)), {
      cwd: this.tree.path,
      env: { ...process.env, ...ENVIRONMENT },
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await answerOf(this.child, ORIGINAL_LIMIT_MS);
    return this.child;
  }

  private async end(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Compiles the sources alone: without the tests it takes a quarter of the time. */
  private compilerSays(): Promise<string | undefined> {
    const args = ['node_modules/typescript/bin/tsc', '-p', SOURCES_ONLY];
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: this.tree.path }, (error, stdout) =>
        resolve(error === null ? undefined : (stdout.split('\n')[0] ?? String(error))),
      );
    });
  }

  async close(): Promise<void> {
    await this.end();
    this.tree.remove();
  }
}

/** The next message of a child; undefined when it does not come in time, or the child ends. */
function answerOf<Message>(child: ChildProcess, limitMs: number): Promise<Message | undefined> {
  return new Promise((resolve) => {
    const settle = (message: Message | undefined): void => {
      clearTimeout(timer);
      child.off('message', settle).off('exit', none);
      resolve(message);
    };
    const none = (): void => settle(undefined);
    const timer = setTimeout(none, limitMs);
    child.once('message', settle).once('exit', none);
  });
}
