/**
 * Validation at the speed of hand-written code, derived from the declaration. A zod schema stays the only definition of
 * an argument; the common kinds of schema are compiled to straight-line checks. Input that these refuse is passed to
 * zod, which finds the fault and words it: the compiled code only decides that input is valid.
 */
import { z } from 'zod';
import { present } from './present.js';

type Schema = z.core.$ZodType;

/** Returns the normalised value, or `REFUSED`. */
type Compiled = (value: unknown) => unknown;

const REFUSED: unique symbol = Symbol('refused');

/**
 * A function that answers like `schema.safeParse`, but faster, with one difference: an absent optional member is
 * present as `undefined`, so that all values of a schema have one shape. Compiles at its first call. Where code cannot
 * be compiled (a strict content security policy, zod's `jitless`) it is `safeParse`.
 */
export function validator<S extends z.ZodType>(schema: S): (value: unknown) => z.ZodSafeParseResult<z.output<S>> {
  let compiled: Compiled | undefined;
  return (value) => {
    compiled ??= z.core.util.allowsEval.value ? new Compiler().compile(schema) : () => REFUSED;
    const data = compiled(value);
    return data === REFUSED
      ? schema.safeParse(withBytesCut(schema, value))
      : { success: true, data: data as z.output<S> };
  };
}

/** Most unknown members that a refusal names; more than any message shows. */
const MAX_NAMED = 100;

/**
 * The value, with bytes cut short where the schema has an object. Zod's refusal names every unknown member: 8 MiB of
 * bytes in the place of a policy would be eight million names, and take seconds.
 */
function withBytesCut(schema: Schema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'optional' || def.type === 'nullable' || def.type === 'default')
    return withBytesCut(def.innerType, value);
  if (def.type !== 'object' || Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value)) return value.byteLength > MAX_NAMED ? new Uint8Array(MAX_NAMED) : value;
  const members = value as Readonly<Record<string, unknown>>;
  const cut = Object.entries(def.shape)
    .map(([name, member]) => [name, withBytesCut(member, members[name])] as const)
    // What is inherited counts if the schema names it. The rest stays behind: a prototype may be bytes, too.
    .filter(([name, member]) => member !== members[name] || (member !== undefined && !isPlain(members)));
  return cut.length === 0 && isPlain(members) ? value : { ...members, ...Object.fromEntries(cut) };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The source of one validator, and the values that the source refers to. */
class Program {
  private readonly lines: string[] = [];
  private readonly names: string[] = [];
  private readonly values: unknown[] = [];

  /** The name of a value in the source. */
  bind(value: unknown): string {
    this.names.push(`bound${this.names.length}`);
    this.values.push(value);
    return present(this.names.at(-1));
  }

  write(line: string): void {
    this.lines.push(line);
  }

  build(result: string): Compiled {
    const body = `'use strict'; return (value) => { ${this.lines.join('\n')}\nreturn ${result}; };`;
    return (new Function(...this.names, body) as (...values: unknown[]) => Compiled)(...this.values);
  }
}

/** Compiles a schema into a program. Kinds of schema that it does not know are run by zod, as parts of the program. */
class Compiler {
  private readonly program = new Program();
  private readonly refused = this.program.bind(REFUSED);
  private variables = 0;

  compile(schema: Schema): Compiled {
    return this.program.build(this.emit(schema, 'value'));
  }

