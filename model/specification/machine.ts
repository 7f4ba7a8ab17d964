/** The specification as a machine: plain tables, the view by definition, the pure fold. What backends are compared with. */
import type { ByteSlot } from '../core/entity.js';
import type { Applier, Settings } from '../operation.js';
import type { Event } from '../events.js';
import { droppedBy, EFFECTS } from '../evolve.js';
import { execute, transitionTime, type Store } from '../execute.js';
import type { AnyDecision, ParsedCommand } from '../machine.js';
import { generationOf } from '../partition/cursor.js';
import { passNotices, type Notices } from '../partition/notices.js';
import { addStep, dropSteps, type Recording } from '../step/contents.js';
import { append, type Append } from '../stream/contents.js';
import { emptyPartition, type Partition } from '../state.js';
import { dropPayloads, keepPayload, type SignalPayload } from '../suspension/payloads.js';
import { viewByDefinition, type View } from '../view.js';
import { evolve } from './evolve.js';

export class SpecMachine implements Store {
  partition: Partition = emptyPartition();

  constructor(
    private readonly settings: Settings,
    readonly partitionKey = '{fp:0}',
  ) {}

  get view(): View {
    return viewByDefinition(this.partition);
  }

  /** Carries out a command at a time of the clock. */
  run(command: ParsedCommand, clock: number): AnyDecision {
    const now = transitionTime(this.partition.header, clock);
    return execute(this, command, { now, settings: this.settings });
  }

  record(event: Event): void {
    const { log, header, bytes } = this.partition;
    if (header.sequence === 0) header.generation = generationOf(event.at);
    header.sequence += 1;
    header.time = event.at;
    passNotices(header, event.at);
    log.push({ sequence: header.sequence, event });
    dropSteps(this.partition.steps, event);
    dropPayloads(this.partition.payloads, event);
    this.partition = { ...this.partition, state: evolve(this.partition.state, event) };
    for (const { kind, idIn, recipe } of EFFECTS[event.type]) {
      const id = idIn(event);
      if (id === undefined) continue;
      // Code that changes an entity in place from now on throws.
      const entity: object | undefined = this.partition.state.tables[kind].get(id);
      if (entity !== undefined) Object.freeze(entity);
      for (const slot of droppedBy(recipe)) bytes[slot].delete(id);
      if (kind === 'stream' && recipe.does === 'removes') this.partition.streams.delete(id);
    }
  }

  keep(slot: ByteSlot, executionId: string, bytes: Uint8Array): void {
    this.partition.bytes[slot].set(executionId, bytes);
  }

  appendFrame(frame: Append): void {
    append(this.partition.streams, frame);
  }

  keepPayload(payload: SignalPayload): void {
    keepPayload(this.partition.payloads, payload);
  }

  addStep(recording: Recording): void {
    addStep(this.partition.steps, recording);
  }

  leaveTo(applier: Applier | undefined): void {
    this.partition.header.applier = applier;
  }

  announce(notices: Notices): void {
    this.partition.header.notices = notices;
  }

  watch(executionId: string, until: number): void {
    this.partition.watches.set(executionId, until);
  }
}
