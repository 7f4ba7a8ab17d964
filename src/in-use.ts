/** Which partitions of a deployment are in use: what loops of due work look at. */
import { FAMILIES, familyOf, NOTED_FAMILIES, partitionsOf, type Family, type FamilyCounts } from '../model/families.js';
import { EngineError } from '../model/errors.js';
import { operationNamed, type ParsedCommand } from '../model/machine.js';

/** The family whose first use has to be noted before these commands run; nothing when it is noted, or need not be. */
export function familyToNote(
  partition: string,
  commands: readonly ParsedCommand[],
  noted: readonly Family[],
): Family | undefined {
  const family = familyOf(partition);
  if (family === 'flow') return noted.includes('quota') ? undefined : neededBy(commands);
  if (!NOTED_FAMILIES.includes(family) || noted.includes(family)) return undefined;
  return commands.some(({ name }) => operationNamed(name).memory === 'adds') ? family : undefined;
}

/** A family that what these commands make needs. */
function neededBy(commands: readonly ParsedCommand[]): Family | undefined {
  for (const { name, args } of commands) {
    const family = operationNamed(name).needs?.(args as never);
    if (family !== undefined) return family;
  }
  return undefined;
}

/** A partition that this deployment does not have. */
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
  /** Those that are known by name: families that are not counted. */
  private readonly named = new Set<string>();

  constructor(private readonly counts: FamilyCounts) {}

  /** A partition that was written to, or that something is due in. */
  note(partition: string): void {
    if (familyOf(partition) !== 'worker' || this.named.has(partition)) return;
    this.named.add(partition);
    this.list = undefined;
  }

  /** All of them: the same array until there are more. */
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
