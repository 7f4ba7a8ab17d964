/**
 * Joins adjacent commands of a call that differ in one list only, such as concurrent claims of one execution each for
 * the same work. One command costs the server less, and each caller gets its share of the outcome. The declarations of
 * the operations define which can be joined, and how their outcomes are shared.
 */
import type { Joining } from '../../../model/operation.js';
import { present } from '../../../model/core/present.js';
import { operationNamed, type ParsedCommand } from '../../../model/machine.js';
import type { Answer } from '../wire/answers.js';

type Args = Readonly<Record<string, unknown>>;
type AnyJoining = Joining<Args, object>;

/** The joined commands, and the mapping of their answers to the original commands. */
export interface Joined {
  readonly commands: readonly ParsedCommand[];
  readonly answersOf: (answers: readonly Answer[]) => readonly Answer[];
}

/** Original commands that become one. */
interface Group {
  readonly name: ParsedCommand['name'];
  readonly args: Args;
  readonly joining: AnyJoining;
  readonly lists: (readonly unknown[])[];
  length: number;
}

/** Whether a command might be joined to the previous one. */
const followsAlike = ({ name }: ParsedCommand, index: number, all: readonly ParsedCommand[]): boolean =>
  index > 0 && all[index - 1]?.name === name && operationNamed(name).joins !== undefined;

const listOf = (args: Args, { list }: AnyJoining): readonly unknown[] => args[list] as readonly unknown[];

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((item, i) => item === b[i]);
}

const differInListOnly = (a: Args, b: Args, list: string): boolean =>
  Object.keys(a).every((name) => name === list || isEqual(a[name], b[name]));

const ALONE = (answers: readonly Answer[]): readonly Answer[] => answers;

export function joined(originals: readonly ParsedCommand[]): Joined {
  // Mostly there is nothing to join.
  if (!originals.some(followsAlike)) return { commands: originals, answersOf: ALONE };
  const groups: (Group | ParsedCommand)[] = [];
  /** For each original, its command and its part of it. */
  const places: { readonly index: number; readonly part: number }[] = [];
  for (const original of originals) {
    const joining = operationNamed(original.name).joins as AnyJoining | undefined;
    const args = original.args as unknown as Args;
    if (joining?.accepts(args) !== true) {
      places.push({ index: groups.push(original) - 1, part: 0 });
      continue;
    }
    const last = groups.at(-1);
    const length = listOf(args, joining).length;
    if (
      last !== undefined &&
      'joining' in last &&
      last.name === original.name &&
      last.length + length <= joining.maxLength &&
      differInListOnly(last.args, args, joining.list)
    ) {
      last.lists.push(listOf(args, joining));
      last.length += length;
      places.push({ index: groups.length - 1, part: last.lists.length - 1 });
    } else {
      const group: Group = { name: original.name, args, joining, lists: [listOf(args, joining)], length };
      places.push({ index: groups.push(group) - 1, part: 0 });
    }
  }
  if (groups.length === originals.length) return { commands: originals, answersOf: ALONE };
  return { commands: groups.map(commandOf), answersOf: (answers) => shared(groups, places, answers) };
}

function commandOf(group: Group | ParsedCommand): ParsedCommand {
  if (!('joining' in group)) return group;
  const { name, args, joining, lists } = group;
  return {
    name,
    args: lists.length === 1 ? args : { ...args, [joining.list]: lists.flat() },
  } as unknown as ParsedCommand;
}

function shared(
  groups: readonly (Group | ParsedCommand)[],
  places: readonly { readonly index: number; readonly part: number }[],
  answers: readonly Answer[],
): Answer[] {
  const shares = groups.map((group, index): readonly Answer[] => {
    const answer = present(answers[index]);
    if (!('joining' in group) || group.lists.length === 1 || !answer.ok) return [];
    return group.joining.share(answer.outcome, group.lists).map((outcome) => ({ ...answer, outcome }) as Answer);
  });
  return places.map(({ index, part }) => present(shares[index]?.[part] ?? answers[index]));
}
