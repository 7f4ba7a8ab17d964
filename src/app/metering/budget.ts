/** Budgets of an app: defining them by name, reporting usage, and reading them. */
import { createHash } from 'node:crypto';
import type { Amounts } from '../../../model/budget/facts.js';
import { changedLimits, limits as limitsField } from '../../../model/budget/fields.js';
import { idempotencyKey, label, type Field } from '../../../model/core/fields.js';
import type { BudgetStatus } from '../../../model/budget/reads.js';
import { EngineError } from '../../../model/errors.js';
import { isUuid } from '../../../model/ids.js';
import type { Backend } from '../../backend/backend.js';
import { perBackend } from '../../engine/per-backend.js';
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, checkField, checkWhole, isRecord, needField, refuse, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { knownOnly } from '../../shared/known-only.js';
import { copied } from '../../util/copied.js';
import { remember } from '../../util/remember.js';
import { assertRoom, type BudgetRef, type ReportOptions } from '../../worker/budgets/spending.js';
import { checkDimensions, someAmountsFor, type AmountsOf } from '../../worker/budgets/amounts.js';

/** Limits by dimension: `hard` is never exceeded, exceeding `soft` is reported. Both are optional. */
export type BudgetLimits = Readonly<Record<string, { readonly hard?: number; readonly soft?: number }>>;

export interface BudgetDefinition<Limits extends BudgetLimits = BudgetLimits> {
  /** Every dimension that is counted; `{}` as the limit of one that has none. Without limits, any dimension is counted. */
  readonly limits?: Limits | undefined;
  /** How often its usage is reset. Default never. */
  readonly resetEvery?: Duration | undefined;
  /** `advisory`: breaches of hard limits are reported but allowed. Default `strict`. */
  readonly enforcement?: 'strict' | 'advisory' | undefined;
  /** The subject of the budget, as shown on the bill. Default the app's namespace and the name. */
  readonly scope?: { readonly type: string; readonly id: string } | undefined;
}

/** The spending of a day (UTC). */
export interface BudgetDay {
  /** `2026-11-29` */
  readonly date: string;
  readonly spent: Amounts;
  /** Spent although there was no room under the limit. */
  readonly overrun: Amounts;
  /** Returned by releases. */
  readonly released: Amounts;
}

/** The dimensions of a budget: those of its limits, or any. */
export type DimensionOf<Limits extends BudgetLimits> = [keyof Limits] extends [never] ? string : keyof Limits & string;

export interface AppBudget<Dimension extends string = string> extends BudgetRef<Dimension> {
  readonly name: string;
  /** Usage, reservations, limits of the dimensions that have one, and exhausted dimensions. @throws EngineError `budget_not_found` */
  status(): Promise<BudgetStatus>;
  /**
   * Days with spending among the last `days`, today included. Default 31, at most 400.
   * @throws EngineError `corruption`, which names the days with unreadable totals
   */
  bill(options?: { readonly days?: number }): Promise<readonly BudgetDay[]>;
  /**
   * Records usage outside of handlers.
   * @throws BudgetExceededError when a hard limit has no room; InvalidDefinitionError for a dimension that the budget does
   *   not have
   */
  report(used: AmountsOf<Dimension>, options?: ReportOptions): Promise<void>;
  /** Changes the limits of the named dimensions. @throws InvalidDefinitionError for one that the budget does not have */
  setLimits(limits: Readonly<Partial<Record<Dimension, BudgetLimits[string]>>>): Promise<void>;
  /** Resets usage to zero; reservations stay. */
  reset(): Promise<void>;
}

interface BudgetSource {
  readonly namespace: string;
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
  /** Tells the log of the app. */
  warn(what: string): void;
}

const DEFINITION = { limits: true, resetEvery: true, enforcement: true, scope: true } as const;
const DAY_MS = 86_400_000;
const nameField = label(LIMITS.maxScopeIdBytes);
const scopeType = label(LIMITS.maxScopeTypeBytes);
const DEFAULT_DAYS = 31;

/** Budgets that are remembered as existing; beyond it the one that was read longest ago is read again. */
const MAX_KNOWN = 10_000;

