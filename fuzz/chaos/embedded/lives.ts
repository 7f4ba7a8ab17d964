/** The processes of a run, one after another on the same store: each is killed, and its successor opens what is left. */
import { fork, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programOf } from '../../../test/support/programs.js';
import type { Pulse } from '../judge-waste.js';
import { callsOf, entriesOf, isReading, type RecordedCall } from '../recording.js';
import type { Reading } from '../reader.js';
import type { Ran } from '../work.js';
import type { LifeConfig, Said } from './child.js';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

interface Life {
  readonly process: ChildProcess;
  readonly file: string;
  /** Jobs that have not ended when it has submitted everything and waited. */
  readonly settled: Promise<readonly string[]>;
}

export class Lives {
  private readonly files: string[] = [];
  private readonly program = programOf(CHILD);
  private spare: Promise<ChildProcess> | undefined;
  private current: Life | undefined;
  /** Processes that ended by themselves, with their output. */
  readonly crashes: string[] = [];

  constructor(
    private readonly config: Omit<LifeConfig, 'name' | 'file'>,
    private readonly dir: string,
  ) {}

  /** The next process opens the store; resolves when it is open. */
  async begin(): Promise<Life> {
    const child = await (this.spare ?? this.loaded());
    this.spare = this.loaded();
    const name = nameOf(this.files.length);
    const file = join(this.dir, `${name}.jsonl`);
    this.files.push(file);
    const opened = heard(child, 'opened');
    const settled = heard(child, 'settled').then((said) => said.unended);
    // Those of a process that is killed are never known.
    settled.catch(() => undefined);
    child.send({ ...this.config, name, file } satisfies LifeConfig);
    await opened;
    return (this.current = { process: child, file, settled });
  }

  async kill(): Promise<void> {
    await ended(this.current?.process);
  }

  /** Stops the process for a while, as a suspended computer does. */
  async freeze(ms: number): Promise<void> {
    this.current?.process.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.current?.process.kill('SIGCONT');
  }

  async end(): Promise<void> {
    await this.kill();
    await ended(await this.spare?.catch(() => undefined));
    (await this.program).remove();
  }

  /** All records, in the order of the lives. */
  async record(): Promise<{
    readonly calls: readonly RecordedCall[];
    readonly pulses: readonly Pulse[];
    readonly ran: readonly Ran[];
    readonly readings: readonly (readonly Reading[])[];
  }> {
    const lives = await Promise.all(
      this.files.map(async (file, index) => {
        const entries = entriesOf(await readFile(file, 'utf8').catch(() => ''));
        const name = nameOf(index);
        const pulses = entries.flatMap((each) => (each.entry === 'pulse' ? [{ process: name, at: each.at }] : []));
        return { entries, pulses, calls: callsOf(name, entries) };
      }),
    );
    return {
      calls: lives.flatMap(({ calls }) => calls),
      pulses: lives.flatMap(({ pulses }) => pulses),
      ran: lives.flatMap(({ entries }) => entries.flatMap((each) => (each.entry === 'ran' ? [each] : []))),
      readings: lives.map(({ entries }) => entries.flatMap((each) => (isReading(each) ? [each] : []))),
    };
  }

  /** A process that has loaded everything and waits to be told what to do. */
  private async loaded(): Promise<ChildProcess> {
    const { file } = await this.program;
    const child = fork(file, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    child.once('exit', (code, signal) => {
      if (signal !== 'SIGKILL')
        this.crashes.push(`a life ended by itself (${signal ?? code}): ${said.slice(0, 2_000)}`);
    });
    await heard(child, 'loaded');
    return child;
  }
}

const nameOf = (index: number): string => `life-${index}`;

/** Resolves when the process says this. @throws Error if it ends before */
function heard<Word extends Said['said']>(child: ChildProcess, word: Word): Promise<Extract<Said, { said: Word }>> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if ((message as Said).said === word) resolve(message as Extract<Said, { said: Word }>);
    });
    child.once('exit', () => reject(new Error(`A life ended before it was ${word}.`)));
  });
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}
