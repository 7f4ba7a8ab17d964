/** A partition in memory that writes its events and bytes to the journal. */
import type { ByteSlot } from '../../model/core/entity.js';
import { present } from '../../model/core/present.js';
import type { Event } from '../../model/events.js';
import { IndexedStore, type StoreListener } from '../memory/indexed-store.js';
import type { Partition } from '../../model/state.js';
import type { Append, StreamContents } from '../../model/stream/contents.js';
import type { SignalPayload } from '../../model/suspension/payloads.js';
import { PAYLOAD_SLOT, writePayload } from './payloads.js';
import { placeOf } from './records.js';
import type { Recording } from '../../model/step/contents.js';
import { stepKeyOf } from '../../model/step/facts.js';
import { STEP_SLOT, writeStep } from './steps.js';
import { APPEND_SLOT, writeAppend } from './streams.js';

/** The receiver of events and bytes. */
export interface Records {
  event(place: string, event: Event): void;
  bytes(place: string, slot: string, subject: string, bytes: Uint8Array): void;
}

/** Called before an event changes the partition. */
export type Watcher = (event: Event) => void;

export class JournaledStore extends IndexedStore {
  watcher: Watcher | undefined;
  /** Called with the id of a stream before a frame is appended to it. */
  appendWatcher: ((streamId: string) => void) | undefined;

  /** The name of the partition in files. */
  readonly place: string;

  constructor(
    partition: string,
    logMaxEntries: number,
    listener: StoreListener,
    private readonly records: Records,
  ) {
    super(partition, logMaxEntries, listener);
    this.place = placeOf(partition);
  }

  override record(event: Event): void {
    this.watcher?.(event);
    super.record(event);
    // After the event was applied, so that an event that cannot be applied is not written.
    this.records.event(this.place, event);
  }

  override keep(slot: ByteSlot, subject: string, bytes: Uint8Array): void {
    super.keep(slot, subject, bytes);
    // The stored copy, because the caller may change its bytes.
    this.records.bytes(this.place, slot, subject, present(this.partition.bytes[slot].get(subject)));
  }

  override appendFrame(frame: Append): void {
    this.appendWatcher?.(frame.streamId);
    super.appendFrame(frame);
    this.records.bytes(this.place, APPEND_SLOT, frame.streamId, writeAppend(frame));
  }

  override keepPayload(payload: SignalPayload): void {
    super.keepPayload(payload);
    this.records.bytes(this.place, PAYLOAD_SLOT, payload.executionId, writePayload(payload.signalId, payload.bytes));
  }

  /** Restores a payload from the files. */
  restorePayload(payload: SignalPayload): void {
    super.keepPayload(payload);
  }

  override addStep(recording: Recording): void {
    super.addStep(recording);
    this.records.bytes(this.place, STEP_SLOT, recording.executionId, writeStep(recording.record));
  }

  /** Restores a step from the files, once: a snapshot has the steps twice of an execution that changed meanwhile. */
  restoreStep(recording: Recording): void {
    const { executionId, record } = recording;
    if (this.partition.steps.get(executionId)?.places.has(stepKeyOf(record)) !== true) super.addStep(recording);
  }

  /** Restores an appended frame from the files. */
  restoreAppend(frame: Append): void {
    super.appendFrame(frame);
  }

  /** Restores the contents of a stream. */
  restoreStream(streamId: string, contents: StreamContents): void {
    this.partition.streams.set(streamId, contents);
  }

  /** Applies an event from the files. */
  replay(event: Event): void {
    super.record(event);
  }

  /** Restores bytes from the files. */
  restoreBytes(slot: ByteSlot, subject: string, bytes: Uint8Array): void {
    super.keep(slot, subject, bytes);
  }

  /** The tables of the partition. */
  get contents(): Partition {
    return this.partition;
  }
}
