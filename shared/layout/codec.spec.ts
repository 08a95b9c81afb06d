import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { dropReasonName } from '@seine/model';

import { decode, encode, type StructLayout } from './codec.ts';
import { echoOf } from './echo.ts';
import { MAPS, Reason } from './generated.ts';

const cell = (field: StructLayout['fields'][number]): fc.Arbitrary<number | bigint | string> => {
  const hex = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes).toString('hex'));
  switch (field.kind) {
    case 'address': return fc.oneof(fc.ipV4(), fc.constant('fd00::1'), fc.constant('::'));
    case 'mac': return hex(6).map((text) => text.replace(/(..)(?!$)/g, '$1:'));
    case 'bytes': return hex(field.size);
    case 'int': return field.size === 8 ? fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) : fc.integer({ min: 0, max: 2 ** (8 * field.size) - 1 });
  }
};

describe('a codec', () => {
  const structs: readonly StructLayout[] = Object.values(MAPS).flatMap((map): StructLayout[] => [map.key, map.value]).filter((struct) => struct.size > 0);

  test.each(structs.map((struct) => ({ name: struct.name, struct })))('decodes what it encoded: $name', ({ struct }) => {
    const row = fc.record(Object.fromEntries(struct.fields.map((field) => [field.name, cell(field)])));
    fc.assert(fc.property(row, (value) => { expect(decode(struct, encode(struct, value as never))).toEqual(value); }), { numRuns: 50 });
  });

  test('puts ports in network order and masks nothing', () => {
    const bytes = encode(MAPS.sn_row_01.key, { row: 1, protocol: 6, prefixLength: 16, port: 443 });
    expect([...bytes]).toEqual([1, 0, 0, 0, 6, 16, 1, 187]);
  });

  test('refuses a value outside its range, naming field and range', () => {
    expect(() => encode(MAPS.sn_row_01.key, { row: 1, protocol: 6, prefixLength: 16, port: 65536 })).toThrow('policy_row_key.port = 65536, wants 0..2^16-1');
  });

  test('refuses text that is no address', () => {
    expect(() => encode(MAPS.sn_endpoint_01.key, { address: '10.0.0.256' })).toThrow('address_key.address = 10.0.0.256, wants an IP address');
  });

  test('gives different keys different echoes, nearly always', () => {
    const echoes = new Set(Array.from({ length: 10_000 }, (_, index) => echoOf(MAPS.sn_peer_01.key, { revision: 7, identity: index, classVariant: 0 })));
    expect(echoes.size).toBeGreaterThan(9_980);
  });

  test('names every drop reason that the kernel has', () => {
    for (const [name, code] of Object.entries(Reason)) if (code !== 0) expect([name, dropReasonName(code)]).not.toEqual([name, `reason ${code}`]);
  });
});
