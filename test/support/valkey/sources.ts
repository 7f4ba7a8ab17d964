/** One file of apt's configuration: its name (for the format) and its text. */
export interface AptSourceFile {
  /** Path or file name; `.sources` means the deb822 format, all else one line per entry. */
  name: string;
  text: string;
}

/** One entry of apt's configuration, reduced to what a new entry may have to repeat. */
interface AptEntry {
  types: string[];
  uris: string[];
  suites: string[];
  components: string[];
  enabled: boolean;
  /** Fields to repeat in a new entry, under their deb822 names, values verbatim. */
  carried: Map<string, string>;
}

/** Options that say how an archive is trusted or reached, by lower-case name. */
const carriedFields = new Map([
  ['signed-by', 'Signed-By'],
  ['trusted', 'Trusted'],
  ['architectures', 'Architectures'],
  ['arch', 'Architectures'],
  ['check-valid-until', 'Check-Valid-Until'],
]);

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Reads one stanza of a deb822 file; continuation lines stay part of their field's value. */
const parseStanza = (stanza: string): AptEntry | undefined => {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    if (/^[ \t]/.test(line) && name !== undefined) {
      fields.set(name, `${fields.get(name) ?? ''}\n${line}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    name = line.slice(0, colon).trim().toLowerCase();
    fields.set(name, line.slice(colon + 1).trim());
  }
  if (!fields.has('uris')) return undefined;
  const carried = new Map<string, string>();
  for (const [key, value] of fields) {
    const field = carriedFields.get(key);
    if (field !== undefined) carried.set(field, value);
  }
  return {
    types: words(fields.get('types') ?? ''),
    uris: words(fields.get('uris') ?? ''),
    suites: words(fields.get('suites') ?? ''),
    components: words(fields.get('components') ?? ''),
    enabled: !/^(no|false|off|0|without|disable)$/i.test(fields.get('enabled') ?? 'yes'),
    carried,
  };
};

/** Reads one line of a `.list` file: `deb [option=value ...] uri suite component...`. */
const parseLine = (line: string): AptEntry | undefined => {
  const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
  if (match === null) return undefined;
  const [, type = '', options = '', uri = '', suite = '', components = ''] = match;
  const carried = new Map<string, string>();
  for (const option of words(options)) {
    const equals = option.indexOf('=');
    const field = equals < 0 ? undefined : carriedFields.get(option.slice(0, equals).toLowerCase());
    // One-line options separate several values by commas, deb822 by spaces.
    if (field !== undefined) carried.set(field, option.slice(equals + 1).replaceAll(',', ' '));
  }
  return {
    types: [type],
    uris: [uri],
    suites: [suite],
    components: words(components),
    enabled: true,
    carried,
  };
};

const parse = ({ name, text }: AptSourceFile): AptEntry[] => {
  const unix = text.replaceAll('\r\n', '\n');
  const parsed = name.endsWith('.sources')
    ? unix.split(/\n[ \t]*\n/).map(parseStanza)
    : unix.split('\n').map(parseLine);
  return parsed.filter((entry) => entry !== undefined);
};

/**
 * Derives the entry that adds the `<codename>-backports` suite, from the entry
 * by which this machine already reaches the main archive of `<codename>`: the
 * same URI, signing key and trust options, so a mirror stays a mirror.
 *
 * @param files every file of apt's configured sources
 * @param codename the release's code name, e.g. `bookworm`
 * @returns the text of a new deb822 `.sources` file, or `undefined` if the
 *   suite is already configured
 * @throws Error if no enabled entry serves the main archive of `codename`
 */
export const deriveBackportsSource = (files: AptSourceFile[], codename: string): string | undefined => {
  const backports = `${codename}-backports`;
  const entries = files.flatMap(parse).filter((entry) => entry.enabled && entry.types.includes('deb'));
  if (entries.some((entry) => entry.suites.includes(backports))) return undefined;
  // The security archive names its suites `<codename>-security`, so asking for
  // the bare code name leaves it out.
  const main = entries.find((entry) => entry.suites.includes(codename) && entry.components.includes('main'));
  if (main === undefined) {
    throw new Error(`no configured apt source serves the main archive of ${codename}`);
  }
  return [
    'Types: deb',
    `URIs: ${main.uris.join(' ')}`,
    `Suites: ${backports}`,
    'Components: main',
    ...[...main.carried].map(([field, value]) => `${field}: ${value}`),
    '',
  ].join('\n');
};
