/**
 * Writes the state of all partitions at one moment, in small pieces, while the machine continues. An entity that is
 * about to change for the first time is written before the change. If it had been written already, the file has it
 * twice with the same contents, and the loader takes it once. Log entries never change; entries that are
 * trimmed meanwhile would also be trimmed by the next events of the journal.
 */
import { present } from '../../model/core/present.js';
import { keysOf } from '../../model/core/tables.js';
import { isKnown, type Event } from '../../model/events.js';
import { EFFECTS } from '../../model/evolve.js';
import type { StepRecord } from '../../model/step/facts.js';
import { ENTITY_KINDS, type EntityKind } from '../../model/state.js';
import type { Disk } from './disk.js';
import { beginFile, dropFile, nameFile, type Deployment, type OpenFile } from './files.js';
import { FRAME } from './frames.js';
import { FIRST_PLACE, UNIT, writeBytes, writeEntity, writeEvent } from './records.js';
import type { JournaledStore } from './store.js';
import { PAYLOAD_SLOT, writePayload } from './payloads.js';
import { STEP_SLOT, writeStep } from './steps.js';
import { STREAM_SLOT, writeContents } from './streams.js';

/** Approximate size of the text and of the bytes of a frame. */
const FRAME_TEXT = 256 * 1024;
const FRAME_BYTES = 1024 * 1024;
/** Log entries read at a time. */
const LOG_PAGE = 256;
/** How long a slice may block the machine, ms. */
const SLICE_MS = 2;
/** Records written between two checks of the clock. */
const STEPS = 32;

type Seen = ReadonlyMap<EntityKind, Set<string>>;

interface Part {
  readonly store: JournaledStore;
  /** The header at the moment of the snapshot. */
  readonly header: string;
  readonly sequence: number;
  /** Entities that have changed since. */
  readonly changed: Seen;
}

export class Snapshot {
  private readonly file: OpenFile;
  private readonly parts: readonly Part[];
  private readonly steps: Iterator<void>;
  private text = '';
  private place = FIRST_PLACE;
  private bytes: Uint8Array[] = [];
  private bytesLength = 0;
  private failure: unknown;
  private isOver = false;

