import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { bearerChallenge, parseChallenges } from '../../../agent/upstream/challenge.ts';

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/);
const parameters = fc.uniqueArray(fc.tuple(token, fc.string({ maxLength: 30 })), {
  maxLength: 5,
  selector: ([name]) => name.toLowerCase(),
});
const challenge = fc.record({ scheme: token, parameters });

function written({ scheme, parameters }: { scheme: string; parameters: [string, string][] }): string {
  const list = parameters.map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&')}"`);
  return [scheme, list.join(', ')].filter(Boolean).join(' ');
}

function read(header: string | string[]): unknown {
  return parseChallenges(header).map((one) => [one.scheme, [...one.parameters]]);
}

test('what was written is read, whether in one header or in several', () => {
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 4 }), (all) => {
      const expected = all.map(({ scheme, parameters }) => [
        scheme.toLowerCase(),
        parameters.map(([name, value]) => [name.toLowerCase(), value]),
      ]);
      assert.deepEqual(read(all.map(written).join(', ')), expected);
      assert.deepEqual(read(all.map(written)), expected);
    }),
  );
});

/** One parameter in each way in which RFC 9110 (5.6.2, 5.6.4, 11.2) lets it be written. */
const parameter = fc
  .record({
    name: token,
    value: fc.string({ maxLength: 30 }),
    quoting: fc.constantFrom('quoted', 'escaped', 'token'),
    equals: fc.constantFrom('=', ' = ', '= ', '\t='),
  })
  .map(({ name, value, quoting, equals }) => {
    const text = quoting === 'token' ? value.replace(/[^A-Za-z0-9._~-]/g, '') || 'x' : value;
    const escapes = quoting === 'escaped' ? /[\s\S]/g : /[\\"]/g;
    const wire = quoting === 'token' ? text : `"${text.replace(escapes, '\\$&')}"`;
    return { name, value: text, wire: `${name}${equals}${wire}` };
  });

test('however the parameters of a challenge are written, they are read', () => {
  const all = fc.uniqueArray(parameter, { minLength: 1, maxLength: 5, selector: ({ name }) => name.toLowerCase() });
  const comma = fc.constantFrom(',', ', ', ' ,', ' , ,\t');
  fc.assert(
    fc.property(token, all, comma, (scheme, parameters, separator) => {
      const header = `${scheme} ${parameters.map(({ wire }) => wire).join(separator)}`;
      const expected = parameters.map(({ name, value }) => [name.toLowerCase(), value]);
      assert.deepEqual(read(header), [[scheme.toLowerCase(), expected]], header);
    }),
    { numRuns: 1_000 },
  );
});

test('no input makes it throw, or take long: there is a challenge, or there is none', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('"', '\\', ',', '=', ' ', 'a', 'Bearer ', 'realm=', '\0', '\n', 'é'),
    maxLength: 400,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), hostile), (text) => {
      assert.ok(parseChallenges(text).length <= 64);
      const bearer = bearerChallenge(text);
      if (bearer === undefined) return;
      assert.equal(typeof bearer.realm, 'string');
      for (const value of [bearer.service, bearer.scope]) assert.match(typeof value, /^(string|undefined)$/);
    }),
    { numRuns: 2_000 },
  );
});

test('headers as registries send them', () => {
  const hub =
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"';
  const expected = {
    realm: 'https://auth.docker.io/token',
    service: 'registry.docker.io',
    scope: 'repository:library/alpine:pull',
  };
  assert.deepEqual(bearerChallenge(hub), expected);
  assert.deepEqual(bearerChallenge(hub.replace('Bearer realm', 'BEARER Realm').replaceAll(',', ' , ')), expected);
  assert.deepEqual(bearerChallenge(`Basic realm="a, Bearer realm=\\"x\\"", ${hub}`), expected);
  assert.deepEqual(bearerChallenge(['Negotiate dGVzdA==', hub]), expected);
  assert.deepEqual(bearerChallenge(`Negotiate dGVzdA==, ${hub}`), expected);
  assert.deepEqual(bearerChallenge('bearer realm=https://host/token,service=host'), {
    realm: 'https://host/token',
    service: 'host',
    scope: undefined,
  });
  assert.deepEqual(bearerChallenge('Bearer scope="a,b:pull,push",realm="r"'), {
    realm: 'r',
    service: undefined,
    scope: 'a,b:pull,push',
  });
});

test('no Bearer challenge with a realm', () => {
  for (const header of [undefined, '', 'Basic realm="x"', 'Bearer', 'Bearer service="x"', 'Bearer realm="unclosed']) {
    assert.equal(bearerChallenge(header), undefined, `${header}`);
  }
});
