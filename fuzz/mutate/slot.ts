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

/** A mutant that takes this many times as long as the unbroken engine counts as hanging, and as noticed. */
const PATIENCE = 6;
const LEAST_TIME_LIMIT_MS = 60_000;
/** Time within which an idle server answers, ms. */
const PING_MS = 1_000;

/** The result of the work, or `late` when it takes longer. */
async function within<Value>(ms: number, work: Promise<Value>, late: Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<Value>((resolve) => (timer = setTimeout(resolve, ms, late)));
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}

export class Slot {
  private server: ValkeyServer | undefined;
  private client: Valkey | undefined;
  private engine: TestEngine | undefined;
  private readonly tree = new Tree();
  private readonly original = library('test');
  private readonly files = luaFiles();
  private timeLimitMs = Number.POSITIVE_INFINITY;
  /** How long the unbroken sources take when a mutant of this language is judged, ms. */
  private readonly originalMs = new Map<Language, number>();

  constructor(private readonly budget: Budget) {}

  /**
   * Judges the unbroken sources as a mutant of the language would be judged, and returns the time that took, ms.
   * @throws Error when they do not pass, because no verdict would mean anything
   */
  async judgeOriginal(language: Language): Promise<number> {
    this.timeLimitMs = Number.POSITIVE_INFINITY;
    const startedAt = performance.now();
    const verdict = await (language === 'lua' ? this.judgeLibrary(this.original.source) : this.judgeTree());
    if (verdict.kind !== 'survived') throw new Error(`The unbroken engine does not pass: ${JSON.stringify(verdict)}`);
    const tookMs = performance.now() - startedAt;
    this.originalMs.set(language, tookMs);
    return tookMs;
  }

  /**
   * Judges one mutant. `originalMs` is the time for the unbroken sources; without it they are judged before the first
   * mutant of a language.
   */
  async judge(mutant: Mutant, originalMs?: number): Promise<Verdict> {
    const takesMs = originalMs ?? this.originalMs.get(mutant.language) ?? (await this.judgeOriginal(mutant.language));
    this.timeLimitMs = Math.max(LEAST_TIME_LIMIT_MS, takesMs * PATIENCE);
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
      return this.judgeLibrary(broken.source.replaceAll(broken.hash, this.original.hash));
    }
    this.tree.break(mutant.file, mutant.source);
    try {
      return await this.judgeTree();
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

  private async judgeLibrary(source: string): Promise<Verdict> {
    const { client, engine } = await this.open();
    try {
      await client.call('FUNCTION', 'LOAD', 'REPLACE', source);
    } catch (error) {
      return { kind: 'stillborn', because: String(error) };
    }
    return this.inTime(judge(engine, this.budget));
  }

  private async judgeTree(): Promise<Verdict> {
    const { client } = await this.open();
    await client.call('FUNCTION', 'LOAD', 'REPLACE', this.original.source);
    const url = (this.server as ValkeyServer).url;
    const child = fork(join(this.tree.path, 'fuzz/mutate/child.ts'), [url, JSON.stringify(this.budget)], {
      cwd: this.tree.path,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let errors = '';
    child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
    const verdict = new Promise<Verdict>((resolve) => {
      child.once('message', (message) => resolve(message as Verdict));
      child.once('close', () =>
        resolve(
          errors.includes('TransformError')
            ? { kind: 'stillborn', because: errors }
            : { kind: 'killed', run: 0, by: `crash: ${/\w*Error: .*/.exec(errors)?.[0] ?? errors.slice(-160)}` },
        ),
      );
    });
    const result = await this.inTime(verdict);
    if (child.exitCode === null) child.kill('SIGKILL');
    return result;
  }

  private inTime(verdict: Promise<Verdict>): Promise<Verdict> {
    return Number.isFinite(this.timeLimitMs)
      ? within<Verdict>(this.timeLimitMs, verdict, { kind: 'killed', run: 0, by: HANGS })
      : verdict;
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
      await this.server?.stop();
      this.server = await startValkey({ args: ['--busy-reply-threshold', '500'] });
      this.client = new Valkey(this.server.url);
      this.client.on('error', () => undefined);
      this.engine = await testEngine({ ...DEPLOYMENT, backend: { url: this.server.url }, prefix: 'mutate:' });
    }
    return { client: this.client as Valkey, engine: this.engine as TestEngine };
  }
}
