/** Names of the languages whose code lines are counted. */
export const LANGUAGES = [
  'JavaScript',
  'TypeScript',
  'TypeScript declarations',
  'Flow',
  'JSON',
  'YAML',
  'HTML',
  'CSS',
  'SCSS/Less',
  'Shell',
  'Python',
  'Lua',
  'C/C++',
  'Rust',
] as const;

/** One of {@link LANGUAGES}. */
export type Language = (typeof LANGUAGES)[number];

/** A string literal: its delimiter, whether it may run over several lines, and hold `${code}`. */
export interface StringSyntax {
  readonly delimiter: string;
  readonly multiline: boolean;
  readonly interpolates?: boolean;
}

/** As much of a language's syntax as telling comments from code needs. */
export interface Syntax {
  readonly lineComment?: string;
  readonly blockComment?: readonly [open: string, close: string];
  /**
   * String literals, so that a comment opener inside one opens nothing. Left empty where there are
   * no block comments: there only the first characters of a line decide.
   */
  readonly strings: readonly StringSyntax[];
  /** Whether `/` may open a regular expression literal. */
  readonly regexLiterals?: boolean;
}

const single = (delimiter: string): StringSyntax => ({ delimiter, multiline: false });
const multi = (delimiter: string): StringSyntax => ({ delimiter, multiline: true });

const ECMASCRIPT: Syntax = {
  lineComment: '//',
  blockComment: ['/*', '*/'],
  strings: [single("'"), single('"'), { ...multi('`'), interpolates: true }],
  regexLiterals: true,
};

/** Comment syntax of every counted language. */
export const SYNTAX: Readonly<Record<Language, Syntax>> = {
  JavaScript: ECMASCRIPT,
  TypeScript: ECMASCRIPT,
  'TypeScript declarations': ECMASCRIPT,
  Flow: ECMASCRIPT,
  JSON: { strings: [] },
  YAML: { lineComment: '#', strings: [] },
  HTML: { blockComment: ['<!--', '-->'], strings: [] },
  CSS: { blockComment: ['/*', '*/'], strings: [single("'"), single('"')] },
  'SCSS/Less': {
    lineComment: '//',
    blockComment: ['/*', '*/'],
    strings: [single("'"), single('"')],
  },
  Shell: { lineComment: '#', strings: [] },
  Python: { lineComment: '#', strings: [] },
  Lua: { lineComment: '--', blockComment: ['--[[', ']]'], strings: [single("'"), single('"')] },
  'C/C++': { lineComment: '//', blockComment: ['/*', '*/'], strings: [single("'"), single('"')] },
  // No single quotes: in Rust they also mark lifetimes, which never close.
  Rust: { lineComment: '//', blockComment: ['/*', '*/'], strings: [multi('"')] },
};

const BY_EXTENSION: ReadonlyMap<string, Language> = new Map<string, Language>([
  ['js', 'JavaScript'],
  ['mjs', 'JavaScript'],
  ['cjs', 'JavaScript'],
  ['jsx', 'JavaScript'],
  ['ts', 'TypeScript'],
  ['mts', 'TypeScript'],
  ['cts', 'TypeScript'],
  ['tsx', 'TypeScript'],
  ['flow', 'Flow'],
  ['json', 'JSON'],
  ['yml', 'YAML'],
  ['yaml', 'YAML'],
  ['html', 'HTML'],
  ['htm', 'HTML'],
  ['css', 'CSS'],
  ['scss', 'SCSS/Less'],
  ['less', 'SCSS/Less'],
  ['sh', 'Shell'],
  ['bash', 'Shell'],
  ['py', 'Python'],
  ['gyp', 'Python'],
  ['gypi', 'Python'],
  ['lua', 'Lua'],
  ['c', 'C/C++'],
  ['h', 'C/C++'],
  ['cc', 'C/C++'],
  ['cpp', 'C/C++'],
  ['hpp', 'C/C++'],
  ['rs', 'Rust'],
]);

const DECLARATION = /\.d\.(?:[^./]+\.)?[mc]?ts$/i;

/**
 * Language of a file by its name's extension, or undefined for what is not counted
 * (prose, source maps, binaries, scripts without an extension).
 */
export function languageOf(path: string): Language | undefined {
  if (DECLARATION.test(path)) return 'TypeScript declarations';
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? BY_EXTENSION.get(name.slice(dot + 1).toLowerCase()) : undefined;
}
