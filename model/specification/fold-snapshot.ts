/**
 * A snapshot and the log behind it, folded together: the executions and flows of a partition without the log that made
 * them. Entries that a page has in it are left out, entity by entity (`SnapshotSpans`).
 */
import { applyEffect, EFFECTS } from '../evolve.js';
import type { LoggedEvent } from '../events.js';
import { SNAPSHOT_KINDS, SnapshotSpans, type SnapshotKind, type SnapshotPage } from '../partition/snapshot.js';
import { emptyState, type EntityKind, type PartitionState } from '../state.js';

const isInSnapshots = (kind: EntityKind): kind is SnapshotKind => (SNAPSHOT_KINDS as readonly string[]).includes(kind);

export class SnapshotFold {
  readonly state: PartitionState = emptyState();
  private readonly spans = new SnapshotSpans();

  constructor(private readonly partition: string) {}

  /** Takes a page in. Pages come in order, before the entries of the log. */
  take(cursor: string | undefined, page: SnapshotPage): void {
    const { execution: executions, flow: flows } = this.state.tables;
    for (const execution of page.executions) executions.set(execution.executionId, { ...execution });
    for (const flow of page.flows) flows.set(flow.flow, { ...flow });
    this.spans.note(cursor, page);
  }

  /** Applies an entry to what does not have it yet. They come from the position of the first page on. */
  fold({ sequence, event }: LoggedEvent): void {
    for (const effect of EFFECTS[event.type]) {
      const { kind, idIn, recipe } = effect;
      if (!isInSnapshots(kind)) continue;
      const id = idIn(event);
      if (id === undefined) continue;
      if (sequence <= this.spans.sequenceOf(kind, kind === 'flow' ? `${this.partition}:${id}` : id)) continue;
      const isGone = recipe.does !== 'makes' && recipe.does !== 'enters' && !this.state.tables[kind].has(id);
      // It was removed before the page was read that would have it.
      if (!isGone) applyEffect(this.state, event, effect);
    }
  }
}
