/**
 * Holders of one budget, and workers with limits, on a real server; their processes are killed at random moments and
 * restarted while limits rise; then the audit. The server stays up: `npm run chaos` covers its failures.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Backend } from '../../src/backend/backend.js';
import { startTimerLoop } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey } from '../../test/support/valkey/index.js';
import { seededRandom } from '../chaos/random.js';
import { auditBudget, auditHandlers, auditSettlements, auditSlots, type Killed } from './audit.js';
import type { MetersChild } from './child.js';
import { meterEvents } from './events.js';
import { recordsOf } from './records.js';
import { meteredApp, RUN_TOKENS, TENANT_CAP } from './work.js';

export interface MetersOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Holders of the budget, in processes of five. */
  readonly holders: number;
  readonly workers: number;
  readonly runs: number;
}

export interface MetersResult {
  readonly kills: number;
  readonly settlements: number;
  readonly lapsed: number;
  readonly runs: number;
  readonly faults: readonly string[];
}

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const HOLDERS_PER_PROCESS = 5;
const TENANTS = 4;
/** Initial limit of the holders' budget, raised by the same amount every second: it is nearly always exhausted. */
const LIMIT_STEP = 500;
/** Mean time between two kills, ms. */
const KILL_EVERY_MS = 300;
/** By now reservations and leases of dead processes have lapsed, and unused slots were confirmed or freed, ms. */
const SETTLE_MS = 25_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The processes of a run, by their files. */
class Processes {
  readonly living: { role: MetersChild['role']; child: ChildProcess; file: string }[] = [];
  private readonly ended: { file: string; goneAt: number }[] = [];
  private count = 0;

  constructor(
    private readonly common: Omit<MetersChild, 'role' | 'seed' | 'file'>,
    private readonly seed: number,
    private readonly dir: string,
  ) {}

