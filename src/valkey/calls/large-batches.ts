/**
 * Runs a batch in several calls, one after the other, if it is too much for one: the server does nothing else during a
 * call, and what a call has stored beside it lives for a minute only.
 */
import { present } from '../../../model/core/present.js';
import type { EngineError } from '../../../model/errors.js';
import { MAX_CALL_UNITS } from '../../../model/limits.js';
import type { ParsedCommand } from '../../../model/machine.js';
import { MAX_CALL_BYTES, MAX_CALL_TEXT } from '../../backend/joined-calls.js';
import { faulty, type Answer } from '../wire/answers.js';
import { weightOf, type Weight } from './weight.js';

type Run = (commands: readonly ParsedCommand[], weight: Weight) => Promise<readonly Answer[]>;

interface Part {
  readonly commands: readonly ParsedCommand[];
  readonly weight: Weight;
}

/**
 * The answers to all commands. If a call fails after others were answered, its commands and those behind it are answered
 * with its fault. @throws EngineError if the first call fails
 */
export function runInParts(commands: readonly ParsedCommand[], run: Run): Promise<readonly Answer[]> {
  const weight = weightOf(commands);
  return commands.length === 1 || fitsOneCall(weight) ? run(commands, weight) : runParts(partsOf(commands), run);
}

const fitsOneCall = ({ units, bytes, text }: Weight): boolean =>
  units <= MAX_CALL_UNITS && bytes <= MAX_CALL_BYTES && text <= MAX_CALL_TEXT;

async function runParts([first, ...others]: readonly Part[], run: Run): Promise<readonly Answer[]> {
  const answers = [...(await run(present(first).commands, present(first).weight))];
  let fault: EngineError | undefined;
  for (const { commands, weight } of others) {
    const own: readonly Answer[] | undefined =
      fault === undefined
        ? await run(commands, weight).catch((error: unknown) => void (fault = error as EngineError))
        : undefined;
    answers.push(...(own ?? commands.map(() => faulty(present(fault)))));
  }
  return answers;
}

function partsOf(commands: readonly ParsedCommand[]): Part[] {
  const parts: { commands: ParsedCommand[]; weight: Weight }[] = [];
  for (const command of commands) {
    const own = weightOf([command]);
    const part = parts.at(-1);
    const together = part === undefined ? undefined : sumOf(part.weight, own);
    if (part === undefined || together === undefined || !fitsOneCall(together)) {
      parts.push({ commands: [command], weight: own });
    } else {
      part.commands.push(command);
      part.weight = together;
    }
  }
  return parts;
}

const sumOf = (a: Weight, b: Weight): Weight => ({
  units: a.units + b.units,
  bytes: a.bytes + b.bytes,
  text: a.text + b.text,
});
