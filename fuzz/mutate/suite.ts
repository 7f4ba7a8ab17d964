/**
 * Judges mutants of `src/` one after another by the tests near them: the fastest tests first, up to the first failure.
 * Mutants that no test notices are compiled.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { testsNear } from './groups.js';
import type { Verdict } from './verdict.js';
import type { Mutant } from './mutants.js';
import type { SuiteReply, SuiteRequest } from './suite-child.js';
import { Tree } from './tree.js';
import { HANGS } from './verdict.js';

/** Tests may take this many times as long as on the unbroken sources; beyond it, the mutant hangs. */
const PATIENCE = 5;
const LEAST_TIME_LIMIT_MS = 30_000;
/** Slower tests on the unbroken sources are not used for mutants. */
const ORIGINAL_LIMIT_MS = 600_000;

/** The worker machine plays the same programs for every mutant, without stories. */
const ENVIRONMENT = { CI: '1', FUZZ_SEED: '1', FUZZ_RUNS: '60', FUZZ_SECONDS: '600', FUZZ_SHRINK_SECONDS: '0' };

/** Tests in the order of execution, and their durations on the unbroken sources, ms. */
interface Near {
  readonly tests: readonly string[];
  readonly totalMs: number;
}

/** Messages with which the transformer rejects invalid TypeScript. */
const NOT_LOADED = /(?:Parse|Transform) (?:error|failed)|Unexpected token|PARSE_ERROR/i;

export class Suite {
  private readonly tree = new Tree();
  private child: ChildProcess | undefined;
  private readonly near = new Map<string, Near>();
  /** Files written since the child compiled them. */
  private readonly changed = new Set<string>();

  /** @throws Error when a test fails on the unbroken sources, because no verdict would mean anything */
  async judge(mutant: Mutant): Promise<Verdict> {
    const { tests, totalMs } = await this.nearOf(testsNear(mutant.group, mutant.file));
    this.tree.break(mutant.file, mutant.source);
    this.changed.add(mutant.file);
    try {
      const failure = await this.firstFailure(tests, Math.max(LEAST_TIME_LIMIT_MS, totalMs * PATIENCE));
      if (failure !== undefined)
        return NOT_LOADED.test(failure)
          ? { kind: 'stillborn', because: failure }
          : { kind: 'killed', run: 0, by: failure };
      const complaint = await this.compilerSays();
      return complaint === undefined ? { kind: 'survived' } : { kind: 'killed', run: 0, by: `types: ${complaint}` };
    } finally {
      this.tree.mend(mutant.file);
      this.changed.add(mutant.file);
    }
  }

  /** A kill needs two failures, because a test that fails once on a busy machine proves nothing. */
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

  private async nearOf(tests: readonly string[]): Promise<Near> {
    const key = tests.join();
    const known = this.near.get(key);
    if (known !== undefined) return known;
    const startedAt = performance.now();
    const { failure, tookMs } = await this.run(tests, ORIGINAL_LIMIT_MS);
    if (failure !== undefined) throw new Error(`The unbroken sources do not pass: ${failure}`);
    const took = (test: string): number => tookMs[test] ?? 0;
    const near: Near = {
      tests: [...tests].sort((a, b) => took(a) - took(b)),
      totalMs: performance.now() - startedAt,
    };
    this.near.set(key, near);
    return near;
  }

  private async run(tests: readonly string[], limitMs: number): Promise<SuiteReply> {
    const child = await this.started();
    child.send({ tests, changed: [...this.changed] } satisfies SuiteRequest);
    this.changed.clear();
    const reply = await answerOf<SuiteReply>(child, limitMs);
    if (reply !== undefined) return reply;
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

  private compilerSays(): Promise<string | undefined> {
    const info = `${this.tree.path}/typecheck.tsbuildinfo`;
    const args = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--tsBuildInfoFile', info];
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
