/**
 * What runs reached: operation x state class x answer. The possible answers follow from the declarations: every
 * refusal, every kind of outcome, and every value of the enumerated fields of outcomes.
 */
import type { z } from 'zod';
import { EVENTS } from '../model/events.js';
import { OPERATION_NAMES, operationNamed, type AnyDecision, type OperationName } from '../model/machine.js';
import { STATE_CLASSES, type StateClass } from './state-class.js';
import type { Step } from './divergence.js';

/** An answer as one text: `lease_expired!`, `created`, `created publicState=delayed`. */
type Answer = string;

const refusalOf = (code: string): Answer => `${code}!`;

type Definition = { readonly type: string; readonly innerType?: z.ZodType; readonly element?: z.ZodType };
const definitionOf = (schema: z.ZodType): Definition => (schema as unknown as { _zod: { def: Definition } })._zod.def;

/** Paths and values of enumerated fields, those in rows included. */
function wordsOf(schema: z.ZodType, path: string): [string, string][] {
  const definition = definitionOf(schema);
  switch (definition.type) {
    case 'optional':
      return wordsOf(definition.innerType as z.ZodType, path);
    case 'array':
      return wordsOf(definition.element as z.ZodType, path);
    case 'enum':
      return (schema as z.ZodEnum<Record<string, string>>).options.map((word) => [path, word]);
    case 'object':
      return Object.entries((schema as z.ZodObject).shape).flatMap(([name, member]) =>
        wordsOf(member as z.ZodType, path === '' ? name : `${path}.${name}`),
      );
    default:
      return [];
  }
}

function declaredAnswers(name: OperationName): Answer[] {
  const { outcome, rejects, ofDamage = [], ofSize = [] } = operationNamed(name);
  const variants = (
    definitionOf(outcome).type === 'union' ? (outcome as z.ZodDiscriminatedUnion).options : [outcome]
  ) as z.ZodObject[];
  return [
    ...variants.flatMap((variant) => {
      const kind = (variant.shape['kind'] as z.ZodLiteral<string>).value;
      if (ofDamage.includes(kind)) return [];
      return [kind, ...wordsOf(variant, '').map(([path, word]) => `${kind} ${path}=${word}`)];
    }),
    ...rejects.filter((code) => !ofSize.includes(code)).map(refusalOf),
  ];
}

/** Every answer that is declared, by operation. */
const DECLARED: ReadonlyMap<OperationName, readonly Answer[]> = new Map(
  OPERATION_NAMES.map((name) => [name, declaredAnswers(name)]),
);

/**
 * Events that no campaign can reach: time only grows (`test/model/clock.test.ts`), no record is damaged
 * (`test/valkey`).
 */
const OF_OTHER_TESTS: ReadonlySet<string> = new Set(['clock_stepped_back', 'execution_dropped', 'record_dropped']);

/** Answers that need large amounts, and the tests that cover them instead. */
const ANSWERS_OF_OTHER_TESTS: ReadonlySet<string> = new Set([
  // test/model/worker.test.ts, test/app/registry.test.ts
  'registerWorker too_many_workers!',
]);

/** Answers of a decision: its kind, and each enumerated value. */
function answersOf(name: OperationName, decision: AnyDecision): Answer[] {
  if (!decision.ok) return [refusalOf(decision.code)];
  const { outcome } = decision;
  const given = (DECLARED.get(name) ?? []).filter((answer) => {
    const [kind, assignment] = answer.split(' ');
    if (kind !== outcome.kind) return false;
    if (assignment === undefined) return true;
    const [path, word] = assignment.split('=') as [string, string];
    return valuesAt(outcome, path.split('.')).includes(word);
  });
  return [...new Set([outcome.kind, ...given])];
}

function valuesAt(value: unknown, path: readonly string[]): unknown[] {
  const [head, ...rest] = path;
  if (head === undefined) return [value];
  if (typeof value !== 'object' || value === null) return [];
  const member = (value as Record<string, unknown>)[head];
  return Array.isArray(member) ? member.flatMap((item) => valuesAt(item, rest)) : valuesAt(member, rest);
}

