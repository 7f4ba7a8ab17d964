/**
 * Validates arguments. All backends validate here and nowhere else, so they refuse the same input with the same code
 * before anything runs.
 */
import type { z } from 'zod';
import { issueWords } from '../../model/core/issue-words.js';
import { present } from '../../model/core/present.js';
import { keysOf, tableOf } from '../../model/core/tables.js';
import { validator } from '../../model/core/validator.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { FamilyCounts } from '../../model/families.js';
import { partitionOfExecution } from '../../model/ids.js';
import { decodeHandle, type BackendLabel } from '../../model/handle.js';
import { LIMITS } from '../../model/limits.js';
import { capabilityFault } from '../../model/vocabulary/capabilities.js';
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
} from '../../model/machine.js';

type Validator = (value: unknown) => z.ZodSafeParseResult<Record<string, unknown>>;

const validatorsOf = <Name extends string>(
  declarations: Readonly<Record<Name, { readonly args: z.ZodObject }>>,
): Readonly<Record<Name, Validator>> => tableOf(keysOf(declarations), (name) => validator(declarations[name].args));

const validateCommand = validatorsOf<OperationName>(OPERATIONS);
const validateQuery = validatorsOf<QueryName>(QUERIES);

/** Validates and normalises the arguments of an operation. @throws EngineError with the code of the first fault */
export function parseCommand(name: OperationName, args: unknown, label: BackendLabel): ParsedCommand {
  const parsed = validateCommand[name](withoutHandle(args, OPERATIONS[name].args.shape, label));
  if (!parsed.success) throw inputError(name, parsed.error);
  return { name, args: parsed.data } as ParsedCommand;
}

/** Validates the arguments of a read. @throws EngineError with the code of the first fault */
export function parseQuery<Name extends QueryName>(
  name: Name,
  args: ArgsOf<Name>,
  label: BackendLabel,
): ParsedArgsOf<Name> {
  const parsed = validateQuery[name](withoutHandle(args, QUERIES[name].args.shape, label));
  if (!parsed.success) throw inputError(name, parsed.error);
  return parsed.data as ParsedArgsOf<Name>;
}

/** The partition of an execution whose streams are watched. @throws EngineError `invalid_input` */
export function partitionOfWatched(executionId: string, label: BackendLabel): string {
  return partitionOfExecution(parseQuery('readExecutionState', { executionId }, label).executionId);
}

/** Validates a whole batch before any of it runs. */
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
  const partition = partitionOfCommand(present(parsed[0]), counts);
  if (parsed.some((command) => partitionOfCommand(command, counts) !== partition)) {
    throw new EngineError('invalid_input', 'commands: all commands of a batch must run in one partition.');
  }
  return parsed;
}

/** Adds handles to an outcome, if the caller asked for them. */
export function issued<Outcome>(command: ParsedCommand, outcome: Outcome, label: BackendLabel): Outcome {
  const { issue } = operationNamed(command.name);
  return issue === undefined ? outcome : (issue(command.args as never, outcome as never, label) as Outcome);
}

/** Most characters of a caller's text in a message. */
const MAX_QUOTED = 300;

/** Arguments that a handle replaces. */
const STANDS_FOR = ['executionId', 'fence', 'leaseId', 'leaseEpoch', 'attemptId', 'attemptIndex'] as const;

/** Expands a handle to the execution and the fence it was made of, as far as the operation declares these. */
function withoutHandle(args: unknown, declared: object, label: BackendLabel): unknown {
  if (typeof args !== 'object' || args === null || (args as { handle?: unknown }).handle === undefined) return args;
  // Then a handle is a member like any other that the declaration does not name.
  if (!Object.hasOwn(declared, 'executionId')) return args;
  const { executionId, leaseId, leaseEpoch, attemptId, attemptIndex, kind } = decodeHandle(
    (args as { handle: unknown }).handle,
    label,
  );
  for (const name of STANDS_FOR) {
    // Both are refused, because a wrong choice would act on the wrong execution.
    if ((args as Record<string, unknown>)[name] !== undefined) {
      throw new EngineError('invalid_input', `${name}: must not be given together with a handle, which contains it.`, {
        detail: { field: name },
      });
    }
  }
  const { handle, ...others } = args as { handle: unknown };
  const meant = {
    handle,
    executionId,
    attemptIndex,
    handleKind: kind,
    fence: { leaseId, leaseEpoch, attemptId },
    leaseId,
    leaseEpoch,
    attemptId,
  };
  return { ...others, ...Object.fromEntries(Object.entries(meant).filter(([name]) => Object.hasOwn(declared, name))) };
}

function inputError(name: string, error: z.ZodError): EngineError {
  const issue = error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const field = bounded(path.join('.') || 'arguments');
  return new EngineError(codeOf(path, issue), `${name}: ${field}: ${bounded(issueWords(issue))}.`, {
    detail: { field, ...reasonOf(path, issue) },
  });
}

/**
 * Whose capabilities an argument lists (spec 01 section 9), and the length of its path; undefined for other arguments.
 * Tags can have any name, so the place counts.
 */
function capabilityListOf(path: readonly string[]): readonly [side: 'required' | 'worker', length: number] | undefined {
  if (path[0] === 'workerCapabilities' || path[0] === 'capabilities') return ['worker', 1];
  const routing = path.indexOf('routingRequirements');
  return routing >= 0 && path[routing + 1] === 'requiredCapabilities' ? ['required', routing + 2] : undefined;
}

/** The reason of an issue, if it is part of the contract. */
function reasonOf(path: readonly string[], issue: z.core.$ZodIssue | undefined): { readonly reason?: string } {
  const list = capabilityListOf(path);
  if (issue !== undefined && list !== undefined) {
    const [side, length] = list;
    return { reason: `${side}:${capabilityFault(issue, path.length > length)}` };
  }
  const reason: unknown = issue?.code === 'custom' ? issue.params?.['reason'] : undefined;
  return typeof reason === 'string' ? { reason: bounded(reason) } : {};
}

/** Bounds a caller's name, which can have any length, for a message. */
const bounded = (text: string): string => (text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`);

/** Codes that declarations set themselves. */
const OWN_CODES: ReadonlySet<unknown> = new Set<ErrorCode>([
  'not_supported_yet',
  'invalid_quota_spec',
  'payload_too_large',
  'already_suspended',
]);

/** Codes of arguments whose faults have one of their own in the contract. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  blockingReason: 'invalid_blocking_reason',
  expectedBlockingReason: 'invalid_blocking_reason',
  newKid: 'invalid_kid',
  graceMs: 'invalid_grace_ms',
};

function codeOf(path: readonly string[], issue: z.core.$ZodIssue | undefined): ErrorCode {
  const own: unknown = issue?.code === 'custom' ? issue.params?.['code'] : undefined;
  if (OWN_CODES.has(own)) return own as ErrorCode;
  if (capabilityListOf(path) !== undefined) return 'invalid_capabilities';
  if (path[0] === 'policy') return 'invalid_policy_json';
  if (path[0] === 'tags' && issue?.code === 'invalid_key') return 'invalid_tag_key';
  const argument = path[path[0] === 'initialBlock' ? 1 : 0] ?? '';
  return (Object.hasOwn(CODES, argument) ? CODES[argument] : undefined) ?? 'invalid_input';
}
