/**
 * Runs a batch in several calls, one after the other, if its payloads are too many for one: what a call has stored
 * beside it lives for a minute only, and commands behind it wait.
 */
import { present } from '../../model/core/present.js';
import type { EngineError } from '../../model/errors.js';
import type { ParsedCommand } from '../../model/machine.js';
import { MAX_CALL_BYTES } from '../backend/joined-calls.js';
import { faulty, type Answer } from './answers.js';
import { bytesOf } from './coalescer.js';

type Run = (commands: readonly ParsedCommand[]) => Promise<readonly Answer[]>;

/**
 * The answers to all commands. If a call fails after others were answered, its commands and those behind it are answered
 * with its fault. @throws EngineError if the first call fails
 */
export function runInParts(commands: readonly ParsedCommand[], run: Run): Promise<readonly Answer[]> {
  return commands.length === 1 || bytesOf(commands) <= MAX_CALL_BYTES
    ? run(commands)
    : runParts(partsOf(commands), run);
}

async function runParts([first = [], ...others]: ParsedCommand[][], run: Run): Promise<readonly Answer[]> {
  const answers = [...(await run(first))];
  let fault: EngineError | undefined;
  for (const part of others) {
    const own: readonly Answer[] | undefined =
      fault === undefined ? await run(part).catch((error: unknown) => void (fault = error as EngineError)) : undefined;
    answers.push(...(own ?? part.map(() => faulty(present(fault)))));
  }
  return answers;
}

function partsOf(commands: readonly ParsedCommand[]): ParsedCommand[][] {
  const parts: ParsedCommand[][] = [];
  let left = 0;
  for (const command of commands) {
    const bytes = bytesOf([command]);
    const part = parts.at(-1);
    if (part === undefined || bytes > left) {
      parts.push([command]);
      left = MAX_CALL_BYTES - bytes;
    } else {
      part.push(command);
      left -= bytes;
    }
  }
  return parts;
}
