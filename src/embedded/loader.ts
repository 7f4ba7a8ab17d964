/** Loads the frames of a store into memory. */
import type { ByteSlot } from '../../model/core/entity.js';
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import type { EntityKind } from '../../model/state.js';
import { familiesIn, parseSharedSettings, type DeploymentSettings } from '../backend/settings.js';
import type { Frame } from './frames.js';
import { FIRST_PLACE, integerOf, partitionAt, readBytes, readEntity, readEvent, UNIT } from './records.js';
import { eventCodec, type RecordCodec, type SchemaCodecs } from './schema.js';
import type { JournaledStore } from './store.js';
import { PAYLOAD_SLOT, readPayload } from './payloads.js';
import { readStep, STEP_SLOT } from './steps.js';
import { APPEND_SLOT, readAppend, readContents, STREAM_SLOT } from './streams.js';

/** The stores to load into. */
export interface Target {
  /** The id that all files must have. */
  readonly storeId: string | undefined;
  /** The store of a partition; undefined if the deployment does not have it. */
  store(partition: string): JournaledStore | undefined;
  /** Applies settings that are in force from this record on. */
  use(settings: DeploymentSettings): void;
}

export class Loader {
  /** Whether a record said what the store holds: an event, or settings. */
  holds = false;
  private store!: JournaledStore;
  private partition = '';
  private place: string | undefined;
  private bytes!: Buffer;
  private bytesAt = 0;
  /** In a snapshot: the position of the next log entry. */
  private nextEntry = 0;

  constructor(
    private readonly target: Target,
    private readonly codecs: SchemaCodecs,
    /** Whether the file is a snapshot, whose events are log entries and change no state. */
    private readonly isSnapshot: boolean,
  ) {}

  /** @throws EngineError `corruption` for an invalid record, `library_mismatch` for an unknown one */
  load({ text, bytes }: Frame): void {
    this.use(FIRST_PLACE);
    this.bytes = bytes;
    this.bytesAt = 0;
    let start = 0;
    while (start < text.length) {
      let end = text.indexOf('\n', start);
      if (end < 0) end = text.length;
      this.line(text.slice(start, end));
      start = end + 1;
    }
  }

  private use(place: string): void {
    if (place === this.place) return;
    const partition = partitionAt(place);
    const store = this.target.store(partition);
    if (store === undefined) throw new EngineError('corruption', `A record names the unknown partition ${partition}.`);
    this.store = store;
    this.partition = partition;
    this.place = place;
  }

  private line(line: string): void {
    const parts = line.split(UNIT);
    const first = present(parts[0]);
    switch (line.charCodeAt(0)) {
      case 0x40: // @
        this.use(first.slice(1));
        return;
      case 0x3d: // =
        this.keep(parts);
        return;
      case 0x23: // #
        this.entity(integerOf(first.slice(1)), parts);
        return;
      case 0x24: // $
        this.holds = true;
        this.target.use(settingsIn(first.slice(1)));
        return;
      case 0x5e: // ^
        this.nextEntry = integerOf(first.slice(1));
        return;
      case 0x21: // !
        this.store.restoreHeader({
          generation: first.slice(1),
          sequence: integerOf(parts[1]),
          time: integerOf(parts[2]),
          room: integerOf(parts[3]),
        });
        return;
      case 0x2e: // .
        this.store.restored();
        return;
      default:
        this.event(first, parts);
    }
  }

  private event(letter: string, parts: readonly string[]): void {
    const event = readEvent(eventCodec(this.codecs, letter), parts, this.partition);
    this.holds = true;
    if (this.isSnapshot) this.store.restoreEntry({ sequence: this.nextEntry++, event });
    else this.store.replay(event);
  }

  private entity(kindIndex: number, parts: readonly string[]): void {
    const codec = this.codecs.entities[kindIndex] as RecordCodec | undefined;
    if (codec === undefined) throw new EngineError('corruption', `An entity has the unknown kind ${kindIndex}.`);
    const [id, entity] = readEntity(codec, parts, this.partition);
    this.store.restore(codec.name as EntityKind, id, entity);
  }

  private keep(parts: readonly string[]): void {
    const { slot, subject, length } = readBytes(parts, this.partition);
    const end = this.bytesAt + length;
    if (end > this.bytes.length) throw new EngineError('corruption', 'A frame has fewer bytes than its records say.');
    const bytes = this.bytes.subarray(this.bytesAt, end);
    this.bytesAt = end;
    if (slot === APPEND_SLOT) this.store.restoreAppend(readAppend(bytes));
    else if (slot === STEP_SLOT) this.store.restoreStep({ executionId: subject, record: readStep(bytes) });
    else if (slot === STREAM_SLOT) this.store.restoreStream(subject, readContents(bytes));
    else if (slot === PAYLOAD_SLOT) this.store.restorePayload({ executionId: subject, ...readPayload(bytes) });
    else if (Object.hasOwn(this.store.contents.bytes, slot)) this.store.restoreBytes(slot as ByteSlot, subject, bytes);
    else throw new EngineError('library_mismatch', `The store was written by a newer package: it has bytes "${slot}".`);
  }
}

function settingsIn(text: string): DeploymentSettings {
  const { version, families, ...settings } = JSON.parse(text) as Partial<DeploymentSettings>;
  if (version === undefined) throw new EngineError('corruption', 'Settings of the store have no version.');
  return { version, families: familiesIn(families), ...parseSharedSettings(settings) };
}
