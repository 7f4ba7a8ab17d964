/**
 * Where arguments come in. Both backends validate here and nowhere else, so they refuse the same input with the
 * same code before anything runs.
 */
import type { z } from 'zod';
import { issueWords } from '../model/core/issue-words.js';
import { validator } from '../model/core/validator.js';
import { EngineError, type ErrorCode } from '../model/errors.js';
import type { FamilyCounts } from '../model/families.js';
import { partitionOfExecution } from '../model/ids.js';
import { decodeHandle, type BackendLabel } from '../model/handle.js';
import { LIMITS } from '../model/limits.js';
import {
  OPERATIONS,
  operationNamed,
  partitionOfCommand,
  QUERIES,
  type ArgsOf,
  type Command,
  type OperationName,
  type ParsedArgsOf,
  type ParsedCommand,
  type QueryName,
} from '../model/machine.js';

type Validator = (value: unknown) => z.ZodSafeParseResult<Record<string, unknown>>;

const validatorsOf = <Name extends string>(
  declarations: Readonly<Record<Name, { readonly args: z.ZodObject }>>,
): Readonly<Record<Name, Validator>> =>
  Object.fromEntries(
    Object.entries<{ readonly args: z.ZodObject }>(declarations).map(([name, { args }]) => [name, validator(args)]),
  ) as Record<Name, Validator>;

const validateCommand = validatorsOf<OperationName>(OPERATIONS);
const validateQuery = validatorsOf<QueryName>(QUERIES);

/** Arguments of an operation, validated and normalised. @throws EngineError with the code of the first fault. */
export function parseCommand(name: OperationName, args: unknown, label: BackendLabel): ParsedCommand {
  const parsed = validateCommand[name](withoutHandle(args, label));
  if (!parsed.success) throw inputError(name, parsed.error);
  return { name, args: parsed.data } as ParsedCommand;
}

/** Arguments of a read, validated. @throws EngineError with the code of the first fault. */
export function parseQuery<Name extends QueryName>(
  name: Name,
  args: ArgsOf<Name>,
  label: BackendLabel,
): ParsedArgsOf<Name> {
  const parsed = validateQuery[name](withoutHandle(args, label));
  if (!parsed.success) throw inputError(name, parsed.error);
  return parsed.data as ParsedArgsOf<Name>;
}

/** The partition of an execution whose streams are to be listened to. @throws EngineError `invalid_input` */
export function partitionOfWatched(executionId: string, label: BackendLabel): string {
  return partitionOfExecution(parseQuery('readExecutionState', { executionId }, label).executionId);
}

/** A batch, validated whole before any of it runs. */
export function parseBatch(commands: readonly Command[], label: BackendLabel, counts: FamilyCounts): ParsedCommand[] {
  if (!Array.isArray(commands) || commands.length === 0 || commands.length > LIMITS.maxBatchCommands) {
    throw new EngineError('invalid_input', `commands: must be 1 to ${LIMITS.maxBatchCommands} commands.`);
  }
  const parsed = commands.map((command: Command) => {
    if (typeof command !== 'object' || command === null || !Object.hasOwn(OPERATIONS, command.name)) {
      throw new EngineError('invalid_input', 'commands: every command needs the name of an operation.');
    }
    return parseCommand(command.name, command.args, label);
  });
  const partition = partitionOfCommand(parsed[0] as ParsedCommand, counts);
  if (parsed.some((command) => partitionOfCommand(command, counts) !== partition)) {
    throw new EngineError('invalid_input', 'commands: all commands of a batch must run in one partition.');
  }
  return parsed;
}

/** An outcome with what the backend adds to it: handles, for those who asked for them. */
export function issued<Outcome>(command: ParsedCommand, outcome: Outcome, label: BackendLabel): Outcome {
  const { issue } = operationNamed(command.name);
  return issue === undefined ? outcome : (issue(command.args as never, outcome as never, label) as Outcome);
}

/** Characters of a caller's own words that a message repeats. */
const MAX_QUOTED = 300;

/** What a handle stands for. */
const STANDS_FOR = ['executionId', 'fence', 'leaseId', 'leaseEpoch', 'attemptId', 'attemptIndex'] as const;

/** A handle stands for the fence it was made of: expands it, where a caller passes one. */
function withoutHandle(args: unknown, label: BackendLabel): unknown {
  if (typeof args !== 'object' || args === null || (args as { handle?: unknown }).handle === undefined) return args;
  const { executionId, leaseId, leaseEpoch, attemptId, attemptIndex, kind } = decodeHandle(
    (args as { handle: unknown }).handle,
    label,
  );
  for (const name of STANDS_FOR) {
    // Which of the two would be meant? A mistake here acts on the wrong execution.
    if ((args as Record<string, unknown>)[name] !== undefined) {
      throw new EngineError('invalid_input', `${name}: must not be given beside a handle, which stands for it.`, {
        detail: { field: name },
      });
    }
  }
  return {
    ...args,
    executionId,
    attemptIndex,
    handleKind: kind,
    fence: { leaseId, leaseEpoch, attemptId },
    leaseId,
    leaseEpoch,
    attemptId,
  };
}

function inputError(name: string, error: z.ZodError): EngineError {
  const issue = error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const field = bounded(path.join('.') || 'arguments');
  return new EngineError(codeOf(path, issue), `${name}: ${field}: ${bounded(issueWords(issue))}.`, {
    detail: { field, ...reasonOf(issue) },
  });
}

/** What is wrong in words that are part of the contract. */
function reasonOf(issue: z.core.$ZodIssue | undefined): { readonly reason?: string } {
  const reason: unknown = issue?.code === 'custom' ? issue.params?.['reason'] : undefined;
  return typeof reason === 'string' ? { reason: bounded(reason) } : {};
}

/** A name that a caller made up can be of any length; a message must not be. */
const bounded = (text: string): string => (text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`);

/** Codes that a declaration names itself. */
const OWN_CODES: ReadonlySet<unknown> = new Set<ErrorCode>([
  'not_supported_yet',
  'invalid_quota_spec',
  'payload_too_large',
  'already_suspended',
]);

function codeOf(path: readonly string[], issue: z.core.$ZodIssue | undefined): ErrorCode {
  const own: unknown = issue?.code === 'custom' ? issue.params?.['code'] : undefined;
  if (OWN_CODES.has(own)) return own as ErrorCode;
  if (path.includes('requiredCapabilities')) return 'invalid_capabilities';
  if (path[0] === 'policy') return 'invalid_policy_json';
  if (path[0] === 'tags' && issue?.code === 'invalid_key') return 'invalid_tag_key';
  return 'invalid_input';
}
