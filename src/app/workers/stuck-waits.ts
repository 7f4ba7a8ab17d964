/**
 * Runs that are awaited and cannot start: no worker is there for them, which the app asks the store once per task; or tasks
 * wait for each other: a handler awaits the result of a run that only its own worker could start, and keeps
 * the slot that this run needs. Nothing fails then, and nothing moves; so the log names both tasks. The app detects this
 * by counting: for a while, handlers that are older than the wait occupy all slots that could start the run, and as many
 * results are awaited as there are such handlers. The app cannot see whether a handler or the main program awaits a
 * result, and slow handlers look the same: so the log says "if". The app counts only if it has a log.
 */
import type { Cancel, Clock } from '../../engine/clock.js';
import type { Explanation } from '../../engine/explain.js';
import type { Logger } from '../../shared/logger.js';
import type { SlotHolder } from '../../worker/worker.js';
import type { TaskDefinition } from '../tasks/task.js';

/** How long the signs must last, and the interval between two checks, ms. */
const CHECK_MS = 2_000;
/** How long a run is awaited before the app looks for a worker that could take it, ms: one may be about to start. */
const UNMANNED_AFTER_MS = 5_000;

/** A worker of this process. */
export interface Place {
  readonly slots: number;
  /** Whether it could start a run of this task. */
  runs(task: TaskDefinition): boolean;
  /** The handlers that hold its slots now. A handler that waits holds none, and its promise never settles. */
  holders(): readonly SlotHolder[];
}

interface Wait {
  readonly executionId: string;
  readonly task: TaskDefinition;
  readonly since: number;
}

export class StuckWaits {
  private readonly places = new Set<Place>();
  private readonly waits = new Set<Wait>();
  private readonly warned = new Set<string>();
  /** Tasks whose workers were looked for. */
  private readonly asked = new Set<string>();
  private timer: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly why: (executionId: string) => Promise<Explanation | undefined>,
  ) {}

  addPlace(place: Place): () => void {
    this.places.add(place);
    return () => this.places.delete(place);
  }

  /** Counts a wait for a result. @returns a function that ends the count */
  watchWait(executionId: string, task: TaskDefinition): () => void {
    const wait: Wait = { executionId, task, since: this.clock.now() };
    this.waits.add(wait);
    this.timer ??= this.clock.after(CHECK_MS, () => void this.check());
    return () => {
      this.waits.delete(wait);
      if (this.waits.size > 0) return;
      this.timer?.();
      this.timer = undefined;
    };
  }

  private async check(): Promise<void> {
    this.timer = undefined;
    for (const wait of [...this.waits]) {
      const holders = this.holdersAgainst(wait);
      if (holders === undefined) {
        await this.lookForWorkers(wait);
        continue;
      }
      const names = [...new Set(holders.map(({ task }) => `"${task}"`))].sort().join(', ');
      const pair = `${names} ${wait.task.name}`;
      if (this.warned.has(pair) || (await this.explained(wait))?.because !== 'worker') continue;
      this.warned.add(pair);
      this.log.warn(
        `A run of task "${wait.task.name}" has not started: every slot that could run it is taken by task ${names}. If ` +
          `that is what waits for its result, neither will end: give the worker more slots than tasks that wait, or run ` +
          `"${wait.task.name}" on its own worker. If it only takes long, the run starts when it has ended.`,
        { executionId: wait.executionId },
      );
    }
    if (this.waits.size > 0) this.timer ??= this.clock.after(CHECK_MS, () => void this.check());
  }

  /** Says once per task that no worker can take it. A worker of this process need not be registered. */
  private async lookForWorkers(wait: Wait): Promise<void> {
    const { task, since, executionId } = wait;
    if (this.asked.has(task.name) || this.clock.now() - since < UNMANNED_AFTER_MS) return;
    if ([...this.places].some((place) => place.runs(task))) return;
    this.asked.add(task.name);
    const found = await this.explained(wait);
    if (found?.takers?.capable !== 0 || !this.waits.has(wait)) return;
    this.log.warn(
      `A run of task "${task.name}" has not started. ${found.sentence} Call app.worker() in a process that has its handler.`,
      { executionId },
    );
  }

  private explained({ executionId }: Wait): Promise<Explanation | undefined> {
    return this.why(executionId).catch(() => undefined);
  }

  /** The handlers that stand in the way of the run that is waited for; nothing when it has a way. */
  private holdersAgainst({ task, since }: Wait): readonly SlotHolder[] | undefined {
    if (this.clock.now() - since < CHECK_MS) return undefined;
    const places = [...this.places].filter((place) => place.runs(task));
    if (places.length === 0) return undefined;
    const holders = places.flatMap((place) => place.holders());
    const slots = places.reduce((sum, place) => sum + place.slots, 0);
    const allWait = this.waits.size >= holders.length && holders.every((holder) => holder.since <= since);
    return holders.length >= slots && allWait ? holders : undefined;
  }
}
