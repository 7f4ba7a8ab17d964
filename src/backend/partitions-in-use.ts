/** The partitions in use of a deployment, which timer loops check for due work. */
import {
  FAMILIES,
  familyOf,
  NOTED_FAMILIES,
  partitionsOf,
  type Family,
  type FamilyCounts,
} from '../../model/families.js';
import { EngineError } from '../../model/errors.js';
import { operationNamed, type ParsedCommand } from '../../model/machine.js';

/** The family whose first use must be recorded before these commands run; undefined if there is none. */
export function familyToNote(
  partition: string,
  commands: readonly ParsedCommand[],
  noted: readonly Family[],
): Family | undefined {
  const family = familyOf(partition);
  if (family === 'flow') return noted.includes('quota') ? undefined : neededBy(commands);
  if (!NOTED_FAMILIES.includes(family) || noted.includes(family)) return undefined;
  if (commands.some(({ name }) => operationNamed(name).memory === 'adds')) return family;
  return neededBy(commands) === family ? family : undefined;
}

/** The family that new entities of these commands need. */
function neededBy(commands: readonly ParsedCommand[]): Family | undefined {
  for (const { name, args } of commands) {
    const family = operationNamed(name).needs?.(args as never);
    if (family !== undefined) return family;
  }
  return undefined;
}

/** The error for a partition that this deployment does not have. */
export function outOfRange(partition: string, counts: FamilyCounts): EngineError {
  const { countedBy } = FAMILIES[familyOf(partition)];
  const count = countedBy === undefined ? 0 : counts[countedBy];
  return new EngineError(
    'invalid_input',
    `partition: ${partition} is out of range; this deployment has ${count} partitions.`,
    { detail: { field: 'partition' } },
  );
}

export class PartitionsInUse {
  private list: readonly string[] | undefined;
  private families: readonly Family[] = [];
  /** Partitions of families without a fixed count. */
  private readonly named = new Set<string>();

  constructor(private readonly counts: FamilyCounts) {}

  /** Records a partition that was written to, or in which something is due. */
  note(partition: string): void {
    if (familyOf(partition) !== 'worker' || this.named.has(partition)) return;
    this.named.add(partition);
    this.list = undefined;
  }

  /** All partitions in use; the same array until there are more. */
  partitions(families: readonly Family[]): readonly string[] {
    if (families !== this.families) this.list = undefined;
    this.families = families;
    this.list ??= [
      ...(['flow', ...families] as const).flatMap((family) => partitionsOf(family, this.counts)),
      ...this.named,
    ];
    return this.list;
  }
}
