/** The specification as a machine: plain tables, the view by definition, the pure fold. What backends are compared with. */
import type { Settings } from '../model/core/operation.js';
import { evolve } from '../model/evolve-pure.js';
import type { Event, LoggedEvent } from '../model/events.js';
import { execute, type Store } from '../model/execute.js';
import type { AnyDecision, ParsedCommand } from '../model/machine.js';
import { SpecView } from '../model/spec-view.js';
import { emptyPartition, type Partition } from '../model/state.js';

export class SpecMachine implements Store {
  partition: Partition = emptyPartition();

  constructor(private readonly settings: Settings) {}

  get view(): SpecView {
    return new SpecView(this.partition);
  }

  run(command: ParsedCommand, now: number): AnyDecision {
    return execute(this, command, { now, settings: this.settings });
  }

  record(event: Event): void {
    const logged: LoggedEvent = { sequence: this.partition.log.length + 1, event };
    this.partition.log.push(logged);
    this.partition = { ...this.partition, state: evolve(this.partition.state, event) };
    // Whoever changes an execution in place from now on throws.
    const execution = this.partition.state.executions.get(event.executionId);
    if (execution !== undefined) Object.freeze(execution);
    if (event.type === 'execution_purged') {
      this.partition.payloads.delete(event.executionId);
      this.partition.results.delete(event.executionId);
    }
  }

  keepPayload(executionId: string, bytes: Uint8Array): void {
    this.partition.payloads.set(executionId, bytes);
  }

  keepResult(executionId: string, bytes: Uint8Array): void {
    this.partition.results.set(executionId, bytes);
  }
}
