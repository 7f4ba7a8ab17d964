/**
 * A backend as one process sees it: the simulated server behind a connection on which calls take time, meet faults, and
 * are combined as on a real connection. Only the guarantees of a real backend hold: every call settles by its deadline,
 * and an error that says "retryable" leaves open whether the call ran. Wakes can be lost.
 */
import { present } from '../../../model/core/present.js';
import type { FamilyCounts } from '../../../model/families.js';
import {
  EngineError,
  type Backend,
  type Cancel,
  type Command,
  type CommandResult,
  type Wake,
} from '../../engine/index.js';
import {
  OPERATION_NAMES,
  partitionOfCommand,
  QUERY_NAMES,
  queryNamed,
  type ParsedCommand,
} from '../../../model/machine.js';
import { parseGrace, type ShutdownOptions, type ShutdownReport } from '../../backend/gate.js';
import type { ChannelMessage } from '../../backend/wake-listeners.js';
import { within } from '../../engine/clock.js';
import { sendAtTurnEnd } from '../../util/turn-end.js';
import { broken, unanswered, type Fault, type WakeFault } from './faults.js';
import type { SimulatedProcess } from './process.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedServer } from './server.js';
import { SimulatedSubscriptions, type Subscription } from './subscriptions.js';

/** One call of the process, as seen from outside. */
export interface ObservedCall {
  /** Counts the calls of this connection, from 1. */
  readonly number: number;
  /** Calls that are sent together share this number. */
  trip: number;
  /** The operations, or the read. */
  readonly names: readonly string[];
  /** Its commands; none for a read. */
  readonly commands: readonly Command[];
  readonly madeAt: number;
  fault: Fault | undefined;
  settledAt: number | undefined;
  /** The answers to its commands, or the error of the call. */
  answers: readonly CommandResult[] | undefined;
  error: unknown;
}

export interface ConnectionObserver {
  made?(call: ObservedCall): void;
  settled?(call: ObservedCall): void;
  /** A wake reaches a listener. */
  woken?(wake: ChannelMessage): void;
  /** A listener of wakes threw, which is forbidden. */
  listenerThrew?(error: unknown): void;
}

export interface LinkOptions {
  readonly scheduler: Scheduler;
  readonly process: SimulatedProcess;
  readonly server: SimulatedServer;
  /** Latency of one way, ms. */
  readonly latencyMs: number;
  /** When the process gives up a call, ms. */
  readonly callTimeoutMs: number;
  readonly observer?: ConnectionObserver;
  /** The fault that commands which are sent together, or a read, meet. It may kill the process. */
  readonly faultOf?: (names: readonly string[], commands: readonly Command[]) => Fault | undefined;
  /** The fault that the next wake meets. */
  readonly wakeFaultOf?: () => WakeFault | undefined;
  /** Called with what is about to be sent to a partition: commands that it adds are sent along. */
  readonly beforeSend?: (partition: string, gathered: readonly Gathered[], listening: Iterable<Subscription>) => void;
}

/** Commands of one caller that are about to be sent. */
export interface Gathered {
  readonly commands: readonly Command[];
}

/** Commands of one caller under way. */
interface Entry extends Gathered {
  readonly call: ObservedCall;
  readonly resolve: (results: CommandResult[]) => void;
  readonly reject: (error: unknown) => void;
}

export class SimulatedLink {
  readonly backend: Backend;
  /** Subscriptions that were still active when the backend was closed. */
  leftAtClose = 0;
  /** Calls that the process has given up and that have not run yet. */
  strays = 0;
  private readonly gathering = new Map<string, Entry[]>();
  private readonly subscriptions: SimulatedSubscriptions;
  private readonly open = new Set<ObservedCall>();
  /** Called when no call is open. */
  private readonly draining = new Set<() => void>();
  private calls = 0;
  private trips = 0;
  private closed = false;

  constructor(private readonly options: LinkOptions) {
    this.subscriptions = new SimulatedSubscriptions({ ...options, ask: (...call) => this.ask(...call) });
    this.backend = this.build();
  }

  /** Calls that are not settled. */
  get inFlight(): ReadonlySet<ObservedCall> {
    return this.open;
  }

  /** Listeners of wakes. */
  get listeners(): number {
    return this.subscriptions.all.size;
  }

  /** Wakes are lost from now on, and new subscriptions fail. */
  disconnect(): void {
    this.subscriptions.disconnect();
  }

  /** Wakes arrive again; listeners are told that some may have been lost. */
  reconnect(): void {
    this.subscriptions.reconnect();
  }

  /** Delivers a wake that the server did not send. */
  inject(wake: Wake): void {
    this.subscriptions.inject(wake);
  }

  /** The process is gone: the server drops its subscriptions. */
  kill(): void {
    this.subscriptions.removeAll();
    this.open.clear();
  }

