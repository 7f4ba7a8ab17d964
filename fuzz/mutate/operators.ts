/** A mutant changes one place of one file by one of a few operators that resemble common mistakes. */
import { tokensOf, type Language, type Token } from '../../lua/tokens.js';

/** An edit: the range from `start` to `end` becomes `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const SWAPS: Readonly<Record<Language, Readonly<Record<string, string>>>> = {
  lua: {
    '<=': '<',
    '<': '<=',
    '>=': '>',
    '>': '>=',
    '==': '~=',
    '~=': '==',
    and: 'or',
    or: 'and',
    true: 'false',
    false: 'true',
    '+': '-',
    '-': '+',
    '*': '/',
    '/': '*',
    min: 'max',
    max: 'min',
    floor: 'ceil',
    ceil: 'floor',
  },
  ts: {
    '<=': '<',
    '<': '<=',
    '>=': '>',
    '>': '>=',
    '===': '!==',
    '!==': '===',
    '&&': '||',
    '||': '&&',
    '??': '&&',
    true: 'false',
    false: 'true',
    '+': '-',
    '-': '+',
    '*': '/',
    '/': '*',
    '+=': '-=',
    min: 'max',
    max: 'min',
    floor: 'ceil',
    ceil: 'floor',
  },
};

/** Lines about types, schemas or modules: an edit there changes no behaviour, or changes both sides alike. */
const DECLARATIVE: Readonly<Record<Language, RegExp>> = {
  lua: /^\s*--/,
  ts: /^\s*(?:import|export type|export \*|type|export interface|interface|readonly|\||\*|\/\*|\/\/|name:|rejects:|args:|partition[:(]|execution[:(])|\bz\.|\bfield\./,
};

const STATEMENTS: Readonly<Record<Language, readonly RegExp[]>> = {
  lua: [
    // A call or an assignment to an existing name; deleting a declaration would only leave an undefined name.
    /^(?!return\b|local\b|end\b|function\b|if\b|for\b|while\b|else|do\b)[\w.]+(?:\[[^\]]*\])?\s*(?:\(.*\)|=[^=].*[^,{(])$/,
    /^if .* then .* end$/,
  ],
  ts: [
    /^(?!return\b|const\b|let\b|throw\b)[\w.?]+(?:\(.*\)|(?:\.\w+\(.*\))|\s(?:=|\+=|\?\?=)\s.*);$/,
    /^if \(.*\) .*;$/,
    // A member of an object.
    /^\w+(?:: [^{[(]+(?:\(.*\))?)?,$/,
  ],
};

const isBalanced = (text: string, language: Language): boolean => {
  let depth = 0;
  for (const token of tokensOf(text, language)) {
    if ('([{'.includes(token.text)) depth++;
    else if (')]}'.includes(token.text) && --depth < 0) return false;
  }
  return depth === 0;
};

/** Every edit that the operators make of a text; each is one mutant. */
export function editsOf(source: string, language: Language): Edit[] {
  const tokens = tokensOf(source, language);
  const lines = linesOf(source);
  const declarative: Span[] = lines.filter(({ text }) => DECLARATIVE[language].test(text));
  if (language === 'ts') declarative.push(...nameLists(source));
  const inDeclaration = (offset: number): boolean =>
    declarative.some(({ start, end }) => offset >= start && offset < end);
  return [
    ...tokens.flatMap((token, i) => (inDeclaration(token.start) ? [] : tokenEdits(source, tokens, i, language))),
    ...lines.flatMap((line) => (inDeclaration(line.start) ? [] : lineEdits(line, language))),
    ...(language === 'ts'
      ? tokens.flatMap((token, i) => (inDeclaration(token.start) ? [] : negatedCondition(source, tokens, i)))
      : []),
  ];
}

/** Lists of imported or exported names: leaving one out is an error of the compiler, not of the engine. */
const nameLists = (source: string): Span[] =>
  [...source.matchAll(/^(?:import|export)(?: type)? \{[^}]*\}/gm)].map(({ 0: text, index }) => ({
    start: index,
    end: index + text.length,
  }));

const replaced = ({ start, end }: Token, text: string): Edit => ({ start, end, text });

function tokenEdits(source: string, tokens: readonly Token[], i: number, language: Language): Edit[] {
  const token = tokens[i] as Token;
  switch (token.kind) {
    case 'number':
      return numberEdits(tokens, i);
    case 'string':
      return stringEdits(source, tokens, i, language);
    case 'name':
      if (token.text === 'not') return [replaced(token, '')];
      return swapOf(
        source,
        token,
        language,
        tokens[i - 1]?.text === '.' || language === 'lua' || token.text === 'true' || token.text === 'false',
      );
    case 'symbol':
      if (token.text === '!' && tokens[i + 1]?.text !== '=') return [replaced(token, '')];
      return swapOf(source, token, language, true);
  }
}

function swapOf(source: string, token: Token, language: Language, applies: boolean): Edit[] {
  const other = SWAPS[language][token.text];
  if (other === undefined || !Object.hasOwn(SWAPS[language], token.text) || !applies) return [];
  // Operators are surrounded by spaces; otherwise the character is a sign, a type argument or part of a pattern.
  const spaced = token.kind === 'name' || (source[token.start - 1] === ' ' && source[token.end] === ' ');
  return spaced ? [replaced(token, other)] : [];
}

function numberEdits(tokens: readonly Token[], i: number): Edit[] {
  const token = tokens[i] as Token;
  const value = Number(token.text.replaceAll('_', ''));
  // The length of a list of pairs: one less gives the same pairs.
  const isPairCount = tokens[i - 1]?.text === ',' && tokens[i - 2]?.text === '}' && tokens[i + 1]?.text === ')';
  if (isPairCount) return value === 0 ? [] : [replaced(token, String(value - 2))];
  const others = isDuration(tokens, i) ? [value * 10, value / 10] : [value + 1, ...(value >= 1 ? [value - 1] : [])];
  return others.map((other) => replaced(token, String(other)));
}

/** The value of a constant such as `SILENCE_MS`: a millisecond more or less is no mistake. */
const isDuration = (tokens: readonly Token[], i: number): boolean =>
  tokens[i - 1]?.text === '=' && /_MS$/.test(tokens[i - 2]?.text ?? '');

function stringEdits(source: string, tokens: readonly Token[], i: number, language: Language): Edit[] {
  const token = tokens[i] as Token;
  if (token.text.length <= 2 || token.text.startsWith('`')) return [];
  const before = source[token.start - 2] ?? '';
  const after = source[token.end + 1] ?? '';
  // A member of a union of types.
  if (language === 'ts' && (before === '|' || after === '|' || tokens[i - 1]?.text === '<')) return [];
  if (isComparedWithTypeof(tokens, i)) return [];
  const edits: Edit[] = [];
  const others = tokens.filter(
    (other) => other.kind === 'string' && other.text !== token.text && /^'\w+'$/.test(other.text),
  );
  const next = others.find(({ start }) => start > token.start) ?? others[0];
  if (/^'\w+'$/.test(token.text) && next !== undefined) edits.push(replaced(token, next.text));
  if (isListed(tokens, i))
    edits.push({
      start: tokens[i - 1]?.text === ',' ? (tokens[i - 1] as Token).start : token.start,
      end: token.end,
      text: '',
    });
  return edits;
}

/** Whether a text stands in `typeof value === 'string'`: no other word of the file compiles there. */
function isComparedWithTypeof(tokens: readonly Token[], i: number): boolean {
  if (!/^[!=]==$/.test(tokens[i - 1]?.text ?? '')) return false;
  for (let at = i - 2; tokens[at]?.kind === 'name' || tokens[at]?.text === '.'; at--)
    if (tokens[at]?.text === 'typeof') return true;
  return false;
}

/** Whether a text is an item of a list of facts to load or clear, other than the first. */
function isListed(tokens: readonly Token[], i: number): boolean {
  if (tokens[i - 1]?.text !== ',') return false;
  for (let at = i - 1; at > 0; at--) {
    const { text, kind } = tokens[at] as Token;
    if (text === '(') return ['fields', 'clear'].includes(tokens[at - 1]?.text ?? '');
    if (kind !== 'string' && text !== ',' && kind !== 'name') return false;
  }
  return false;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Line extends Span {
  readonly text: string;
}

function linesOf(source: string): Line[] {
  let start = 0;
  return source.split('\n').map((text) => {
    const line = { start, end: start + text.length + 1, text };
    start = line.end;
    return line;
  });
}

function lineEdits({ start, text }: Line, language: Language): Edit[] {
  const statement = text.trim();
  const indent = text.length - text.trimStart().length;
  if (statement === '') return [];
  const edits: Edit[] = [];
  const isStatement =
    STATEMENTS[language].some((pattern) => pattern.test(statement)) && !/: undefined,$/.test(statement);
  if (isStatement && isBalanced(statement, language))
    edits.push({ start: start + indent, end: start + text.length, text: '' });
  const condition = language === 'lua' ? /^((?:else)?if )(.+?)( then\b)/.exec(statement) : null;
  if (condition !== null && !isSwappable(condition[2] as string, language)) {
    const from = start + indent + (condition[1] as string).length;
    edits.push({ start: from, end: from + (condition[2] as string).length, text: `not (${condition[2]})` });
  }
  return edits;
}

/** Whether swapping the only operator of a condition, or dropping its `not`, already negates it. */
function isSwappable(condition: string, language: Language): boolean {
  const texts = tokensOf(condition, language).map(({ text }) => text);
  if (texts.some((text) => ['and', 'or', '&&', '||', '??', '(', '<', '>', '<=', '>='].includes(text))) return false;
  return texts.some((text) => ['==', '~=', '===', '!==', 'not', '!'].includes(text));
}

/** `if (x)` as `if (!(x))`. */
function negatedCondition(source: string, tokens: readonly Token[], i: number): Edit[] {
  if (tokens[i]?.text !== 'if' || tokens[i + 1]?.text !== '(') return [];
  let depth = 0;
  for (let at = i + 1; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (token.text === '(') depth++;
    if (token.text === ')' && --depth === 0) {
      const start = (tokens[i + 1] as Token).end;
      if (isSwappable(source.slice(start, token.start), 'ts')) return [];
      return [{ start, end: token.start, text: `!(${source.slice(start, token.start)})` }];
    }
  }
  return [];
}