export class Coverage {
  /** operation -> answer -> class -> count */
  private readonly counts = new Map<OperationName, Map<Answer, Map<StateClass | '-', number>>>();
  private readonly events = new Map<string, number>();

  note({ command, situation, decision, events, taken }: Step): void {
    if (command === undefined || decision === undefined) return;
    for (const answer of answersOf(command.name, decision)) this.add(command.name, answer, situation);
    for (const [, before] of taken) this.add(command.name, decision.ok ? decision.outcome.kind : decision.code, before);
    for (const { type } of events) this.events.set(type, (this.events.get(type) ?? 0) + 1);
  }

  /** Declared answers and events that were not reached. */
  missing(): string[] {
    const answers = OPERATION_NAMES.flatMap((name) =>
      (DECLARED.get(name) ?? [])
        .filter((answer) => !this.counts.get(name)?.has(answer) && !ANSWERS_OF_OTHER_TESTS.has(`${name} ${answer}`))
        .map((answer) => `${name} ${answer}`),
    );
    const events = Object.keys(EVENTS)
      .filter((type) => !this.events.has(type) && !OF_OTHER_TESTS.has(type))
      .map((type) => `the event ${type}`);
    return [...answers, ...events];
  }

  /** Answers that are not declared: a defect of the declaration or of the operation. */
  undeclared(): string[] {
    return OPERATION_NAMES.flatMap((name) =>
      [...(this.counts.get(name)?.keys() ?? [])]
        .filter((answer) => !DECLARED.get(name)?.includes(answer))
        .map((answer) => `${name} answered ${answer}`),
    );
  }

  /** Classes in which an operation on one execution was never tried. */
  untried(): string[] {
    return OPERATION_NAMES.filter((name) => 'executionId' in operationNamed(name).args.shape).flatMap((name) => {
      const met = new Set([...(this.counts.get(name)?.values() ?? [])].flatMap((classes) => [...classes.keys()]));
      return STATE_CLASSES.filter((stateClass) => !met.has(stateClass)).map((stateClass) => `${name} in ${stateClass}`);
    });
  }

  /** The grid: one table per operation, answers down, classes across. `cell` formats a count. */
  tables(
    cell: (count: number) => string,
  ): { name: OperationName; columns: string[]; rows: { answer: string; cells: string[] }[] }[] {
    return OPERATION_NAMES.map((name) => {
      const answers = this.counts.get(name) ?? new Map<Answer, Map<StateClass | '-', number>>();
      const columns = (['-', ...STATE_CLASSES] as const).filter((column) =>
        [...answers.values()].some((classes) => classes.has(column)),
      );
      const rows = [...new Set([...(DECLARED.get(name) ?? []), ...answers.keys()])].map((answer) => ({
        answer,
        cells: columns.map((column) => cell(answers.get(answer)?.get(column) ?? 0)),
      }));
      return { name, columns, rows };
    });
  }

  /** Number of operations, answers and (answer, class) pairs reached. */
  size(): { answers: number; declared: number; cells: number } {
    const all = [...this.counts.values()];
    return {
      answers: all.reduce((sum, answers) => sum + answers.size, 0),
      declared: [...DECLARED.values()].reduce((sum, answers) => sum + answers.length, 0),
      cells: all.flatMap((answers) => [...answers.values()]).reduce((sum, classes) => sum + classes.size, 0),
    };
  }

  private add(name: OperationName, answer: Answer, stateClass: StateClass | '-'): void {
    const answers = this.counts.get(name) ?? new Map<Answer, Map<StateClass | '-', number>>();
    const classes = answers.get(answer) ?? new Map<StateClass | '-', number>();
    classes.set(stateClass, (classes.get(stateClass) ?? 0) + 1);
    answers.set(answer, classes);
    this.counts.set(name, answers);
  }
}