  private build(): Backend {
    const { server } = this.options;
    const backend: Record<string | symbol, unknown> = {
      label: 'valkey',
      capabilities: () => ({ ...server.store.capabilities(), family: 'valkey', shared: true }),
      partitions: server.store.partitions,
      settings: server.store.settings,
      partitionsInUse: () => server.store.partitionsInUse(),
      configureDeployment: (...args: Parameters<Backend['configureDeployment']>) =>
        this.ask('configureDeployment', '', () => server.store.configureDeployment(...args)),
      execute: (commands: readonly Command[]) => this.send([...commands]),
      listLanes: (page?: { cursor?: string; limit?: number }) =>
        this.ask('listLanes', '', () => server.store.listLanes(page)),
      ping: () => this.ask('ping', '', () => server.store.ping()),
      serverTime: () => this.ask('serverTime', '', () => server.store.serverTime()),
      onWake: (...args: Parameters<Backend['onWake']>) => this.subscriptions.subscribe(...args),
      onAnnouncement: (...args: Parameters<Backend['onAnnouncement']>) =>
        this.subscriptions.subscribeToAnnouncements(...args),
      onFrames: (...args: Parameters<Backend['onFrames']>) => this.subscriptions.subscribeToFrames(...args),
      shutdownPrepare: (...args: Parameters<Backend['shutdownPrepare']>) => this.shutdownPrepare(...args),
      close: async () => this.close(),
      [Symbol.asyncDispose]: async () => this.close(),
    };
    for (const name of OPERATION_NAMES) {
      backend[name] = async (args: unknown) => {
        const [result] = await this.send([{ name, args } as Command]);
        if (result?.ok) return result.outcome;
        throw result?.error;
      };
    }
    for (const name of QUERY_NAMES) {
      backend[name] = (args: unknown) => {
        const partition = queryNamed(name).partition(args as never, server.store.partitions);
        this.flush(partition);
        return this.ask(name, partition, () => (server.store[name] as (args: unknown) => Promise<unknown>)(args));
      };
    }
    return backend as unknown as Backend;
  }

  private async shutdownPrepare(options?: ShutdownOptions): Promise<ShutdownReport> {
    const graceMs = parseGrace(options);
    this.closed = true;
    this.subscriptions.end();
    if (this.open.size > 0) {
      let answered: () => void = () => undefined;
      const drained = new Promise<void>((resolve) => this.draining.add((answered = resolve)));
      await within(this.options.process, graceMs, drained);
      this.draining.delete(answered);
    }
    return { unanswered: this.open.size };
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.leftAtClose = this.listeners;
    this.subscriptions.removeAll();
  }

  private call(names: readonly string[], commands: readonly Command[]): ObservedCall {
    if (this.closed) throw new EngineError('backend_closed', 'Simulated: the backend is closed.');
    const call: ObservedCall = {
      number: ++this.calls,
      trip: 0,
      names,
      commands,
      madeAt: this.options.scheduler.now(),
      fault: undefined,
      settledAt: undefined,
      answers: undefined,
      error: undefined,
    };
    this.open.add(call);
    this.options.observer?.made?.(call);
    return call;
  }

  private settle(call: ObservedCall, answers: readonly CommandResult[] | undefined, error: unknown): void {
    call.settledAt = this.options.scheduler.now();
    call.answers = answers;
    call.error = error;
    this.open.delete(call);
    this.options.observer?.settled?.(call);
    if (this.open.size === 0) for (const drained of this.draining) drained();
  }

  // Commands of one turn for one partition are sent together.

  private async send(commands: readonly Command[]): Promise<CommandResult[]> {
    const call = this.call(
      commands.map(({ name }) => name),
      commands,
    );
    const partition = partitionOf(commands, this.options.server.store.partitions);
    return new Promise((resolve, reject) => {
      const entry: Entry = { call, commands, resolve, reject };
      const gathered = this.gathering.get(partition);
      if (gathered !== undefined) {
        gathered.push(entry);
        return;
      }
      this.gathering.set(partition, [entry]);
      sendAtTurnEnd(() => this.flush(partition));
    });
  }

  private flush(partition: string): void {
    const entries = this.gathering.get(partition);
    if (entries === undefined) return;
    // A process that was killed in this turn sends nothing.
    if (this.options.process.dead) return;
    this.options.beforeSend?.(partition, entries, this.subscriptions.all);
    this.gathering.delete(partition);
    const creations = entries.filter(({ commands }) => commands.every(({ name }) => name === 'createExecution'));
    const others = entries.filter((entry) => !creations.includes(entry));
    this.dispatch(partition, [...creations, ...others]);
  }

