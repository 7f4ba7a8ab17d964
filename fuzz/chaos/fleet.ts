/** The processes of a run: started, killed, frozen, thawed, and restarted with a new record. */
import { fork, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programOf } from '../../test/support/programs.js';
import type { ChildConfig } from './child.js';
import type { Pulse } from './judge-waste.js';
import { callsOf, entriesOf, isReading, type RecordedCall } from './recording.js';
import type { Reading } from './reader.js';
import type { Ran } from './work.js';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

export interface Member {
  readonly role: ChildConfig['role'];
  readonly name: string;
  /** Differences from the rest of the fleet. */
  readonly own: Partial<ChildConfig>;
  process: ChildProcess;
  frozen: boolean;
}

export class Fleet {
  readonly members: Member[] = [];
  private readonly program = programOf(CHILD);
  private readonly files: { name: string; file: string }[] = [];
  private ending = false;
  /** Processes that ended by themselves, with their output. */
  readonly crashes: string[] = [];

  constructor(
    private readonly common: Omit<ChildConfig, 'role' | 'name' | 'file'>,
    private readonly dir: string,
  ) {}

  /** Starts a process; resolves when it has connected. */
  async add(role: ChildConfig['role'], name: string, own: Partial<ChildConfig> = {}): Promise<Member> {
    const member: Member = { role, name, own, process: await this.start(role, name, own), frozen: false };
    this.members.push(member);
    await new Promise<void>((resolve, reject) => {
      member.process.once('message', () => resolve());
      member.process.once('exit', () =>
        reject(new Error(`${name} ended before it was ready:\n${this.crashes.join('\n')}`)),
      );
    });
    return member;
  }

  /** Kills a process and starts its successor. */
  async replace(member: Member): Promise<void> {
    await kill(member.process);
    member.frozen = false;
    member.process = await this.start(member.role, member.name, member.own);
  }

  /** Freezes a process for a time. */
  async freeze(member: Member, ms: number): Promise<void> {
    const { process } = member;
    member.frozen = true;
    process.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, ms));
    process.kill('SIGCONT');
    member.frozen = false;
  }

  async end(): Promise<void> {
    this.ending = true;
    await Promise.all(this.members.map(({ process }) => kill(process)));
    (await this.program).remove();
  }

  /**
   * All records of the processes: calls, pulses, started steps, and received events, by process in the order of their
   * starts.
   */
  async record(): Promise<{
    readonly calls: RecordedCall[];
    readonly pulses: Pulse[];
    readonly ran: Ran[];
    readingsOf(reader: string): (readonly Reading[])[];
  }> {
    const all = await Promise.all(
      this.files.map(async ({ name, file }) => {
        const entries = entriesOf(await readFile(file, 'utf8').catch(() => ''));
        return {
          name,
          calls: callsOf(name, entries),
          pulses: entries.flatMap((each) => (each.entry === 'pulse' ? [{ process: name, at: each.at }] : [])),
          ran: entries.flatMap((each) => (each.entry === 'ran' ? [each] : [])),
          readings: entries.flatMap((each) => (isReading(each) ? [each] : [])),
        };
      }),
    );
    return {
      calls: all.flatMap(({ calls }) => calls),
      pulses: all.flatMap(({ pulses }) => pulses),
      ran: all.flatMap(({ ran }) => ran),
      readingsOf: (reader) => all.flatMap(({ name, readings }) => (name.startsWith(`${reader}.`) ? [readings] : [])),
    };
  }

  private async start(role: ChildConfig['role'], name: string, own: Partial<ChildConfig>): Promise<ChildProcess> {
    const { file: program } = await this.program;
    const life = `${name}.${this.files.length}`;
    const file = join(this.dir, `${life}.jsonl`);
    this.files.push({ name: life, file });
    const config: ChildConfig = { ...this.common, ...own, role, name, file };
    const child = fork(program, {
      execArgv: [],
      env: { ...process.env, CHAOS_CHILD: JSON.stringify(config) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    child.once('exit', (code, signal) => {
      if (!this.ending && signal !== 'SIGKILL')
        this.crashes.push(`${life} ended by itself (${signal ?? code}): ${said.slice(0, 2_000)}`);
    });
    return child;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}
