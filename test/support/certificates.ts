/** Certificates for tests, made by openssl: an authority of the test's own and what it signs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateAuthority {
  readonly caFile: string;
  readonly ca: string;
  /** A certificate for these names, as `DNS:host` or `IP:address`; with `days` below 0 it has expired. */
  sign(names: readonly string[], days?: number): Certificate;
  /** Removes the files. */
  remove(): void;
}

/** Makes an authority. @throws when openssl is not there */
export function certificateAuthority(): CertificateAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'flowfabric-tls-'));
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=test authority',
  );
  let count = 0;
  const file = (name: string): string => join(folder, name);
  return {
    caFile: file('ca.crt'),
    ca: readFileSync(file('ca.crt'), 'utf8'),
    sign(names, days = 2) {
      const name = `c${count++}`;
      writeFileSync(file(`${name}.ext`), `subjectAltName=${names.join(',')}\n`);
      openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=test');
      const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
      const life = ['-days', String(days)];
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        ...authority,
        ...life,
        '-out',
        `${name}.crt`,
        '-extfile',
        `${name}.ext`,
      );
      const [certFile, keyFile] = [file(`${name}.crt`), file(`${name}.key`)];
      return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Arguments of a server that speaks TLS on this port, beside its plain one. */
export function tlsArgs(
  ca: CertificateAuthority,
  own: Certificate,
  port: number,
  clients: 'yes' | 'no' = 'no',
): string[] {
  return [
    ...['--tls-port', String(port), '--tls-cert-file', own.certFile, '--tls-key-file', own.keyFile],
    ...['--tls-ca-cert-file', ca.caFile, '--tls-auth-clients', clients],
  ];
}
