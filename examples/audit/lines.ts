import { SYNTAX, type Language, type StringSyntax, type Syntax } from './languages.js';

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const BACKSLASH = 92;
const SLASH = 47;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const LONGEST_TOKEN = 4;
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf'; // The UTF-8 mark, as its bytes read in Latin-1.

type Mode = 'code' | 'lineComment' | 'blockComment' | 'string' | 'regex';

/**
 * Counts the lines of one file that hold code: not blank, and not comment only.
 *
 * Works on chunks, so a file never has to be in memory whole. Chunks are read as Latin-1: every
 * token looked for is ASCII, and no byte of a longer UTF-8 character can be mistaken for one.
 *
 * It is a scanner, not a parser. Known to be off: a regular expression after a keyword
 * (`return /…/`) is read as code, text inside `<script>` follows HTML's rules, nested block
 * comments end at the first close, and Python's docstrings count as code.
 */
export class LineCounter {
  readonly #syntax: Syntax;
  readonly #openers: Uint8Array;
  #mode: Mode = 'code';
  #string: StringSyntax | undefined;
  /** For each `${` not closed yet: the literal it is in, and the braces open in its code. */
  readonly #interpolations: { string: StringSyntax; braces: number }[] = [];
  #escaped = false;
  #inClass = false;
  #lineHasCode = false;
  #previous = NEWLINE;
  #lines = 0;
  #carry = '';
  #started = false;

  /** @param language decides what is a comment */
  constructor(language: Language) {
    this.#syntax = SYNTAX[language];
    this.#openers = openersOf(this.#syntax);
  }

  /** Takes the next chunk of the file. */
  push(chunk: Buffer): void {
    this.#carry += chunk.toString('latin1');
    // The last characters wait for the next chunk: a token may be cut in two.
    this.#scan(this.#carry.length - (LONGEST_TOKEN - 1));
  }

  /** Ends the file and gives its number of code lines. Call once, after the last chunk. */
  finish(): number {
    this.#scan(this.#carry.length);
    this.#endLine();
    return this.#lines;
  }

  #scan(end: number): void {
    const text = this.#carry;
    if (end <= 0) return;
    let at = 0;
    if (!this.#started) {
      this.#started = true;
      if (text.startsWith(BYTE_ORDER_MARK)) at = BYTE_ORDER_MARK.length;
    }
    while (at < end) {
      const char = text.charCodeAt(at);
      if (char === CARRIAGE_RETURN) at += 1;
      else if (char === NEWLINE) {
        this.#endLine();
        at += 1;
      } else at += this.#step(text, at, char);
    }
    this.#carry = text.slice(at);
  }

  #endLine(): void {
    if (this.#lineHasCode) this.#lines += 1;
    this.#lineHasCode = false;
    const continues =
      this.#mode === 'blockComment' || (this.#mode === 'string' && (this.#string?.multiline === true || this.#escaped));
    if (!continues) this.#mode = 'code';
    this.#escaped = false;
    this.#inClass = false;
  }

  /** Handles one character that ends no line; gives how many characters it used up. */
  #step(text: string, at: number, char: number): number {
    switch (this.#mode) {
      case 'code':
        return this.#stepCode(text, at, char);
      case 'lineComment':
        return 1;
      case 'blockComment': {
        const close = this.#syntax.blockComment?.[1] ?? '';
        if (!text.startsWith(close, at)) return 1;
        this.#mode = 'code';
        return close.length;
      }
      case 'string':
        return this.#stepString(text, at, char);
      case 'regex':
        this.#stepRegex(char);
        return 1;
    }
  }

  #stepCode(text: string, at: number, char: number): number {
    if (char <= SPACE) return 1;
    if (char < 128 && this.#openers[char] === 1) {
      const { blockComment, lineComment, strings, regexLiterals } = this.#syntax;
      // Blocks first: Lua's block opener begins with its line comment's.
      if (blockComment !== undefined && text.startsWith(blockComment[0], at)) {
        this.#mode = 'blockComment';
        return blockComment[0].length;
      }
      if (lineComment !== undefined && text.startsWith(lineComment, at)) {
        this.#mode = 'lineComment';
        return lineComment.length;
      }
      const string = strings.find((each) => text.startsWith(each.delimiter, at));
      if (string !== undefined) {
        this.#mode = 'string';
        this.#string = string;
      } else if (regexLiterals === true && char === SLASH && canPrecedeRegex(this.#previous)) {
        this.#mode = 'regex';
      }
    }
    this.#lineHasCode = true;
    this.#previous = char;
    this.#countBrace(char);
    return 1;
  }

  /** In the code of a `${…}`, finds the brace that leads back into the literal. */
  #countBrace(char: number): void {
    const inner = this.#interpolations.at(-1);
    if (inner === undefined) return;
    if (char === OPEN_BRACE) inner.braces += 1;
    else if (char === CLOSE_BRACE) {
      inner.braces -= 1;
      if (inner.braces > 0) return;
      this.#interpolations.pop();
      this.#mode = 'string';
      this.#string = inner.string;
    }
  }

  #stepString(text: string, at: number, char: number): number {
    const string = this.#string;
    if (char > SPACE) this.#lineHasCode = true;
    if (this.#escaped) this.#escaped = false;
    else if (char === BACKSLASH) this.#escaped = true;
    else if (string !== undefined && text.startsWith(string.delimiter, at)) this.#mode = 'code';
    else if (string?.interpolates === true && text.startsWith('${', at)) {
      this.#interpolations.push({ string, braces: 1 });
      this.#mode = 'code';
      this.#previous = OPEN_BRACE;
      return 2;
    }
    return 1;
  }

  #stepRegex(char: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (char === BACKSLASH) this.#escaped = true;
    else if (char === OPEN_BRACKET) this.#inClass = true;
    else if (char === CLOSE_BRACKET) this.#inClass = false;
    else if (char === SLASH && !this.#inClass) this.#mode = 'code';
  }
}

/** After one of these a `/` cannot be a division, so it opens a regular expression. */
function canPrecedeRegex(char: number): boolean {
  return char === NEWLINE || '(,=:[!&|?{};+<>~^%*-'.includes(String.fromCharCode(char));
}

/** Marks the ASCII characters at which something other than plain code may begin. */
function openersOf(syntax: Syntax): Uint8Array {
  const openers = new Uint8Array(128);
  const tokens = [
    syntax.lineComment,
    syntax.blockComment?.[0],
    syntax.regexLiterals === true ? '/' : undefined,
    ...syntax.strings.map((string) => string.delimiter),
  ];
  for (const token of tokens) if (token !== undefined) openers[token.charCodeAt(0)] = 1;
  return openers;
}
