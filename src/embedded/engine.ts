/** The machine of the memory backend with a journal: recovery, answers, notices, and the end. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { EngineError } from '../../model/errors.js';
import { hasPartition } from '../../model/families.js';
import { operationNamed, type ParsedCommand } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';
import { Gate, parseGrace, type ShutdownOptions, type ShutdownReport } from '../backend/gate.js';
import type { StoreListener } from '../memory/indexed-store.js';
import { checkListener } from '../backend/listener-arguments.js';
import { backendOf, Machine } from '../memory/machine.js';
import type { DeploymentSettings } from '../backend/settings.js';
import { orWarn } from '../util/quietly.js';
import { Compaction } from './compaction.js';
import type { Disk } from './disk.js';
import { failureOf } from './failures.js';
import { beginFile, filesOf, markFolder, nameFile, type Deployment } from './files.js';
import { MAX_BODY_BYTES } from './frames.js';
import { Journal, type FsyncMode, type JournalOwner } from './journal.js';
import { recover, storedDeployment, type Recovered } from './recovery.js';
import { JournaledStore, type Records } from './store.js';
import type { Wanted } from './wanted.js';

export interface EngineOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly fsync: FsyncMode;
  /** The requested deployment; an existing store must agree with it. */
  readonly wanted: Wanted;
  readonly snapshotEveryBytes: number;
  readonly now: () => number;
  /** Whether a process had the store open, and died. */
  readonly wasOpen: boolean;
}

/** Most bytes of payloads per step, which is written in one piece. */
const MAX_STEP_BYTES = MAX_BODY_BYTES / 2;

type NoticeListener = (notice: EngineError) => void;

export class EmbeddedEngine implements JournalOwner, Records {
  readonly backend: Backend;
  private readonly machine: Machine;
  private readonly storeId: string | undefined;
  private readonly journal: Journal;
  private readonly compaction: Compaction;
  private readonly stores = new Map<string, JournaledStore>();
  /** While stores are filled from files, no listener is called. */
  private isReading = true;
  /** Whether anything was ever written: events, or changed settings. */
  private hasHeld: boolean;
  private readonly noticeListeners = new Set<NoticeListener>();
  private readonly notices = new Map<string, EngineError>();
  private closing: Promise<void> | undefined;
  private readonly gate = new Gate('embedded backend');

  constructor(
    private readonly options: EngineOptions,
    /** Called after the files are closed. */
    private readonly onClosed: () => void,
  ) {
    const { disk, folder, now, fsync, snapshotEveryBytes, wanted, wasOpen } = options;
    const stored = storedDeployment(disk, folder, wasOpen) ?? begin(disk, folder, wanted.deployment);
    const { partitions, settings } = stored;
    this.storeId = stored.storeId;
    this.machine = new Machine({
      label: 'embedded',
      partitions,
      settings,
      now,
      store: (partition, logMaxEntries, listener) => {
        const store = new JournaledStore(partition, logMaxEntries, this.unlessReading(listener), this);
        this.stores.set(partition, store);
        return store;
      },
      admit: (commands) => this.admit(commands),
      configured: (changed) => {
        this.hasHeld = true;
        this.journal.settings(changed);
      },
    });
    const recovered = this.read(true);
    try {
      wanted.agreesWith(this.deployment);
    } catch (error) {
      disk.close(recovered.segment.file);
      throw error;
    }
    this.hasHeld = recovered.holds;
    this.journal = new Journal(disk, fsync, this, recovered.segment);
    this.compaction = new Compaction(
      {
        disk,
        folder,
        deployment: () => this.deployment,
        stores: () => [...this.stores.values()],
        leastBytes: snapshotEveryBytes,
      },
      this.journal,
      recovered.snapshotBytes,
      recovered.journalBytes,
    );
    if (recovered.torn !== undefined) this.notice(tailCut(recovered.torn));
    this.backend = backendOf(this.machine, {
      durability: fsync,
      answering: (call) => this.answer(call),
      shutdownPrepare: (ended) => this.shutdownPrepare(ended),
      close: () => this.close(),
      onNotice: (listener) => this.onNotice(listener),
    });
  }

  private get deployment(): Deployment {
    return { partitions: this.machine.partitions, settings: this.machine.settings, storeId: this.storeId };
  }

  private storeOf(partition: string): JournaledStore | undefined {
    if (!hasPartition(this.machine.partitions, partition)) return undefined;
    return this.machine.store(partition) as JournaledStore;
  }

  private unlessReading(listener: StoreListener): StoreListener {
    return {
      onHead: (execution) => this.isReading || listener.onHead(execution),
      onTimer: (at) => this.isReading || listener.onTimer(at),
      onAppended: () => this.isReading || listener.onAppended(),
      onRoom: (waiter, wanted) => this.isReading || listener.onRoom(waiter, wanted),
      onBudgetRoom: (budgetId) => this.isReading || listener.onBudgetRoom(budgetId),
      onEnded: (executionId) => this.isReading || listener.onEnded(executionId),
      onFrames: (executionId) => this.isReading || listener.onFrames(executionId),
    };
  }