  /** `done` is called once: with the failure, or with the size of the finished file. */
  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly number: number,
    deployment: Deployment,
    stores: readonly JournaledStore[],
    private readonly done: (failure: unknown, bytes: number) => void,
  ) {
    this.file = beginFile(disk, folder, { kind: 'snapshot', number, ...deployment });
    this.parts = stores.map((store) => {
      const { generation, sequence, time, room } = store.storedHeader;
      const changed = new Map(ENTITY_KINDS.map((kind) => [kind, new Set<string>()] as const));
      const part = { store, header: `!${[generation, sequence, time, room].join(UNIT)}`, sequence, changed };
      store.watcher = (event) => this.keepBefore(part, event);
      store.appendWatcher = (streamId) => this.keepEntity(part, 'stream', streamId);
      return part;
    });
    this.steps = this.everything();
    this.later();
  }

  private later(): void {
    setImmediate(() => this.slice());
  }

  private slice(): void {
    if (this.isOver) return;
    try {
      if (this.failure !== undefined) throw this.failure;
      const end = performance.now() + SLICE_MS;
      while (performance.now() < end) {
        for (let step = 0; step < STEPS; step++) {
          if (this.steps.next().done) {
            this.finish();
            return;
          }
        }
      }
      this.later();
    } catch (error) {
      this.abort(error);
    }
  }

  private *everything(): Generator<void> {
    for (const part of this.parts) {
      const { store, changed } = part;
      this.line(store.place, part.header);
      for (const kind of ENTITY_KINDS) {
        for (const [id, entity] of store.contents.state.tables[kind] as Map<string, object>) {
          if (!changed.get(kind)?.has(id)) this.entity(store, kind, id, entity);
          yield;
        }
      }
      yield* this.log(part);
      this.line(store.place, '.');
      store.watcher = undefined;
      store.appendWatcher = undefined;
    }
  }

  private *log({ store, sequence }: Part): Generator<void> {
    for (let after = 0; ; ) {
      // All of them are known: a file with events of a newer build is refused when it is opened.
      const page = store.view.log
        .read(after, LOG_PAGE)
        .filter(isKnown)
        .filter((entry) => entry.sequence <= sequence);
      const last = page.at(-1);
      if (last === undefined) return;
      this.entries(store.place, page);
      after = last.sequence;
      yield;
    }
  }

  private entries(place: string, entries: readonly { readonly sequence: number; readonly event: Event }[]): void {
    this.line(place, `^${entries[0]?.sequence}`);
    for (const { event } of entries) this.line(place, writeEvent(event), false);
    this.writeIfLarge();
  }

  /** Writes the entities that the event is about to change, unless they have changed since the snapshot began. */
  private keepBefore(part: Part, event: Event): void {
    try {
      for (const { kind, key, idIn, recipe } of EFFECTS[event.type]) {
        const made = recipe.does === 'makes' ? (recipe.make(event) as Record<string, string> | undefined) : undefined;
        const id = recipe.does === 'makes' ? made?.[key] : idIn(event);
        if (id !== undefined) this.keepEntity(part, kind, id);
      }
    } catch (error) {
      // The failure must not affect the running step.
      this.failure ??= error;
    }
  }

  private keepEntity({ store, changed }: Part, kind: EntityKind, id: string): void {
    const ids = present(changed.get(kind));
    if (ids.has(id)) return;
    ids.add(id);
    try {
      const entity: object | undefined = store.contents.state.tables[kind].get(id);
      if (entity !== undefined) this.entity(store, kind, id, entity);
    } catch (error) {
      this.failure ??= error;
    }
  }

  private entity({ place, contents }: JournaledStore, kind: EntityKind, id: string, entity: object): void {
    this.line(place, writeEntity(ENTITY_KINDS.indexOf(kind), id, entity), false);
    for (const slot of keysOf(contents.bytes)) {
      const bytes = contents.bytes[slot].get(id);
      if (bytes === undefined) continue;
      this.bytesOf(place, slot, id, bytes);
    }
    const held = kind === 'stream' ? contents.streams.get(id) : undefined;
    if (held !== undefined) this.bytesOf(place, STREAM_SLOT, id, writeContents(held));
    if (kind === 'execution') {
      for (const [signalId, bytes] of contents.payloads.get(id) ?? [])
        this.bytesOf(place, PAYLOAD_SLOT, id, writePayload(signalId, bytes));
    }
    if (kind === 'execution') this.stepsOf(place, contents.steps.get(id)?.records ?? [], id);
    this.writeIfLarge();
  }

  /** Writes steps one by one, because all together they can be far larger than a frame should be. */
  private stepsOf(place: string, steps: readonly StepRecord[], id: string): void {
    for (const step of steps) {
      this.bytesOf(place, STEP_SLOT, id, writeStep(step));
      this.writeIfLarge();
    }
  }

  private bytesOf(place: string, slot: string, id: string, bytes: Uint8Array): void {
    this.line(place, writeBytes(slot, id, bytes.byteLength), false);
    this.bytes.push(bytes);
    this.bytesLength += bytes.byteLength;
  }

  private line(place: string, line: string, canEnd = true): void {
    if (place !== this.place) {
      this.text += `@${place}\n`;
      this.place = place;
    }
    this.text += `${line}\n`;
    if (canEnd) this.writeIfLarge();
  }

  private writeIfLarge(): void {
    if (this.text.length >= FRAME_TEXT || this.bytesLength >= FRAME_BYTES) this.write(FRAME.records);
  }

  private write(type: number): void {
    const { file, text, bytes } = this;
    this.text = '';
    this.bytes = [];
    this.bytesLength = 0;
    this.place = FIRST_PLACE;
    const frame = file.builder.frame(type, file.frames + 1, file.position, text, bytes);
    this.disk.write(file.file, frame, frame.length, file.position);
    file.frames += 1;
    file.position += frame.length;
  }

  private finish(): void {
    if (this.text !== '') this.write(FRAME.records);
    this.write(FRAME.end);
    this.disk.syncLater(this.file.file, (error) => {
      if (this.isOver) return;
      if (error !== null) {
        this.abort(error);
        return;
      }
      try {
        nameFile(this.disk, this.folder, 'snapshot', this.number);
      } catch (failure) {
        this.abort(failure);
        return;
      }
      this.isOver = true;
      this.disk.close(this.file.file);
      this.done(undefined, this.file.position);
    });
  }

  /** Aborts the snapshot, and removes its file. */
  abort(reason: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const { store } of this.parts) {
      store.watcher = undefined;
      store.appendWatcher = undefined;
    }
    dropFile(this.disk, this.folder, 'snapshot', this.file);
    this.done(reason, 0);
  }

  /** Closes the file as it is. */
  abandon(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.disk.close(this.file.file);
  }
}