/**
 * Until when budgets count as existing, by id: a server that was emptied has lost them, and a process that only creates
 * runs learns it from no other call.
 */
export const knownBudgets = perBackend(() => new Map<string, number>());

/** Budgets whose other definition was logged, by id. */
const differing = perBackend(() => new Map<string, true>());

export const noteKnown = (backend: Backend, budgetId: string, until: number): void =>
  remember(knownBudgets(backend), budgetId, until, MAX_KNOWN);

/** The id of a budget by name: the same in every process. */
export function budgetIdOf(namespace: string, name: string): string {
  if (isUuid(name)) return name;
  const hex = createHash('sha1').update(`budget:${namespace}:${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Limits without the values that mean "no limit". */
const thoseSet = (limits: Amounts): Amounts =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit > 0));

/** @throws InvalidDefinitionError for an unknown or invalid option */
function checkDefinition(where: string, definition: BudgetDefinition): void {
  knownOnly(where, definition, DEFINITION);
  const { resetEvery, enforcement, limits, scope } = definition;
  checkLimits(where, limitsField, limits);
  if (scope !== undefined) {
    knownOnly<NonNullable<BudgetDefinition['scope']>>(`${where}, scope`, scope, { type: true, id: true });
    needField(where, 'scope.type', scopeType, scope.type);
    needField(where, 'scope.id', nameField, scope.id);
  }
  checkDuration(where, 'resetEvery', resetEvery, 0, LIMITS.maxDurationMs);
  if (enforcement !== undefined && enforcement !== 'strict' && enforcement !== 'advisory')
    throw refuse(where, 'enforcement', '"strict" or "advisory"', enforcement);
}

/** @throws InvalidDefinitionError for invalid limits, and for a limit that is a Map or the like: it would be none */
function checkLimits(where: string, field: Field, limits: Readonly<Partial<BudgetLimits>> | undefined): void {
  checkField(where, 'limits', field, limits);
  for (const [dimension, limit] of Object.entries(limits ?? {}))
    if (limit !== undefined && !isRecord(limit))
      throw refuse(where, `limits.${dimension}`, 'an object like { hard: 5 }', limit);
}

/** The definition as it is now: the budget is created at its first use. */
const kept = ({ limits, resetEvery, enforcement, scope }: BudgetDefinition): BudgetDefinition =>
  copied({ limits, resetEvery, enforcement, scope });

export class BudgetOfApp implements AppBudget {
  readonly id: string;
  readonly dimensions: readonly string[] | undefined;
  /** By backend: an app can be given another one (`testApp`). */
  private readonly made = new WeakMap<Backend, Promise<void>>();
  private readonly definition: BudgetDefinition | undefined;

  constructor(
    readonly name: string,
    definition: BudgetDefinition | undefined,
    private readonly source: BudgetSource,
  ) {
    needField('app.budget()', 'the name', nameField, name);
    if (definition !== undefined) checkDefinition(`app.budget(${shown(name)})`, definition);
    this.definition = definition && kept(definition);
    this.id = budgetIdOf(source.namespace, name);
    const dimensions = Object.keys(definition?.limits ?? {});
    this.dimensions = dimensions.length === 0 ? undefined : dimensions;
  }

  async ready(): Promise<void> {
    await this.madeOn(await this.source.backend());
  }

  async ensured<T>(call: () => Promise<T>): Promise<T> {
    const backend = await this.source.backend();
    const made = this.madeOn(backend);
    await made;
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'budget_not_found')) throw error;
      knownBudgets(backend).delete(this.id);
      if (made === undefined)
        throw new EngineError('budget_not_found', `${shown(this.name)}, and this process has no definition of it.`);
      // Calls that fail together create it once.
      if (this.made.get(backend) === made) this.made.delete(backend);
      await this.madeOn(backend);
      return call();
    }
  }

  /** The creation of the budget; undefined without a definition. */
  private madeOn(backend: Backend): Promise<void> | undefined {
    if (this.definition === undefined) return undefined;
    let made = this.made.get(backend);
    if (made === undefined) {
      made = this.make(backend, this.definition).catch((error: unknown) => {
        this.made.delete(backend);
        throw error;
      });
      this.made.set(backend, made);
    }
    return made;
  }

  private async make(
    backend: Backend,
    { limits = {}, resetEvery, enforcement = 'strict', scope }: BudgetDefinition,
  ): Promise<void> {
    const { type, id } = scope ?? { type: this.source.namespace, id: this.name };
    const created = await this.source.call(async () =>
      backend.createBudget({
        budgetId: this.id,
        scopeType: type,
        scopeId: id,
        enforcementMode: enforcement,
        resetIntervalMs: resetEvery === undefined ? 0 : durationMs(resetEvery),
        limits,
      }),
    );
    if (created.kind === 'created' || created.reason === 'same_definition' || differing(backend).has(this.id)) return;
    remember(differing(backend), this.id, true, MAX_KNOWN);
    this.source.warn(
      `Budget ${shown(this.name)} is stored with another definition than this process has, and the stored one counts. ` +
        'Change limits with setLimits(); the other options are those of the first definition.',
    );
  }

  async status(): Promise<BudgetStatus> {
    const status = await this.on((backend) => backend.getBudgetStatus({ budgetId: this.id }));
    return { ...status, hardLimits: thoseSet(status.hardLimits), softLimits: thoseSet(status.softLimits) };
  }

  async bill(options: { readonly days?: number } = {}): Promise<readonly BudgetDay[]> {
    knownOnly('bill', options, { days: true });
    const { days } = options;
    checkWhole('bill', 'days', days, 1, LIMITS.maxBilledDays);
    return this.on(async (backend) => {
      const bill = await daysOf(backend, this.id, days);
      if (bill.damaged.length > 0) throw unreadableBill(bill.damaged.map((date) => `${date} of ${this.id}`));
      return bill.rows;
    });
  }

  async report(used: AmountsOf<string>, options: ReportOptions = {}): Promise<void> {
    knownOnly<ReportOptions>('report', options, { key: true });
    const { key } = options;
    checkField('report', 'key', idempotencyKey, key);
    const deltas = someAmountsFor('report()', this, used);
    const args = { budgetId: this.id, deltas, dedupKey: key };
    const report = async () => (await this.source.backend()).reportUsageAdmin(args);
    // Without a key, a report whose answer was lost would count twice.
    assertRoom(this, deltas, await (key === undefined ? this.ensured(report) : this.on(report)));
  }

  async setLimits(limits: Readonly<Partial<BudgetLimits>>): Promise<void> {
    needField('setLimits', 'limits', changedLimits, limits);
    checkLimits('setLimits', changedLimits, limits);
    checkDimensions('setLimits()', this, limits);
    const changed = copied(limits) as BudgetLimits;
    await this.on((backend) => backend.updateBudgetLimits({ budgetId: this.id, limits: changed }));
  }

  async reset(): Promise<void> {
    await this.on((backend) => backend.resetBudget({ budgetId: this.id }));
  }

  private on<T>(command: (backend: Backend) => Promise<T>): Promise<T> {
    return this.ensured(() => this.source.call(async () => command(await this.source.backend())));
  }
}

/** @param parts days of budgets, or whole budgets */
export const unreadableBill = (parts: readonly string[]): EngineError =>
  new EngineError('corruption', `These parts of the bill are unreadable: ${parts.join(', ')}.`);

/** The last days of a budget on which something was spent, today included, and the dates of unreadable ones. */
interface Days {
  readonly rows: readonly BudgetDay[];
  readonly damaged: readonly string[];
}

const dateOf = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length);

/** @throws EngineError `budget_not_found` */
export async function daysOf(backend: Backend, budgetId: string, days = DEFAULT_DAYS): Promise<Days> {
  const now = await backend.serverTime();
  const fromDay = Math.max(0, Math.floor(now / DAY_MS) - days + 1);
  const bill = await backend.readBudgetBill({ budgetId, fromDay, days });
  const rows = bill.days.map(({ day, ...amounts }) => ({ date: dateOf(day), ...amounts }));
  return { rows, damaged: bill.damaged.map(dateOf) };
}