  private read(mends: boolean): Recovered {
    this.isReading = true;
    try {
      const use = (settings: DeploymentSettings): void => this.machine.use(settings);
      return recover(
        this.options.disk,
        this.options.folder,
        { storeId: this.storeId, store: (partition) => this.storeOf(partition), use },
        mends,
      );
    } finally {
      this.isReading = false;
    }
  }

  // Calls.

  private answer<Value>(call: () => Value): Promise<Value> {
    return this.gate.pass(async () => {
      this.journal.check();
      try {
        return call();
      } finally {
        // A refusal also depends on earlier changes, so it waits for their durability too.
        const { settled } = this.journal;
        if (settled !== undefined) await settled;
      }
    });
  }

  private admit(commands: readonly ParsedCommand[]): void {
    let bytes = 0;
    let adds = false;
    for (const { name, args } of commands) {
      const operation = operationNamed(name);
      adds ||= operation.memory === 'adds';
      if (operation.bytes === undefined) continue;
      for (const argument of Object.keys(operation.bytes)) {
        bytes += (args as unknown as Record<string, Uint8Array | undefined>)[argument]?.byteLength ?? 0;
      }
    }
    if (bytes > MAX_STEP_BYTES)
      throw new EngineError('invalid_input', `commands: their payloads come to more than ${MAX_STEP_BYTES} bytes.`);
    try {
      this.journal.makeRoom(bytes, adds);
      if (adds) this.notices.delete('storage_full');
    } catch (error) {
      if (error instanceof EngineError) this.notice(error);
      throw error;
    }
  }

  event: Records['event'] = (place, event) => {
    this.hasHeld = true;
    this.journal.event(place, event);
  };
  bytes: Records['bytes'] = (place, slot, subject, bytes) => this.journal.bytes(place, slot, subject, bytes);

  // Calls of the journal.

  readBack(): void {
    this.compaction.abort(new EngineError('storage_failed', 'The store is read back.'));
    this.stores.clear();
    this.machine.forget();
    const { segment } = this.read(false);
    this.options.disk.close(segment.file);
    if (segment.position !== this.journal.position)
      throw new EngineError('storage_failed', 'The journal does not end where it was written to.');
  }

  wantsRest(): boolean {
    return this.compaction.isDue;
  }

  rest(): void {
    this.compaction.begin();
  }

  stopped(failure: EngineError): void {
    this.compaction.end(failure);
    this.notice(failure);
  }

  sealed(): void {
    if (this.hasHeld) markFolder(this.options.disk, this.options.folder);
  }

  // Notices.

  private notice(notice: EngineError): void {
    if (this.notices.has(notice.code)) return;
    this.notices.set(notice.code, notice);
    for (const listener of [...this.noticeListeners]) listener(notice);
  }

  private onNotice(listener: NoticeListener): () => void {
    checkListener('onNotice', listener);
    const own: NoticeListener = (notice) => orWarn('A listener of notices', () => listener(notice));
    this.noticeListeners.add(own);
    for (const notice of this.notices.values()) own(notice);
    return () => void this.noticeListeners.delete(own);
  }

  // The end.

  /** Makes a snapshot now. */
  async compact(): Promise<void> {
    this.journal.check();
    const done = this.compaction.compact();
    this.journal.restIfWanted();
    await done;
  }

  private async shutdownPrepare(options?: ShutdownOptions): Promise<ShutdownReport> {
    const graceMs = parseGrace(options);
    this.gate.shut();
    this.machine.shut();
    const onDisk = this.gate.count(this.journal.sync());
    const report = await this.gate.drain(graceMs);
    if (report.unanswered === 0) await onDisk;
    return report;
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.machine.shut();
    this.compaction.end(new EngineError('backend_closed', 'The embedded backend is closed.'));
    try {
      await this.journal.close();
    } finally {
      this.onClosed();
    }
  }

  /** Stops the journal, because the lock of the store is lost. */
  lostLock(loss: EngineError): void {
    this.journal.stop(loss);
  }

  /** Leaves everything as it is, like the death of the process. */
  abandon(): void {
    this.closing ??= Promise.resolve();
    this.machine.close();
    this.compaction.abandon();
    this.journal.abandon();
    this.onClosed();
  }
}

/** Creates a store in an empty folder. */
function begin(disk: Disk, folder: string, wanted: Deployment): Deployment {
  const deployment = { ...wanted, storeId: randomUUID() };
  try {
    for (const name of filesOf(disk.list(folder)).unfinished) disk.remove(join(folder, name));
    const { file } = beginFile(disk, folder, { kind: 'journal', number: 1, ...deployment });
    disk.sync(file);
    disk.close(file);
    nameFile(disk, folder, 'journal', 1);
    return deployment;
  } catch (error) {
    throw failureOf(error);
  }
}

function tailCut({ file, at }: { readonly file: string; readonly at: number }): EngineError {
  return new EngineError('storage_tail_cut', `${file} was cut at byte ${at}.`, { detail: { file, at: String(at) } });
}
