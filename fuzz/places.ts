/** The partitions in which runs take place: one per family. */
import { parseCommand } from '../src/backend/boundary.js';
import { partitionIn, type Family } from '../model/families.js';
import { partitionKeyOf } from '../model/ids.js';
import { operationNamed, partitionOfCommand, type Command } from '../model/machine.js';
import { ONE_OF_EACH } from '../model/partition.js';
import { entityNamed, type EntityKind } from '../model/state.js';

/** The partition of executions. */
export const PARTITION = partitionKeyOf(0);

/** The partition of each family. */
export const PLACES: Readonly<Record<Family, string>> = {
  flow: PARTITION,
  budget: partitionIn('budget', 0),
  quota: partitionIn('quota', 0),
  worker: partitionIn('worker', 'n'),
};

/** The partition of a kind of entity; of executions for kinds that every partition has. */
export function placeOf(kind: EntityKind): string {
  const { family = 'flow' } = entityNamed(kind);
  return PLACES[family === 'any' ? 'flow' : family];
}

export const partitionOf = ({ name, args }: Command): string =>
  partitionOfCommand(parseCommand(name, args, 'memory'), ONE_OF_EACH);

/** Commands that fit into one batch: those of one partition. */
export function byPartition(commands: readonly Command[]): readonly (readonly Command[])[] {
  const runs: { readonly partition: string; readonly commands: Command[] }[] = [];
  for (const command of commands) {
    const partition = partitionOf(command);
    const last = runs.at(-1);
    if (last?.partition === partition) last.commands.push(command);
    else runs.push({ partition, commands: [command] });
  }
  return runs.map((run) => run.commands);
}

/** Whether a command makes another family necessary, whose first use is recorded before. */
export const needsFamily = ({ name, args }: Command): boolean => operationNamed(name).needs?.(args) !== undefined;
