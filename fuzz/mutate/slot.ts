/**
 * Judges mutants one after another: a private server, and a copy of the sources in which one file at a time is broken.
 * Lua is replaced on the server; a broken model runs in a separate process.
 */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { Valkey } from 'iovalkey';
import { luaFiles } from '../../lua/files.js';
import { library, libraryOf, type Library } from '../../lua/library.js';
import type { Language } from '../../lua/tokens.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../../test/support/valkey/index.js';
import { DEPLOYMENT } from '../arena.js';
import { judge, type Budget } from './judge.js';
import type { Mutant } from './mutants.js';
import { Tree } from './tree.js';
import { HANGS, type Verdict } from './verdict.js';

/** One run of the unbroken engine takes less than a second; a mutant of which one takes longer than this hangs, ms. */
const RUN_LIMIT_MS = 180_000;
/** Time within which an idle server answers, ms. */
const PING_MS = 5_000;

/** The result of the work, or `late` when it takes longer. */
async function within<Value>(ms: number, work: Promise<Value>, late: Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<Value>((resolve) => (timer = setTimeout(resolve, ms, late)));
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}

/** The verdict of the work, unless no run of it ends for too long. */
function inTime(work: (ended: () => void) => Promise<Verdict>): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, RUN_LIMIT_MS, { kind: 'killed', run: 0, by: HANGS });
    work(() => timer.refresh())
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

export class Slot {
  private server: ValkeyServer | undefined;
  private client: Valkey | undefined;
  private engine: TestEngine | undefined;
  private readonly tree = new Tree();
  private readonly original = library('test');
  private readonly files = luaFiles();
  /** Runs that were found to pass on the unbroken engine: a language of mutants, and a number. */
  private readonly passing = new Set<string>();

  constructor(private readonly budget: Budget) {}

  /**
   * Judges one mutant. A run is a witness only if the unbroken engine passes it.
   * @throws Error when it does not, because no verdict would mean anything
   */
  async judge(mutant: Mutant): Promise<Verdict> {
    const first = await this.judgeOnce(mutant);
    // A machine may be busy for a while.
    const verdict = first.kind === 'killed' && first.by === HANGS ? await this.judgeOnce(mutant) : first;
    // A mutant that crashes or hangs has ended no run.
    if (verdict.kind === 'killed') await this.judgeOriginal(mutant.language, Math.max(1, verdict.run));
    return verdict;
  }

  /**
   * Makes one run on the unbroken sources, in the way in which mutants of the language are judged.
   * @throws Error when they do not pass
   */
  async judgeOriginal(language: Language, run: number): Promise<void> {
    const key = `${language} ${run}`;
    if (this.passing.has(key)) return;
    const budget = { ...this.budget, only: run };
    const verdict = await (language === 'lua'
      ? this.judgeLibrary(this.original.source, budget)
      : this.judgeTree(budget));
    if (verdict.kind !== 'survived') throw new Error(`The unbroken engine does not pass: ${JSON.stringify(verdict)}`);
    this.passing.add(key);
  }

  private async judgeOnce(mutant: Mutant): Promise<Verdict> {
    if (mutant.language === 'lua') {
      const files = { ...this.files, [mutant.file.slice('lua/'.length)]: mutant.source };
      let broken: Library;
      try {
        broken = libraryOf('test', files);
      } catch (error) {
        return { kind: 'stillborn', because: String(error) };
      }
      if (broken.hash === this.original.hash) throw new Error(`${mutant.file}: the mutant is no other library`);
      // It keeps the hash of the original, so that the backend accepts it.
      return this.judgeLibrary(broken.source.replaceAll(broken.hash, this.original.hash), this.budget);
    }
    this.tree.break(mutant.file, mutant.source);
    try {
      return await this.judgeTree(this.budget);
    } finally {
      this.tree.mend(mutant.file);
    }
  }

  async close(): Promise<void> {
    this.client?.disconnect();
    await within(PING_MS, Promise.resolve(this.engine?.close()), undefined);
    await this.server?.stop();
    this.tree.remove();
  }

  private async judgeLibrary(source: string, budget: Budget): Promise<Verdict> {
    const { client, engine } = await this.open();
    try {
      await client.call('FUNCTION', 'LOAD', 'REPLACE', source);
    } catch (error) {
      return { kind: 'stillborn', because: String(error) };
    }
    return inTime((ended) => judge(engine, budget, ended));
  }

  private async judgeTree(budget: Budget): Promise<Verdict> {
    const { client } = await this.open();
    await client.call('FUNCTION', 'LOAD', 'REPLACE', this.original.source);
    const url = (this.server as ValkeyServer).url;
    const child = fork(join(this.tree.path, 'fuzz/mutate/child.ts'), [url, JSON.stringify(budget)], {
      cwd: this.tree.path,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let errors = '';
    child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
    const result = await inTime(
      (ended) =>
        new Promise<Verdict>((resolve) => {
          child.on('message', (message) => (message === 'ended' ? ended() : resolve(message as Verdict)));
          child.once('close', () =>
            resolve({
              ...{ kind: 'killed', run: 0 },
              by: `crash: ${/\w*Error: .*/.exec(errors)?.[0] ?? errors.slice(-160)}`,
            }),
          );
        }),
    );
    if (child.exitCode === null) child.kill('SIGKILL');
    return result;
  }

  /** A responsive server; replaced when a mutant made it hang. */
  async open(): Promise<{ client: Valkey; engine: TestEngine }> {
    const answers =
      this.client !== undefined &&
      (await within<string>(
        PING_MS,
        this.client.ping().catch(() => ''),
        '',
      )) === 'PONG';
    if (!answers) {
      this.client?.disconnect();
      await within(PING_MS, Promise.resolve(this.engine?.close()), undefined);
      await this.server?.stop();
      this.server = await startValkey({ args: ['--busy-reply-threshold', '500'] });
      this.client = new Valkey(this.server.url);
      this.client.on('error', () => undefined);
      this.engine = await testEngine({ ...DEPLOYMENT, backend: { url: this.server.url }, prefix: 'mutate:' });
    }
    return { client: this.client as Valkey, engine: this.engine as TestEngine };
  }
}
