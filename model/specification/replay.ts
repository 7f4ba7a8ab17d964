/**
 * A log read from its beginning: the state that it folds to, and a tally of each execution. Rules over the log are judged
 * entry by entry on the tally before the entry.
 */
import { present } from '../core/present.js';
import { isOfExecution, type ExecutionEvent, type LoggedEvent } from '../events.js';
import { fold } from '../evolve.js';
import { emptyState, type PartitionState } from '../state.js';
import { count, tallyOf, type Tally } from './tally.js';

/** A rule over any two entries that follow each other. */
export interface EntryRule {
  /** The rule in words. */
  readonly name: string;
  holds(entry: LoggedEvent, previous: LoggedEvent): boolean;
}

/** What a rule over the life of an execution sees: an entry, what came before it, and the state before it. */
export interface Step {
  readonly entry: LoggedEvent;
  readonly event: ExecutionEvent;
  /** The tally before the event; none before the creation and after the purge. */
  readonly past: Tally | undefined;
  readonly before: PartitionState;
}

export interface LogRule {
  /** The rule in words. */
  readonly name: string;
  /** Whether the rule needs the log from its first entry on; default true. A trimmed log is judged by the others alone. */
  readonly needsWhole?: boolean;
  /** Whether the rule compares times: it says nothing once the clock stepped back. */
  readonly ofTime?: boolean;
  holds(step: Step): boolean;
}

/** The result of reading a log. */
export interface Replay {
  readonly state: PartitionState;
  readonly tallies: ReadonlyMap<string, Tally>;
  /** Whether the log began with its first entry: else state and tallies say nothing. */
  readonly whole: boolean;
  /** The first entry that broke each rule, by the name of the rule. */
  readonly faults: ReadonlyMap<string, string>;
  /** Why the log does not fold to a state. */
  readonly unfoldable: string | undefined;
  /** Whether the clock stepped back: then times say nothing about order. */
  readonly steppedBack: boolean;
}

/** Every rule over a log. */
export interface Rules {
  readonly entries: readonly EntryRule[];
  readonly lives: readonly LogRule[];
}

class Reader implements Replay {
  readonly state = emptyState();
  readonly tallies = new Map<string, Tally>();
  readonly faults = new Map<string, string>();
  unfoldable: string | undefined;
  steppedBack = false;
  read = 0;
  last: LoggedEvent | undefined;

  constructor(readonly whole: boolean) {}

  readOn(log: readonly LoggedEvent[], rules: Rules): void {
    for (; this.read < log.length; this.read++) this.step(present(log[this.read]), rules);
  }

  private step(entry: LoggedEvent, rules: Rules): void {
    const { event } = entry;
    const { last } = this;
    this.last = entry;
    if (last !== undefined) {
      for (const { name, holds } of rules.entries) if (!holds(entry, last)) this.fault(name, entry);
    }
    if (event.type === 'clock_stepped_back') this.steppedBack = true;
    const past = isOfExecution(event) ? this.tallies.get(event.executionId) : undefined;
    if (isOfExecution(event)) this.judge({ entry, event, past, before: this.state }, rules.lives);
    if (!this.whole || this.unfoldable !== undefined) return;
    try {
      fold(this.state, event);
    } catch (error) {
      this.unfoldable = `entry ${entry.sequence}: ${error instanceof Error ? error.message : String(error)}`;
      return;
    }
    if (event.type === 'execution_created') this.tallies.set(event.executionId, tallyOf(event));
    else if (event.type === 'execution_purged' || event.type === 'execution_dropped')
      this.tallies.delete(event.executionId);
    else if (past !== undefined && isOfExecution(event)) count(past, event);
  }

  private judge(step: Step, rules: readonly LogRule[]): void {
    for (const { name, needsWhole = true, ofTime = false, holds } of rules) {
      if (needsWhole && !this.whole) continue;
      if (ofTime && this.steppedBack) continue;
      if (!this.faults.has(name) && !holds(step)) this.fault(name, step.entry);
    }
  }

  private fault(name: string, { sequence, event }: LoggedEvent): void {
    if (!this.faults.has(name)) this.faults.set(name, `entry ${sequence}: ${JSON.stringify(event)}`);
  }
}

const readers = new WeakMap<readonly LoggedEvent[], { readonly rules: Rules; readonly reader: Reader }>();

/**
 * Reads a log. An array that only grew since it was read before is read on from there, so that checking after every
 * step of a run costs no more than one reading.
 */
export function replay(log: readonly LoggedEvent[], rules: Rules): Replay {
  const known = readers.get(log);
  const readsOn =
    known !== undefined &&
    known.rules === rules &&
    known.reader.read <= log.length &&
    known.reader.last === log[known.reader.read - 1];
  const reader = readsOn ? known.reader : new Reader(log.length === 0 || log[0]?.sequence === 1);
  if (!readsOn) readers.set(log, { rules, reader });
  reader.readOn(log, rules);
  return reader;
}
