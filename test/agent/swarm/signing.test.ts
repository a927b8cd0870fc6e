import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import fc from 'fast-check';
import { createSigning } from '../../../agent/swarm/signing.ts';

async function signer() {
  const key = await generateKeyPair('Ed25519');
  return { key, peer: peerIdFromPrivateKey(key).toString(), signing: createSigning(key) };
}

test('what one agent signs another verifies, by its peer id alone; libp2p makes the same signature', async () => {
  const [one, other] = await Promise.all([signer(), signer()]);
  const statement = Buffer.from('a statement');
  const signature = one.signing.sign(statement);
  assert.equal(signature.length, 64);
  assert.deepEqual(Buffer.from(signature), Buffer.from(await one.key.sign(statement)));
  assert.equal(await one.key.publicKey.verify(statement, signature), true);
  for (const { signing } of [one, other, one]) {
    assert.equal(signing.verify(one.peer, statement, signature), true);
    assert.equal(signing.verify(other.peer, statement, signature), false);
    assert.equal(signing.verify(one.peer, Buffer.from('another'), signature), false);
  }
});

test('a signature that is changed in any bit, or cut, is none', async () => {
  const { peer, signing } = await signer();
  const statement = Buffer.from('a statement');
  const signature = signing.sign(statement);
  fc.assert(
    fc.property(fc.nat(511), (bit) => {
      const changed = Uint8Array.from(signature);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(signing.verify(peer, statement, changed), false);
    }),
  );
  assert.equal(signing.verify(peer, statement, signature.subarray(1)), false);
  assert.equal(signing.verify(peer, statement, Buffer.concat([signature, Buffer.of(0)])), false);
});

test('a signer that is no Ed25519 peer id, or is spelled otherwise, signs nothing', async () => {
  const { key, peer, signing } = await signer();
  const statement = Buffer.from('a statement');
  const signature = signing.sign(statement);
  const secp256k1 = peerIdFromPrivateKey(await generateKeyPair('secp256k1')).toString();
  const otherwise = key.publicKey.toCID().toString();
  for (const name of ['', 'peer', peer.slice(1), `${peer} `, ` ${peer}`, secp256k1, otherwise, 'Qm'.repeat(23), '\0']) {
    assert.equal(signing.verify(name, statement, signature), false, name);
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 128 }), (name) => {
      assert.equal(signing.verify(name, statement, signature), false);
    }),
  );
  assert.equal(signing.verify(peer, statement, signature), true);
});