  start(role: MetersChild['role']): Promise<void> {
    const file = join(this.dir, `${this.count}.jsonl`);
    const config: MetersChild = { ...this.common, role, seed: this.seed + 1_000 * this.count++, file };
    const child = fork(CHILD, {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, METERS_CHILD: JSON.stringify(config) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.living.push({ role, child, file });
    return new Promise((resolve) => {
      child.once('message', () => resolve());
      child.once('exit', () => resolve());
    });
  }

  /** Kills one and returns its role. */
  async kill(index: number): Promise<MetersChild['role']> {
    const [{ role, child, file }] = this.living.splice(index, 1) as [(typeof this.living)[number]];
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await gone;
    this.ended.push({ file, goneAt: Date.now() });
    return role;
  }

  async killAll(role?: MetersChild['role']): Promise<void> {
    for (let index = this.living.length - 1; index >= 0; index--)
      if (role === undefined || this.living[index]?.role === role) await this.kill(index);
  }

  /** All records, once every process is dead. */
  written(): Promise<Killed[]> {
    return Promise.all(
      this.ended.map(async ({ file, goneAt }) => ({
        records: recordsOf(await readFile(file, 'utf8').catch(() => '')),
        goneAt,
      })),
    );
  }
}

export async function runMeters(options: MetersOptions): Promise<MetersResult> {
  const { seed, holders, workers, runs } = options;
  const server = await startValkey({ appendonly: false });
  const dir = await mkdtemp(join(tmpdir(), 'meters-'));
  const prefix = 'meters:';
  const backend = await valkey({
    ...{ url: server.url, prefix, partitions: { count: 2, budgets: 1, quotas: 1 }, logMaxEntries: 10_000_000 },
  });
  const timers = await startTimerLoop(backend);
  const budgetId = randomUUID();
  await backend.createBudget({ budgetId, limits: { tokens: { hard: LIMIT_STEP } } });
  const common = { url: server.url, prefix, budgetId, holders: HOLDERS_PER_PROCESS };
  const processes = new Processes(common, seed, dir);
  const metered = meteredApp(backend);
  try {
    const roles = [
      ...Array.from({ length: Math.ceil(holders / HOLDERS_PER_PROCESS) }, () => 'holders' as const),
      ...Array.from({ length: workers }, () => 'worker' as const),
    ];
    await Promise.all(roles.map((role) => processes.start(role)));
    const random = seededRandom(seed);
    const jobs = Array.from({ length: runs }, (_, index) => ({
      tenant: `t${index % TENANTS}`,
      workMs: Math.floor(40 * random()),
    }));
    const created = await metered.task.runMany(jobs);
    const kills = await attack(backend, processes, options, random, budgetId);
    await processes.killAll('holders');
    await Promise.all(created.map((run) => run.result({ timeout: '3m' })));
    await processes.killAll();
    const faults = await leftBehind(backend, [budgetId, metered.budgetId]);
    const budgetEvents = await meterEvents(backend, 'budget');
    const written = await processes.written();
    const own = auditBudget(budgetId, budgetEvents);
    const ofRuns = auditBudget(metered.budgetId, budgetEvents);
    faults.push(...own.faults, ...ofRuns.faults);
    faults.push(
      ...auditSettlements(
        own.settled,
        written.flatMap(({ records }) => records),
      ),
    );
    faults.push(...auditSlots(await meterEvents(backend, 'quota')), ...auditHandlers(written, TENANT_CAP));
    for (const [id, { account }] of [
      [budgetId, own],
      [metered.budgetId, ofRuns],
    ] as const)
      faults.push(...(await differences(backend, id, account.usage)));
    if (ofRuns.account.usage < runs * RUN_TOKENS) faults.push(`${runs} runs have used ${ofRuns.account.usage}`);
    const lapsed = budgetEvents.filter(({ type }) => type === 'reservation_lapsed').length;
    return { kills, settlements: own.settled.size, lapsed, runs, faults };
  } finally {
    await processes.killAll();
    await timers.close();
    await metered.app.close();
    await backend.close();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Kills one after the other, and raises the limit meanwhile. */
async function attack(
  backend: Backend,
  processes: Processes,
  { durationMs }: MetersOptions,
  random: () => number,
  budgetId: string,
): Promise<number> {
  const end = Date.now() + durationMs;
  const starts: Promise<void>[] = [];
  let kills = 0;
  let raisedAt = Date.now();
  let limit = LIMIT_STEP;
  while (Date.now() < end) {
    await pause(2 * KILL_EVERY_MS * random());
    if (processes.living.length > 0) {
      starts.push(processes.start(await processes.kill(Math.floor(random() * processes.living.length))));
      kills++;
    }
    if (Date.now() - raisedAt < 1_000) continue;
    raisedAt = Date.now();
    limit += LIMIT_STEP;
    await backend.updateBudgetLimits({ budgetId, limits: { tokens: { hard: limit } } });
  }
  await Promise.all(starts);
  return kills;
}

/** Waits until nothing is reserved and no slot is held; what remains is a violation. */
async function leftBehind(backend: Backend, budgetIds: readonly string[]): Promise<string[]> {
  const until = Date.now() + SETTLE_MS;
  for (;;) {
    const faults: string[] = [];
    for (const budgetId of budgetIds) {
      const { tokens = 0 } = (await backend.getBudgetStatus({ budgetId })).reserved;
      if (tokens > 0) faults.push(`${tokens} of budget ${budgetId} are reserved for ever`);
    }
    faults.push(...auditSlots(await meterEvents(backend, 'quota')).filter((fault) => fault.endsWith('left')));
    if (faults.length === 0 || Date.now() > until) return faults;
    await pause(250);
  }
}

/** The stored budget equals its folded events. */
async function differences(backend: Backend, budgetId: string, usage: number): Promise<string[]> {
  const status = await backend.getBudgetStatus({ budgetId });
  const stored = status.usage['tokens'] ?? 0;
  return stored === usage ? [] : [`budget ${budgetId} has ${stored} used, and ${usage} were settled`];
}
