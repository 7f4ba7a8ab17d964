/**
 * Ids inside a partition: a UUID in 22 characters instead of 36. The alphabet is in the order of bytes, so that short
 * ids sort as their UUIDs do, and an index of them lists executions in the order of the contract.
 */
const ALPHABET = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz';
/** Characters of a short id. */
export const SHORT_LENGTH = 22;
const UUID_LENGTH = 36;
/** Where the hexadecimal digits of a UUID stand. */
const DIGITS_AT = Array.from({ length: UUID_LENGTH }, (_, i) => i).filter((i) => ![8, 13, 18, 23].includes(i));

const CODES = Uint8Array.from(ALPHABET, (letter) => letter.charCodeAt(0));
const HEX_CODES = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

function inverse(codes: Uint8Array): Uint8Array {
  const places = new Uint8Array(256).fill(255);
  for (const [place, code] of codes.entries()) places[code] = place;
  return places;
}
const PLACE_OF = inverse(CODES);
const HEX_OF = inverse(HEX_CODES);

const short = Buffer.alloc(SHORT_LENGTH);
const long = Buffer.alloc(UUID_LENGTH, '-');

/** Translations made lately: an id is met again soon, from the claim of an execution to its completion. */
class Recent {
  private readonly from = new Array<string>(1024).fill('');
  private readonly to = new Array<string>(1024).fill('');

  constructor(private readonly make: (text: string) => string) {}

  get(text: string): string {
    const place = this.placeOf(text);
    if (this.from[place] === text) return this.to[place] as string;
    const made = this.make(text);
    this.from[place] = text;
    this.to[place] = made;
    return made;
  }

  put(text: string, made: string): void {
    const place = this.placeOf(text);
    this.from[place] = text;
    this.to[place] = made;
  }

  /** By its last characters, the random ones. */
  private placeOf(text: string): number {
    const end = text.length;
    return (
      (text.charCodeAt(end - 2) * 41 +
        text.charCodeAt(end - 3) * 7 +
        text.charCodeAt(end - 4) * 331 +
        text.charCodeAt(end - 5)) &
      1023
    );
  }
}

function shorten(uuid: string): string {
  let bits = 0;
  let count = 0;
  let at = 0;
  for (const place of DIGITS_AT) {
    bits = (bits << 4) | (HEX_OF[uuid.charCodeAt(place)] as number);
    count += 4;
    if (count >= 6) {
      count -= 6;
      short[at++] = CODES[(bits >> count) & 63] as number;
      bits &= (1 << count) - 1;
    }
  }
  short[at] = CODES[(bits << (6 - count)) & 63] as number;
  return short.toString('latin1');
}

function lengthen(text: string): string {
  let bits = 0;
  let count = 0;
  let from = 0;
  for (const place of DIGITS_AT) {
    if (count < 4) {
      bits = (bits << 6) | (PLACE_OF[text.charCodeAt(from++)] as number);
      count += 6;
    }
    count -= 4;
    long[place] = HEX_CODES[(bits >> count) & 15] as number;
    bits &= (1 << count) - 1;
  }
  return long.toString('latin1');
}

const shortened = new Recent(shorten);
const lengthened = new Recent(lengthen);

/** The short form of a UUID (lower case, with hyphens). */
export function shortIdOf(uuid: string): string {
  return shortened.get(uuid);
}

/** The UUID of a short id. What is none (see `isShortId`) gives something else, and must not come here. */
export function uuidOf(shortId: string): string {
  const uuid = lengthened.get(shortId);
  // What came from the server is sent back soon.
  shortened.put(uuid, shortId);
  return uuid;
}

/** The last letter carries two bits of the 128: one UUID has one short id. */
const LAST = [0, 16, 32, 48].map((place) => ALPHABET[place]).join('');
const classOf = (letters: string): string => `[${letters.replace('-', '\\-')}]`;
const SHORT_ID = new RegExp(`^${classOf(ALPHABET)}{${SHORT_LENGTH - 1}}${classOf(LAST)}$`);

/** Whether the text is the short form of a UUID. */
export function isShortId(text: string): boolean {
  return SHORT_ID.test(text);
}
