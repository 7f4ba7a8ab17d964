/**
 * Splits source text into tokens, for the linker and for mutation. Comments are skipped; offsets are those of the text.
 */
export type Language = 'lua' | 'ts';

export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'symbol';
  readonly text: string;
  /** Offset of its first character. */
  readonly start: number;
  readonly end: number;
}

const NAME = /[A-Za-z_$][\w$]*/y;
const NUMBER = /\d[\d_]*(?:\.\d+)?/y;

const GRAMMARS: Readonly<
  Record<Language, { readonly skip: RegExp; readonly string: RegExp; readonly symbol: RegExp }>
> = {
  lua: {
    skip: /\s+|--[^\n]*/y,
    string: /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y,
    symbol: /==|~=|<=|>=|\.\.\.|\.\.|[^\s\w]/y,
  },
  ts: {
    skip: /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\//y,
    string: /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/y,
    symbol: /===|!==|<=|>=|=>|&&|\|\||\?\?=|\?\?|\?\.|\+\+|\+=|-=|\.\.\.|[^\s\w]/y,
  },
};

/** The tokens of a text, in order. */
export function tokensOf(source: string, language: Language): Token[] {
  const { skip, string, symbol } = GRAMMARS[language];
  const kinds = [
    ['string', string],
    ['name', NAME],
    ['number', NUMBER],
    ['symbol', symbol],
  ] as const;
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const skipped = match(skip);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    const start = at;
    for (const [kind, pattern] of kinds) {
      const text = match(pattern);
      if (text === undefined) continue;
      at += text.length;
      tokens.push({ kind, text, start, end: at });
      break;
    }
    if (at === start) throw new SyntaxError(`No token at offset ${at}.`);
  }
  return tokens;
}

/** Lua without comment lines, which neither servers nor packages need. */
export const withoutCommentLines = (lua: string): string => lua.replace(/^[ ]*--[^\n]*\n/gm, '');