  private dispatch(partition: string, entries: readonly Entry[]): void {
    const fault = this.options.faultOf?.(
      entries.flatMap(({ call }) => call.names),
      entries.flatMap(({ commands }) => commands),
    );
    const trip = ++this.trips;
    for (const { call } of entries) Object.assign(call, { trip, fault });
    const skipped = fault?.kind === 'one_faulty' ? skippedIn(entries, fault) : undefined;
    const batches = entries.map(({ commands }) =>
      commands.filter((command) => command !== skipped?.command || skipped.ran),
    );
    this.travel(
      fault,
      () => this.options.server.execute(partition, batches),
      (settled) =>
        entries.forEach((entry, index) => {
          const result = present(settled[index]);
          if (result.status === 'rejected') this.rejectEntry(entry, result.reason);
          else this.resolveEntry(entry, withFault(entry.commands, result.value, skipped));
        }),
      (error) => entries.forEach((entry) => this.rejectEntry(entry, error)),
    );
  }

  private resolveEntry({ call, resolve }: Entry, results: CommandResult[]): void {
    this.settle(call, results, undefined);
    resolve(results);
  }

  private rejectEntry({ call, reject }: Entry, error: unknown): void {
    this.settle(call, undefined, error);
    reject(error);
  }

  // Reads are sent alone.

  private async ask<T>(name: string, partition: string, run: () => Promise<T>): Promise<T> {
    const call = this.call([name], []);
    const fault = this.options.faultOf?.([name], []);
    Object.assign(call, { trip: ++this.trips, fault });
    return new Promise<T>((resolve, reject) =>
      this.travel(
        fault,
        async () => {
          const [settled] = await Promise.allSettled([run()]);
          // Some reads also change something, which observers need to see.
          await this.options.server.follow(partition);
          return settled;
        },
        (settled) => {
          this.settle(call, undefined, settled.status === 'rejected' ? settled.reason : undefined);
          if (settled.status === 'rejected') reject(settled.reason);
          else resolve(settled.value);
        },
        (error) => {
          this.settle(call, undefined, error);
          reject(error);
        },
      ),
    );
  }

  /** A round trip, with its faults. */
  private travel<T>(
    fault: Fault | undefined,
    run: () => Promise<T>,
    answered: (answer: T) => void,
    failed: (error: unknown) => void,
  ): void {
    const { scheduler, process: own, server, latencyMs, callTimeoutMs } = this.options;
    const now = scheduler.now() + (fault?.kind === 'held' ? fault.byMs : 0);
    const oneWayMs = latencyMs + (fault?.kind === 'slow' ? fault.byMs : 0);
    const arrives = (atMs: number, then: (answer: T) => void): void => {
      scheduler.at(server, 'network', now + atMs, () => scheduler.hold(run().then(then)));
    };
    if (fault?.kind === 'not_sent') {
      scheduler.at(own, 'network', now, () => failed(broken()));
      return;
    }
    let deadline: Cancel = () => undefined;
    let over = false;
    const once = (finish: () => void) => () => {
      if (over) return;
      over = true;
      deadline();
      finish();
    };
    deadline = scheduler.at(
      own,
      'network',
      now + callTimeoutMs,
      once(() => failed(unanswered())),
    );
    const back = (finish: () => void): void =>
      void scheduler.at(own, 'network', scheduler.now() + oneWayMs, once(finish));
    if (fault?.kind === 'never_answered') arrives(oneWayMs, () => undefined);
    else if (fault?.kind === 'arrives_late') {
      this.strays++;
      arrives(callTimeoutMs + fault.byMs, () => this.strays--);
    } else if (fault?.kind === 'answer_lost') arrives(oneWayMs, () => back(() => failed(broken())));
    else if (fault?.kind !== 'never_arrives') arrives(oneWayMs, (answer) => back(() => answered(answer)));
  }
}

interface Skipped {
  readonly command: Command;
  readonly ran: boolean;
}

function skippedIn(entries: readonly Entry[], { position, ran }: Extract<Fault, { kind: 'one_faulty' }>): Skipped {
  const all = entries.flatMap(({ commands }) => commands);
  return { command: present(all[position % all.length]), ran };
}

/** The results of an entry, one per command; a command that met a fault has the fault. */
function withFault(
  commands: readonly Command[],
  results: CommandResult[],
  skipped: Skipped | undefined,
): CommandResult[] {
  const position = skipped === undefined ? -1 : commands.indexOf(skipped.command);
  if (skipped === undefined || position < 0) return results;
  return results.toSpliced(position, skipped.ran ? 1 : 0, { ok: false, error: unanswered() });
}

/** The partition of a batch; undefined for a malformed batch, which the server refuses. */
function partitionOf([first]: readonly Command[], counts: FamilyCounts): string {
  try {
    return first === undefined ? '' : partitionOfCommand(first as ParsedCommand, counts);
  } catch {
    return '';
  }
}