  /** Writes the checks of a schema for a source expression; returns the expression of the normalised value. */
  private emit(schema: Schema, source: string): string {
    const { def } = (schema as z.core.$ZodTypes)._zod;
    const checks = stepsOf(def.checks);
    const refuseUnless = (condition: string): void =>
      this.program.write(`if (!(${condition})) return ${this.refused};`);
    if (checks !== undefined) {
      switch (def.type) {
        case 'string':
        case 'number':
          if ('format' in def || ('coerce' in def && def.coerce === true)) break;
          // Zod accepts only finite numbers.
          refuseUnless(
            def.type === 'string'
              ? `typeof ${source} === 'string'`
              : `typeof ${source} === 'number' && Number.isFinite(${source})`,
          );
          return this.emitSteps(checks, source);
        case 'custom':
          if (checks.length > 0) break;
          refuseUnless(`${this.program.bind(def.fn)}(${source})`);
          return source;
        case 'boolean':
          if (checks.length > 0 || ('coerce' in def && def.coerce === true)) break;
          refuseUnless(`typeof ${source} === 'boolean'`);
          return source;
        case 'pipe': {
          // A transform of a valid value; one with a second parameter can refuse with a message of its own.
          const change = (def.out as z.core.$ZodTypes)._zod.def;
          if (change.type !== 'transform' || change.transform.length > 1) break;
          const value = this.variable();
          this.program.write(`const ${value} = ${this.program.bind(change.transform)}(${this.emit(def.in, source)});`);
          return this.emitSteps(checks, value);
        }
        case 'enum': {
          const options = Object.values(def.entries);
          if (checks.length > 0 || options.length > 8 || !options.every((option) => typeof option === 'string')) break;
          refuseUnless(options.map((option) => `${source} === ${JSON.stringify(option)}`).join(' || '));
          return source;
        }
        case 'optional':
        case 'default':
          // An absent value becomes the default, whatever the inner schema would make of it.
          if (checks.length > 0 || (def.type === 'optional' && def.innerType._zod.optin !== undefined)) break;
          return this.emitAbsent(source, def.innerType, def.type === 'default' ? this.defaultOf(def) : 'undefined');
        case 'object':
          if (def.catchall !== undefined && !isStrict(def)) break;
          return this.emitSteps(checks, this.emitObject(def.shape, source, isStrict(def)));
      }
    }
    if (def.type === 'array') {
      const bounds = boundsOf(def.checks);
      if (bounds !== undefined) return this.emitArray(def.element, bounds, source);
    }
    return this.emitZod(schema, source);
  }

  private variable(): string {
    return `v${this.variables++}`;
  }

  private emitSteps(steps: readonly Step[], source: string): string {
    let value = source;
    for (const { kind, fn } of steps) {
      const result = `${this.program.bind(fn)}(${value})`;
      if (kind === 'test') this.program.write(`if (!(${result})) return ${this.refused};`);
      else this.program.write(`const ${(value = this.variable())} = ${result};`);
    }
    return value;
  }

  private emitAbsent(source: string, inner: Schema, absent: string): string {
    const result = this.variable();
    this.program.write(`let ${result} = ${source}; if (${result} === undefined) { ${result} = ${absent}; } else {`);
    this.program.write(`${result} = ${this.emit(inner, result)}; }`);
    return result;
  }

  /** Mutable defaults are copied for every call, because callers may change them. */
  private defaultOf(def: z.core.$ZodDefaultDef): string {
    const value = def.defaultValue;
    if (Array.isArray(value) && value.length === 0) return '[]';
    if (z.core.util.isPlainObject(value) && Object.keys(value as object).length === 0) return '{}';
    return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
      ? `${this.program.bind(def)}.defaultValue`
      : this.program.bind(value);
  }

  private emitObject(shape: Readonly<Record<string, Schema>>, source: string, strict: boolean): string {
    const isNone = `typeof ${source} !== 'object' || ${source} === null`;
    // Members are counted, and bytes, also as a prototype, may have millions.
    this.program.write(`if (${isNone} || !${this.program.bind(isPlain)}(${source})) return ${this.refused};`);
    const given: string[] = [];
    const members = Object.entries(shape).map(([key, member]) => {
      const value = this.variable();
      given.push(value);
      this.program.write(`const ${value} = ${source}[${JSON.stringify(key)}];`);
      if (member._zod.optin === undefined) this.program.write(`if (${value} === undefined) return ${this.refused};`);
      return `${JSON.stringify(key)}: ${this.emit(member, value)}`;
    });
    if (strict) this.refuseUnknown(shape, source, given);
    const result = this.variable();
    this.program.write(`const ${result} = { ${members.join(', ')} };`);
    return result;
  }

