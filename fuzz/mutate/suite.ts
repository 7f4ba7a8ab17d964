/**
 * Judges mutants of the groups with tests one after another: by the tests near them, in one process that stays, up to
 * the first failure.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { testsNear } from './groups.js';
import type { Mutant } from './mutants.js';
import type { SuiteNotice, SuiteReply, SuiteRequest } from './suite-child.js';
import { TestTimes } from './test-times.js';
import { Tree } from './tree.js';
import { HANGS, type Verdict } from './verdict.js';

/** A test file may use this many times the processor time that it took before; beyond it, the mutant hangs. */
const PATIENCE = 5;
const LEAST_LIMIT_MS = 60_000;
/** A file that uses little processor time waits for something, or for its turn on a busy machine: its limit, ms. */
const WAITING_LIMIT_MS = 300_000;

/** The worker machine plays the same programs for every mutant, without stories. */
const ENVIRONMENT = { CI: '1', FUZZ_SEED: '1', FUZZ_RUNS: '20', FUZZ_SECONDS: '600', FUZZ_SHRINK_SECONDS: '0' };

/** What a test file found. */
interface Failure {
  readonly test: string;
  readonly text: string;
}

export class Suite {
  private readonly tree = new Tree();
  private child: ChildProcess | undefined;
  private readonly times = new TestTimes();
  /** Files written since the child compiled them. */
  private readonly changed = new Set<string>();
  /** Test files that were run on the unbroken sources, and whether they passed. */
  private readonly passes = new Map<string, boolean>();

  async judge(mutant: Mutant): Promise<Verdict> {
    const near = testsNear(mutant.group, mutant.file).filter((test) => this.passes.get(test) !== false);
    let left = this.times.quickestFirst(near);
    for (;;) {
      this.write(mutant, true);
      const failure = await this.repeatedFailure(left);
      this.write(mutant, false);
      if (failure === undefined) return { kind: 'survived' };
      const { test, text } = failure;
      if (await this.passesUnbroken(test)) {
        this.times.found(test);
        return { kind: 'killed', run: 0, by: text === HANGS ? text : `${test}: ${text}` };
      }
      left = left.slice(left.indexOf(test) + 1);
    }
  }

  async close(): Promise<void> {
    await this.end();
    this.tree.remove();
  }

  private write({ file, source }: Mutant, broken: boolean): void {
    if (broken) this.tree.break(file, source);
    else this.tree.mend(file);
    this.changed.add(file);
  }

  /** A test is a witness only if it passes on the unbroken sources. That is asked when it first fails. */
  private async passesUnbroken(test: string): Promise<boolean> {
    const known = this.passes.get(test);
    if (known !== undefined) return known;
    const failure = await this.repeatedFailure([test]);
    if (failure !== undefined) console.log(`${test} fails on the unbroken sources and judges nothing: ${failure.text}`);
    this.passes.set(test, failure === undefined);
    return failure === undefined;
  }

  /** A failure counts when it is repeated, because a test that fails once on a busy machine proves nothing. */
  private async repeatedFailure(tests: readonly string[]): Promise<Failure | undefined> {
    for (let left = tests; left.length > 0; ) {
      const failure = await this.firstFailure(left);
      // What hangs has used up processor time, or stood still for minutes: a busy machine does neither.
      if (failure === undefined || failure.text === HANGS) return failure;
      const again = await this.firstFailure([failure.test]);
      if (again !== undefined) return again;
      left = left.slice(left.indexOf(failure.test) + 1);
    }
    return undefined;
  }

  private async firstFailure(tests: readonly string[]): Promise<Failure | undefined> {
    const child = await this.started();
    child.send({ tests, changed: [...this.changed] } satisfies SuiteRequest);
    this.changed.clear();
    let running: string | undefined;
    let beganCpuMs = 0;
    let endAt = performance.now() + WAITING_LIMIT_MS;
    for (;;) {
      const message = await answerOf<SuiteNotice | SuiteReply>(child, endAt - performance.now());
      if (message !== undefined && 'tookMs' in message) {
        this.times.add(message.tookMs);
        const { failure } = message;
        return failure === undefined ? undefined : blamed(failure.test ?? running, failure.text);
      }
      if (message?.begins !== undefined) {
        running = message.begins;
        beganCpuMs = message.cpuMs;
        endAt = performance.now() + WAITING_LIMIT_MS;
      } else if (message === undefined || message.cpuMs - beganCpuMs > this.limitOf(running)) {
        const text = child.exitCode === null && child.signalCode === null ? HANGS : 'the process of the tests ended';
        await this.end();
        return blamed(running, text);
      }
    }
  }

  private limitOf(test: string | undefined): number {
    const tookMs = test === undefined ? undefined : this.times.of(test);
    return tookMs === undefined ? WAITING_LIMIT_MS : Math.max(LEAST_LIMIT_MS, tookMs * PATIENCE);
  }

  private async started(): Promise<ChildProcess> {
    if (this.child !== undefined) return this.child;
    this.child = fork(fileURLToPath(new URL('suite-child.ts', import.meta.url)), {
      cwd: this.tree.path,
      env: { ...process.env, ...ENVIRONMENT },
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await answerOf(this.child, WAITING_LIMIT_MS);
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
}

/** @throws Error for a failure before any test began, because it says nothing about a mutant */
function blamed(test: string | undefined, text: string): Failure {
  if (test === undefined) throw new Error(`The tests do not start: ${text}`);
  return { test, text };
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
