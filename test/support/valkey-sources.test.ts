import { describe, expect, it } from 'vitest';
import { deriveBackportsSource } from './valkey/sources.js';

const deb822 = `# the main archive
Types: deb deb-src
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

const oneLine = `# deb http://old.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64,arm64 signed-by=/etc/apt/keyrings/mirror.gpg] http://mirror.example/debian bookworm main non-free # near
`;

const derived = (text: string | string[], name = 'debian.sources'): string | undefined =>
  deriveBackportsSource(
    [text].flat().map((part) => ({ name, text: part })),
    'bookworm',
  );

describe('deriveBackportsSource', () => {
  it('repeats the archive and key of a deb822 entry', () => {
    expect(derived(deb822)).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n' +
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n',
    );
  });

  it('repeats the archive, key and architectures of a one-line entry', () => {
    expect(derived(oneLine, 'sources.list')).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n' +
        'Architectures: amd64 arm64\nSigned-By: /etc/apt/keyrings/mirror.gpg\n',
    );
  });

  it('reads a one-line entry without options', () => {
    expect(derived('deb http://mirror.example/debian bookworm main\n', 'sources.list')).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n',
    );
  });

  it('keeps a key that is written into the entry', () => {
    const key = ' -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----';
    const text = `Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n${key}\n`;
    expect(derived(text)).toContain(`Signed-By: \n${key}\n`);
  });

  it('keeps the trust and expiry of the entry', () => {
    const text = deb822.replace('Signed-By', 'Check-Valid-Until: no\nTrusted: yes\nSigned-By');
    expect(derived(text)).toContain('Check-Valid-Until: no\nTrusted: yes\n');
  });

  it('adds nothing if the suite is there already', () => {
    expect(derived(deb822.replace('bookworm-updates', 'bookworm-backports'))).toBeUndefined();
    expect(derived([oneLine, 'deb http://mirror.example/debian bookworm-backports main\n'], 'a.list')).toBeUndefined();
  });

  it('ignores entries that are disabled or serve sources only', () => {
    const off = 'Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n';
    expect(derived([off, deb822])).toContain('mirror.example');
    expect(() => derived(off)).toThrow('main archive of bookworm');
    expect(() => derived('deb-src http://mirror.example/debian bookworm main\n', 'a.list')).toThrow();
  });

  it('does not take the security archive for the main one', () => {
    const security = deb822.slice(deb822.indexOf('\n\n') + 2);
    expect(() => derived(security)).toThrow('main archive of bookworm');
  });
});
