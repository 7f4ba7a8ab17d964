/** Signing keys of all partitions: installed once, rotated everywhere, with a report of what failed. */
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { memory } from '../../src/memory/index.js';
import { rotateWaitpointHmacSecretAll, seedWaitpointHmacSecret } from '../../src/engine/signing-keys.js';
import { EngineError } from '../../model/errors.js';

const SECRETS = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;

const ROTATION = { newKid: 'k1', newSecret: SECRETS[0] };

/** A backend of which one partition does not answer. */
function broken(backend: Backend, partition: string): Backend {
  return new Proxy(backend, {
    get(target, name, receiver) {
      if (name !== 'rotateWaitpointHmacSecret') return Reflect.get(target, name, receiver) as unknown;
      return (args: { partition: string }) =>
        args.partition === partition
          ? Promise.reject(new EngineError('transport_failed', 'gone.'))
          : target.rotateWaitpointHmacSecret(args as never);
    },
  });
}

describe('signing keys', () => {
  it('are seeded in partitions without keys, once', async () => {
    const backend = memory({ partitions: { count: 5 } });
    await backend.rotateWaitpointHmacSecret({ partition: '{fp:3}', newKid: 'old', newSecret: SECRETS[1] });
    const seed = { kid: 'k1', secret: SECRETS[0] };
    const different = [{ partition: '{fp:3}', currentKid: 'old' }];
    expect(await seedWaitpointHmacSecret(backend, seed)).toEqual({
      installed: 4,
      different,
      failed: [],
      complete: false,
    });
    expect(await seedWaitpointHmacSecret(backend, seed)).toMatchObject({ installed: 0, different });
    const conflicting = await seedWaitpointHmacSecret(backend, { kid: 'k1', secret: SECRETS[1] });
    expect(conflicting.failed.map(({ error }) => error.code)).toEqual(Array(4).fill('rotation_conflict'));
    await expect(seedWaitpointHmacSecret(backend, { kid: 'a:b', secret: SECRETS[0] })).rejects.toMatchObject({
      code: 'invalid_kid',
    });
    await expect(rotateWaitpointHmacSecretAll(backend, { ...ROTATION, graceMs: -1 })).rejects.toMatchObject({
      code: 'invalid_grace_ms',
    });
  });

  it('are rotated in every partition, and a repeated call completes a failed rotation', async () => {
    const backend = memory({ partitions: { count: 20 } });
    const args = ROTATION;
    const first = await rotateWaitpointHmacSecretAll(broken(backend, '{fp:17}'), args);
    expect(first.complete).toBe(false);
    expect(first.entries.filter(({ ok }) => !ok).map(({ partition }) => partition)).toEqual(['{fp:17}']);
    const again = await rotateWaitpointHmacSecretAll(backend, args);
    expect(again.complete).toBe(true);
    expect(again.entries.filter((entry) => entry.ok && entry.outcome.kind === 'rotated')).toHaveLength(1);
    await expect(rotateWaitpointHmacSecretAll(backend, { ...args, newSecret: new Uint8Array(3) })).rejects.toThrow(
      'invalid_input',
    );
  });
});