  /** Counts the members, which is cheaper than looking up each name; only if there are more, names are looked up. */
  private refuseUnknown(shape: object, source: string, given: readonly string[]): void {
    const isUnknown = (name: string): boolean => !Object.hasOwn(shape, name);
    const hasUnknown = this.program.bind((members: object) => Object.keys(members).some(isUnknown));
    const count = this.variable();
    const known = given.map((value) => `(${value} !== undefined ? 1 : 0)`).join(' + ') || '0';
    this.program.write(`let ${count} = 0; for (const name in ${source}) ${count}++;`);
    this.program.write(`if (${count} > ${known} && ${hasUnknown}(${source})) return ${this.refused};`);
  }

  private emitArray(element: Schema, { min, max }: Bounds, source: string): string {
    const elements = this.variable();
    const index = this.variable();
    const item = this.variable();
    this.program.write(
      `if (!Array.isArray(${source}) || ${source}.length < ${min} || ${source}.length > ${max}) return ${this.refused};`,
    );
    // A copy has exactly the size it needs; an empty array that grows reserves sixteen places.
    this.program.write(
      `const ${elements} = [...${source}]; for (let ${index} = 0; ${index} < ${elements}.length; ${index}++) {`,
    );
    this.program.write(`const ${item} = ${elements}[${index}];`);
    this.program.write(`${elements}[${index}] = ${this.emit(element, item)}; }`);
    return elements;
  }

  private emitZod(schema: Schema, source: string): string {
    const result = this.variable();
    const run = (value: unknown): unknown => {
      const parsed = z.safeParse(schema, withBytesCut(schema, value));
      return parsed.success ? parsed.data : REFUSED;
    };
    this.program.write(
      `const ${result} = ${this.program.bind(run)}(${source}); if (${result} === ${this.refused}) return ${this.refused};`,
    );
    return result;
  }
}

type Checks = readonly z.core.$ZodCheck<never>[] | undefined;

/** One step of a schema for a value of its type: a test that it must pass, or a change. */
interface Step {
  readonly kind: 'test' | 'change';
  readonly fn: (value: unknown) => unknown;
}

/** Whether an object must not have members that its schema does not name. */
const isStrict = ({ catchall }: z.core.$ZodObjectDef): boolean => catchall?._zod.def.type === 'never';

/** The functions of a schema's refinements and changes; undefined when one of its checks is of another kind. */
function stepsOf(checks: Checks): readonly Step[] | undefined {
  const steps: Step[] = [];
  for (const check of checks ?? []) {
    const def = check._zod.def as z.core.$ZodCheckDef & { fn?: Step['fn']; tx?: Step['fn'] };
    const fn =
      def.check === 'custom' ? (def.fn ?? raisesNothing(check)) : def.check === 'overwrite' ? def.tx : undefined;
    if (typeof fn !== 'function' || def.when !== undefined) return undefined;
    steps.push({ kind: def.check === 'custom' ? 'test' : 'change', fn });
  }
  return steps;
}

/** The test of a refinement that raises its own issues (`superRefine`). */
function raisesNothing(check: z.core.$ZodCheck<never>): Step['fn'] {
  const run = check._zod.check as (payload: z.core.ParsePayload) => unknown;
  return (value) => {
    const payload: z.core.ParsePayload = { value, issues: [] };
    void run(payload);
    return payload.issues.length === 0;
  };
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** The bounds of an array's length; undefined when it has other checks. */
function boundsOf(checks: Checks): Bounds | undefined {
  let min = 0;
  let max = Infinity;
  for (const check of checks ?? []) {
    const def = check._zod.def as z.core.$ZodCheckDef & { minimum?: number; maximum?: number };
    if (def.check === 'min_length' && def.minimum !== undefined) min = Math.max(min, def.minimum);
    else if (def.check === 'max_length' && def.maximum !== undefined) max = Math.min(max, def.maximum);
    else return undefined;
  }
  return { min, max };
}
